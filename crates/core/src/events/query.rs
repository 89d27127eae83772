//! Finding events.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::RecordKind;
use super::database::{Connection, Prefix, Row, Value};
use super::labels::{MAX_PREFIX, fold_label};
use super::model::{Event, EventFilter, EventId, EventKind, Segment};
use super::store::{Store, nanoseconds, parse_body};
use crate::error::{Error, Result};

/// More labels than this are looked for in each event, and not each in the index.
const MAX_ARMS: usize = 64;
/// If more labels than this begin alike, events are gone through until there are enough; otherwise
/// all of these are sorted.
const FEW: i64 = 10_000;

/// The conditions of a filter, joined by AND, and their values.
#[derive(Clone)]
pub(super) struct Conditions {
    text: Vec<String>,
    pub values: Vec<Value>,
}

impl Conditions {
    fn new() -> Self {
        Self {
            text: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Those on events; order, page and limit are not among them.
    pub fn of(db: &Connection, filter: &EventFilter) -> Self {
        let mut this = Self::new();
        this.cameras(filter);
        this.kinds(filter);
        this.times(filter, "e");
        this.labels(db, filter);
        this.label_prefix(db, filter);
        this
    }

    /// Those on segments, which have no kinds and labels.
    pub fn of_segments(filter: &EventFilter) -> Self {
        let mut this = Self::new();
        this.cameras(filter);
        this.times(filter, "e");
        this
    }

    pub fn add(&mut self, text: &str, values: impl IntoIterator<Item = Value>) {
        self.text.push(text.to_owned());
        self.values.extend(values);
    }

    fn one_of(&mut self, column: &str, values: impl ExactSizeIterator<Item = Value>) {
        if values.len() > 0 {
            let places = vec!["?"; values.len()].join(", ");
            self.add(&format!("{column} IN ({places})"), values);
        }
    }

    fn cameras(&mut self, filter: &EventFilter) {
        self.one_of(
            "camera",
            filter.cameras.iter().map(|name| name.clone().into()),
        );
    }

    fn kinds(&mut self, filter: &EventFilter) {
        self.one_of("kind", filter.kinds.iter().map(|kind| name_of(*kind)));
    }

    fn times(&mut self, filter: &EventFilter, table: &str) {
        if let Some(since) = filter.since {
            let text = format!("{table}.started >= ?");
            self.add(&text, [nanoseconds(since).into()]);
        }
        if let Some(until) = filter.until {
            let text = format!("{table}.started < ?");
            self.add(&text, [nanoseconds(until).into()]);
        }
    }

    /// What comes after the one that began then.
    fn after(&mut self, order: Order, table: &str, (started, id): &(i64, EventId)) {
        let beyond = order.beyond();
        self.add(
            &format!("({table}.started, {table}.id) {beyond} (?, ?)"),
            [(*started).into(), id.as_bytes().to_vec().into()],
        );
    }

    fn labels(&mut self, db: &Connection, filter: &EventFilter) {
        if !filter.labels.is_empty() {
            let places = vec!["?"; filter.labels.len()].join(", ");
            self.add(
                &format!(
                    "EXISTS (SELECT 1 FROM labels WHERE labels.id = e.id AND label IN ({places}))"
                ),
                filter
                    .labels
                    .iter()
                    .map(|label| db.term(&fold_label(label))),
            );
        }
    }

    fn label_prefix(&mut self, db: &Connection, filter: &EventFilter) {
        let found = "EXISTS (SELECT 1 FROM labels WHERE labels.id = e.id AND";
        match prefix_of(db, filter) {
            None => {}
            Some(Prefix::Range(from, to)) => {
                self.add(&format!("{found} label >= ? AND label < ?)"), [from, to]);
            }
            #[cfg(feature = "postgres")]
            Some(Prefix::Term(term)) => self.add(&format!("{found} label = ?)"), [term]),
        }
    }

    pub fn where_clause(&self) -> String {
        if self.text.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", self.text.join(" AND "))
    }
}

fn name_of(kind: EventKind) -> Value {
    kind.name().to_owned().into()
}

/// How labels with the prefix are found; none if every event answers to it.
fn prefix_of(db: &Connection, filter: &EventFilter) -> Option<Prefix> {
    let prefix = fold_label(filter.label_prefix.as_deref()?);
    let prefix: String = prefix.chars().take(MAX_PREFIX).collect();
    (!prefix.is_empty()).then(|| db.prefix(&prefix))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

impl Order {
    fn of(filter: &EventFilter) -> Self {
        match filter.oldest_first {
            true => Order::OldestFirst,
            false => Order::NewestFirst,
        }
    }

    fn beyond(self) -> &'static str {
        match self {
            Order::OldestFirst => ">",
            Order::NewestFirst => "<",
        }
    }

    fn clause(self, table: &str) -> String {
        match self {
            Order::OldestFirst => format!(" ORDER BY {table}.started, {table}.id"),
            Order::NewestFirst => format!(" ORDER BY {table}.started DESC, {table}.id DESC"),
        }
    }
}

fn limit_of(filter: &EventFilter) -> Value {
    let limit = filter.limit.map(i64::try_from);
    limit
        .and_then(|limit| limit.ok())
        .unwrap_or(i64::MAX)
        .into()
}

/// One way of finding some of the events, in order.
struct Arm {
    /// What is selected from.
    from: String,
    /// The table with the order.
    table: &'static str,
    conditions: Conditions,
    /// Whether one event may be found several times.
    repeats: bool,
}

/// The ways that lead to all events of a filter, each through an index that has them in order: so
/// that a page costs what is on it, however many events there are.
struct Arms<'a> {
    db: &'a Connection,
    filter: &'a EventFilter,
    /// The last event of the page before, and when it began.
    after: Option<(i64, EventId)>,
}

impl Arms<'_> {
    fn base(&self, table: &'static str) -> Conditions {
        let mut conditions = Conditions::new();
        conditions.times(self.filter, table);
        if let Some(after) = &self.after {
            conditions.after(Order::of(self.filter), table, after);
        }
        conditions
    }

    /// Through what is entered for labels, for one condition each.
    fn by_label(
        &self,
        prefix: bool,
        wanted: impl IntoIterator<Item = (&'static str, Vec<Value>)>,
    ) -> Vec<Arm> {
        // This join is not turned round by SQLite.
        let from = "labels l CROSS JOIN events e";
        let mut conditions = self.base("l");
        conditions.add("e.id = l.id", []);
        conditions.cameras(self.filter);
        conditions.kinds(self.filter);
        if prefix {
            conditions.label_prefix(self.db, self.filter);
        }
        let arm = |(text, values): (&str, Vec<Value>)| {
            let mut conditions = conditions.clone();
            let repeats = values.len() > 1;
            conditions.add(text, values);
            Arm {
                from: from.to_owned(),
                table: "l",
                conditions,
                repeats,
            }
        };
        wanted.into_iter().map(arm).collect()
    }

    /// By kinds or cameras, or through all events.
    fn by_event(&self) -> Vec<Arm> {
        let filter = self.filter;
        let mut conditions = self.base("e");
        conditions.labels(self.db, filter);
        conditions.label_prefix(self.db, filter);
        let arm = |from: String, conditions| Arm {
            from,
            table: "e",
            conditions,
            repeats: false,
        };
        // Each once, whatever is asked for: they are not looked for twice.
        let (column, index, values): (_, _, Vec<Value>) = if !filter.kinds.is_empty() {
            conditions.cameras(filter);
            let kinds: BTreeSet<EventKind> = filter.kinds.iter().copied().collect();
            let kinds = kinds.into_iter().map(name_of);
            ("kind = ?", "events_kind", kinds.collect())
        } else if !filter.cameras.is_empty() && filter.cameras.len() <= MAX_ARMS {
            let cameras: BTreeSet<&String> = filter.cameras.iter().collect();
            let cameras = cameras.into_iter().map(|name| name.clone().into());
            ("camera = ?", "events_camera", cameras.collect())
        } else {
            conditions.cameras(filter);
            return vec![arm("events e".to_owned(), conditions)];
        };
        let from = format!("events e {}", self.db.through(index));
        values
            .into_iter()
            .map(|value| {
                let mut conditions = conditions.clone();
                conditions.add(column, [value]);
                arm(from.clone(), conditions)
            })
            .collect()
    }

    fn choose(&self) -> Result<Vec<Arm>> {
        let labels = &self.filter.labels;
        if !labels.is_empty() {
            if labels.len() > MAX_ARMS {
                return Ok(self.by_event());
            }
            let term = |label: &String| ("l.label = ?", vec![self.db.term(&fold_label(label))]);
            return Ok(self.by_label(true, labels.iter().map(term)));
        }
        match prefix_of(self.db, self.filter) {
            None => Ok(self.by_event()),
            #[cfg(feature = "postgres")]
            Some(Prefix::Term(term)) => Ok(self.by_label(false, [("l.label = ?", vec![term])])),
            Some(Prefix::Range(from, to)) => {
                let range = vec![from, to];
                let beyond = FEW + 1;
                let text = format!(
                    "SELECT count(*) FROM
                     (SELECT 1 FROM labels WHERE label >= ? AND label < ? LIMIT {beyond}) found"
                );
                let count = self.db.first(&text, &range)?;
                match count.map(|row| row.integer(0)).transpose()? {
                    Some(..=FEW) => {
                        Ok(self.by_label(false, [("l.label >= ? AND l.label < ?", range)]))
                    }
                    _ => Ok(self.by_event()),
                }
            }
        }
    }
}

impl Arm {
    /// Selects seq, started and id, and gives the values that it needs.
    fn select(&self, order: Order, limit: Value) -> (String, Vec<Value>) {
        let Self {
            from,
            table,
            conditions,
            repeats,
        } = self;
        let distinct = if *repeats { "DISTINCT " } else { "" };
        let clause = conditions.where_clause();
        let order = order.clause(table);
        let text = format!(
            "SELECT {distinct}e.seq, {table}.started, {table}.id FROM {from}{clause}{order} LIMIT ?"
        );
        let mut values = conditions.values.clone();
        values.push(limit);
        (text, values)
    }
}

/// The last states of events, with the numbers of their records.
pub(super) fn list_numbered(db: &Connection, filter: &EventFilter) -> Result<Vec<(u64, Event)>> {
    let after = filter.after.map(|id| {
        let values = [id.as_bytes().to_vec().into()];
        let row = db.first("SELECT started FROM events WHERE id = ?", &values)?;
        Ok::<_, Error>((row.ok_or(Error::NoSuchEvent { id })?.integer(0)?, id))
    });
    let arms = Arms {
        db,
        filter,
        after: after.transpose()?,
    };
    let (order, limit) = (Order::of(filter), limit_of(filter));
    let arms = arms.choose()?;
    // What has one kind, or is of one camera, has no other: only labels lead to an event twice.
    let union = match arms.iter().all(|arm| arm.table == "e") {
        true => " UNION ALL ",
        false => " UNION ",
    };
    let (texts, values): (Vec<_>, Vec<_>) = arms
        .iter()
        .map(|arm| arm.select(order, limit.clone()))
        .unzip();
    let mut values = values.concat();
    let found = match &texts[..] {
        [one] => one.clone(),
        several => {
            values.push(limit);
            let arms: Vec<_> = several
                .iter()
                .map(|arm| format!("SELECT * FROM ({arm}) arm"))
                .collect();
            let (arms, order) = (arms.join(union), order.clause("a"));
            format!("SELECT * FROM ({arms}) a{order} LIMIT ?")
        }
    };
    let text = format!("SELECT r.seq, r.body FROM ({found}) f JOIN records r ON r.seq = f.seq");
    let rows = db.query(&text, &values)?;
    let events = rows.into_iter().map(|row| numbered(db, row));
    let mut events: Vec<(u64, Event)> = events.collect::<Result<_>>()?;
    // The database would carry their bodies along.
    events.sort_by_key(|(_, event)| (nanoseconds(event.started_at), event.id));
    if order == Order::NewestFirst {
        events.reverse();
    }
    Ok(events)
}

/// The states of events after a number.
pub(super) fn changes(db: &Connection, after: u64, limit: usize) -> Result<Vec<(u64, Event)>> {
    let Ok(after) = i64::try_from(after) else {
        return Ok(Vec::new());
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = db.query(
        "SELECT seq, body FROM records WHERE seq > ? AND kind = 1 ORDER BY seq LIMIT ?",
        &[after.into(), limit.into()],
    )?;
    rows.into_iter().map(|row| numbered(db, row)).collect()
}

/// The event of a row with the number and the body of its record.
pub(super) fn numbered(db: &Connection, mut row: Row) -> Result<(u64, Event)> {
    let (seq, body) = (row.number(0)?, row.take(1));
    Ok((seq, parse_body(&db.body(seq, RecordKind::Event, body)?)?))
}

/// How many events of each kind there are; kinds without any are left out.
pub(super) fn count(db: &Connection, filter: &EventFilter) -> Result<BTreeMap<EventKind, u64>> {
    let kinds = match filter.kinds.is_empty() {
        true => &EventKind::ALL[..],
        false => &filter.kinds[..],
    };
    let mut counts = BTreeMap::new();
    for kind in kinds {
        let conditions = Conditions::of(
            db,
            &EventFilter {
                kinds: vec![*kind],
                ..filter.clone()
            },
        );
        let clause = conditions.where_clause();
        let text = format!("SELECT count(*) FROM events e{clause}");
        let row = db.first(&text, &conditions.values)?;
        let count = row.map_or(Ok(0), |row| row.number(0))?;
        if count > 0 {
            counts.insert(*kind, count);
        }
    }
    Ok(counts)
}

impl Store {
    /// Stretches of continuous recording; kinds and labels of the filter do not count.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_segments(&self, filter: &EventFilter) -> Result<Vec<Segment>> {
        let mut conditions = Conditions::of_segments(filter);
        let order = Order::of(filter);
        if let Some(after) = filter.after {
            let beyond = order.beyond();
            conditions.add(
                &format!(
                    "(e.started, e.id) {beyond} (SELECT started, id FROM segments WHERE id = ?)"
                ),
                [after.as_bytes().to_vec().into()],
            );
        }
        let clause = conditions.where_clause();
        conditions.values.push(limit_of(filter));
        let (inner, outer) = (order.clause("e"), order.clause("f"));
        let text = format!(
            "SELECT r.seq, r.body FROM (SELECT seq, started, id FROM segments e{clause}{inner} LIMIT ?) f
             JOIN records r ON r.seq = f.seq{outer}"
        );
        let db = self.reader()?;
        let rows = db.query(&text, &conditions.values)?;
        let segment = |mut row: Row| {
            let (seq, body) = (row.number(0)?, row.take(1));
            parse_body(&db.body(seq, RecordKind::Segment, body)?)
        };
        rows.into_iter().map(segment).collect()
    }
}
