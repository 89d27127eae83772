//! Finding events.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::database::Database;
use super::labels::{after_prefix, fold_label};
use super::model::{Event, EventFilter, EventId, EventKind, Segment};
use super::sqlite::{Store, nanoseconds, parse_body};
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
    pub fn of(filter: &EventFilter) -> Self {
        let mut this = Self::new();
        this.cameras(filter);
        this.kinds(filter);
        this.times(filter, "e");
        this.labels(filter);
        this.label_prefix(filter);
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

    fn labels(&mut self, filter: &EventFilter) {
        if !filter.labels.is_empty() {
            let places = vec!["?"; filter.labels.len()].join(", ");
            self.add(
                &format!(
                    "EXISTS (SELECT 1 FROM labels WHERE labels.id = e.id AND label IN ({places}))"
                ),
                filter.labels.iter().map(|label| folded(label)),
            );
        }
    }

    fn label_prefix(&mut self, filter: &EventFilter) {
        if let Some((from, to)) = prefix_range(filter) {
            self.add(
                "EXISTS (SELECT 1 FROM labels
                 WHERE labels.id = e.id AND label >= ? AND label < ?)",
                [from, to],
            );
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

fn folded(label: &str) -> Value {
    fold_label(label).into_bytes().into()
}

/// Between which labels those with the prefix are; none if every event answers to it.
fn prefix_range(filter: &EventFilter) -> Option<(Value, Value)> {
    let prefix = fold_label(filter.label_prefix.as_deref()?);
    let range = || {
        (
            prefix.clone().into_bytes().into(),
            after_prefix(&prefix).into(),
        )
    };
    (!prefix.is_empty()).then(range)
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
    from: &'static str,
    /// The table with the order.
    table: &'static str,
    conditions: Conditions,
}

/// The ways that lead to all events of a filter, each through an index that has them in order: so
/// that a page costs what is on it, however many events there are.
struct Arms<'a> {
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

    /// By one label each.
    fn by_label(&self) -> Vec<Arm> {
        let mut conditions = self.base("l");
        conditions.cameras(self.filter);
        conditions.kinds(self.filter);
        conditions.label_prefix(self.filter);
        let arm = |label: &String| {
            let mut conditions = conditions.clone();
            conditions.add("l.label = ?", [folded(label)]);
            Arm::by_label(conditions)
        };
        self.filter.labels.iter().map(arm).collect()
    }

    /// By all labels that begin alike.
    fn by_prefix(&self, from: Value, to: Value) -> Vec<Arm> {
        let mut conditions = self.base("l");
        conditions.cameras(self.filter);
        conditions.kinds(self.filter);
        conditions.add("l.label >= ? AND l.label < ?", [from, to]);
        vec![Arm::by_label(conditions)]
    }

    /// By kinds or cameras, or through all events.
    fn by_event(&self) -> Vec<Arm> {
        let filter = self.filter;
        let mut conditions = self.base("e");
        conditions.labels(filter);
        conditions.label_prefix(filter);
        if !filter.kinds.is_empty() {
            conditions.cameras(filter);
            let arm = |kind: &EventKind| {
                let mut conditions = conditions.clone();
                conditions.add("kind = ?", [name_of(*kind)]);
                Arm::by_event("events e INDEXED BY events_kind", conditions)
            };
            return filter.kinds.iter().map(arm).collect();
        }
        if !filter.cameras.is_empty() && filter.cameras.len() <= MAX_ARMS {
            let arm = |camera: &String| {
                let mut conditions = conditions.clone();
                conditions.add("camera = ?", [camera.clone().into()]);
                Arm::by_event("events e INDEXED BY events_camera", conditions)
            };
            return filter.cameras.iter().map(arm).collect();
        }
        conditions.cameras(filter);
        vec![Arm::by_event("events e", conditions)]
    }

    fn choose(&self, db: &Connection) -> rusqlite::Result<Vec<Arm>> {
        if !self.filter.labels.is_empty() {
            return Ok(match self.filter.labels.len() {
                ..=MAX_ARMS => self.by_label(),
                _ => self.by_event(),
            });
        }
        let Some((from, to)) = prefix_range(self.filter) else {
            return Ok(self.by_event());
        };
        let beyond = FEW + 1;
        let text = format!(
            "SELECT count(*) FROM
             (SELECT 1 FROM labels WHERE label >= ? AND label < ? LIMIT {beyond}) found"
        );
        let count: i64 = db
            .prepare_cached(&text)?
            .query_row([&from, &to], |row| row.get(0))?;
        Ok(match count {
            ..=FEW => self.by_prefix(from, to),
            _ => self.by_event(),
        })
    }
}

impl Arm {
    fn by_label(conditions: Conditions) -> Self {
        Self {
            // A join that is not turned round.
            from: "labels l CROSS JOIN events e ON e.id = l.id",
            table: "l",
            conditions,
        }
    }

    fn by_event(from: &'static str, conditions: Conditions) -> Self {
        Self {
            from,
            table: "e",
            conditions,
        }
    }

    /// Selects seq, started and id, and gives the values that it needs.
    fn select(&self, order: Order, limit: Value) -> (String, Vec<Value>) {
        let Self {
            from,
            table,
            conditions,
        } = self;
        let distinct = match *table {
            // Several labels of one event may answer.
            "l" => "DISTINCT ",
            _ => "",
        };
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
pub(super) fn list_numbered(
    db: &Connection,
    filter: &EventFilter,
    database: &Database,
) -> Result<Vec<(u64, Event)>> {
    let after = filter.after.map(|id| {
        let started = db
            .prepare_cached("SELECT started FROM events WHERE id = ?")
            .and_then(|mut statement| {
                statement
                    .query_row([id.as_bytes()], |row| row.get(0))
                    .optional()
            })
            .map_err(database.failed())?;
        Ok::<_, Error>((started.ok_or(Error::NoSuchEvent { id })?, id))
    });
    let arms = Arms {
        filter,
        after: after.transpose()?,
    };
    let (order, limit) = (Order::of(filter), limit_of(filter));
    let records = || -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
        let (texts, values): (Vec<_>, Vec<_>) = arms
            .choose(db)?
            .iter()
            .map(|arm| arm.select(order, limit.clone()))
            .unzip();
        let mut values = values.concat();
        let found = match &texts[..] {
            [one] => one.clone(),
            several => {
                values.push(limit.clone());
                let arms: Vec<_> = several
                    .iter()
                    .map(|arm| format!("SELECT * FROM ({arm}) arm"))
                    .collect();
                let (arms, order) = (arms.join(" UNION "), order.clause("a"));
                format!("SELECT * FROM ({arms}) a{order} LIMIT ?")
            }
        };
        let order = order.clause("f");
        let text =
            format!("SELECT r.seq, r.body FROM ({found}) f JOIN records r ON r.seq = f.seq{order}");
        let mut statement = db.prepare_cached(&text)?;
        statement
            .query_map(params_from_iter(&values), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect()
    };
    numbered(&records().map_err(database.failed())?)
}

/// The states of events after a number.
pub(super) fn changes(
    db: &Connection,
    after: u64,
    limit: usize,
    database: &Database,
) -> Result<Vec<(u64, Event)>> {
    let (Ok(after), limit) = (
        i64::try_from(after),
        i64::try_from(limit).unwrap_or(i64::MAX),
    ) else {
        return Ok(Vec::new());
    };
    let records = || -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
        db.prepare_cached(
            "SELECT seq, body FROM records WHERE seq > ? AND kind = 1 ORDER BY seq LIMIT ?",
        )?
        .query_map([after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
    };
    numbered(&records().map_err(database.failed())?)
}

fn numbered(records: &[(i64, Vec<u8>)]) -> Result<Vec<(u64, Event)>> {
    records
        .iter()
        .map(|(seq, body)| Ok((seq.cast_unsigned(), parse_body(body)?)))
        .collect()
}

/// How many events of each kind there are; kinds without any are left out.
pub(super) fn count(
    db: &Connection,
    filter: &EventFilter,
) -> rusqlite::Result<BTreeMap<EventKind, u64>> {
    let kinds = match filter.kinds.is_empty() {
        true => &EventKind::ALL[..],
        false => &filter.kinds[..],
    };
    let mut counts = BTreeMap::new();
    for kind in kinds {
        let conditions = Conditions::of(&EventFilter {
            kinds: vec![*kind],
            ..filter.clone()
        });
        let clause = conditions.where_clause();
        let text = format!("SELECT count(*) FROM events e{clause}");
        let count: i64 = db
            .prepare_cached(&text)?
            .query_row(params_from_iter(&conditions.values), |row| row.get(0))?;
        if count > 0 {
            counts.insert(*kind, count.cast_unsigned());
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
            "SELECT r.body FROM (SELECT seq, started, id FROM segments e{clause}{inner} LIMIT ?) f
             JOIN records r ON r.seq = f.seq{outer}"
        );
        let db = self.reader()?;
        let bodies = || -> rusqlite::Result<Vec<Vec<u8>>> {
            let mut statement = db.prepare_cached(&text)?;
            statement
                .query_map(params_from_iter(&conditions.values), |row| row.get(0))?
                .collect()
        };
        let bodies = bodies().map_err(self.database.failed())?;
        bodies.iter().map(|body| parse_body(body)).collect()
    }
}
