//! A model of garbage collection beside running backups (FORMAT.md, section 5), checked in every
//! order of steps and with a crash of anybody at any step.
//!
//! The storage is what `Storage` promises: creates and removes take effect at once, listings show
//! what is there. A listing is one step. What a collector reads before it plans is one step as a
//! whole: nothing rests on the plan, because it looks again after its intent.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use stateright::{Checker, Model, Property};

/// A set of chunks, packs, or index objects: one bit each.
type Set = u16;

/// Packs and their index objects: 0 is old, then two for the attempts of each writer, then one for
/// what each collector copies. Index objects that collectors make come after those.
const OLD: usize = 0;
const PACKS: usize = 7;

fn of_writer(writer: usize, attempt: usize) -> usize {
    1 + 2 * writer + attempt
}

fn of_collector(collector: usize) -> usize {
    5 + collector
}

fn bit(at: usize) -> Set {
    1 << at
}

fn has(set: Set, at: usize) -> bool {
    set & bit(at) != 0
}

fn members(set: Set) -> impl Iterator<Item = usize> {
    (0..16).filter(move |at| has(set, *at))
}

/// How the protocol is broken, to see that it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    AsItIs,
    /// A writer publishes without looking at what collectors say after its pending object is there.
    WriterDoesNotLook,
    /// A writer looks at what collectors say, and not whether its packs are there.
    WriterDoesNotList,
    /// A collector lists pending objects and snapshots before its intent is there.
    PendingBeforeIntent,
    /// A collector lists snapshots before pending objects.
    SnapshotsBeforePending,
    /// A collector lists packs before it reads the index.
    PacksBeforeIndex,
    /// A collector rescues whatever pack comes first, be it another's to remove.
    AnyPackRescued,
    /// A collector rescues a pack of its own that another collector removes too.
    SharedPackRescued,
    /// A collector spares the packs that pending objects name, and does not care what becomes of
    /// their chunks if another collector removes those packs.
    ChunksOfPendingIgnored,
    /// A collector does not look again when a pack that a pending object names is gone.
    NeverLooksAgain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum WriterAt {
    Start,
    Pack,
    Index,
    Pending,
    Gc,
    List { named: Set },
    Publish,
    Release,
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Writer {
    at: WriterAt,
    attempt: usize,
    avoid: Set,
    /// Packs it rests on.
    rests: Set,
    to_store: Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CollectorAt {
    Purge,
    Plan,
    Tombstone,
    Copy,
    CopyIndex,
    Intent,
    Gc,
    Pending,
    Snapshots,
    Trash,
    ReadIndex,
    Packs,
    NewIndex,
    OldIndex,
    Remove,
    EndIntent,
    Ended,
}

/// What a collector has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct View {
    named: Set,
    protected: Set,
    /// Pending objects, by writer and attempt.
    pending: Set,
    live: Set,
    /// Packs in the index.
    indexed: Set,
    /// Index objects read.
    covered: Set,
    packs: Set,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Collector {
    at: CollectorAt,
    doomed: Set,
    waiting: Set,
    /// Chunks to copy.
    wanted: Set,
    view: View,
    sweep: Set,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    packs: Set,
    content: [Set; PACKS],
    /// Index objects, and what those of collectors name.
    index: Set,
    replaced: [Set; 2],
    /// By writer and attempt.
    pending: [Option<Set>; 4],
    tombstones: [Option<Set>; 2],
    intents: [Option<Set>; 2],
    /// 0 is forgotten meanwhile, 1 stays, 2 and 3 are the writers'.
    snapshots: Set,
    trash: bool,
    forgetting: u8,
    writers: Vec<Writer>,
    collectors: Vec<Collector>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Forget,
    Write(usize),
    /// A collector takes a step; when it plans it may also copy what could stay.
    Collect(usize, bool),
    CrashWriter(usize),
    CrashCollector(usize),
}

struct Gc {
    protocol: Protocol,
    writers: usize,
    collectors: usize,
    crashes: bool,
    /// Whether snapshot 0 is forgotten at the beginning, and not at any time.
    forgotten: bool,
}

impl State {
    fn index_names(&self, object: usize) -> Set {
        match object {
            object if object < PACKS => bit(object),
            object => self.replaced[object - PACKS],
        }
    }

    fn indexed(&self, objects: Set) -> Set {
        members(objects).fold(0, |all, object| all | self.index_names(object))
    }

    fn needs(snapshot: usize) -> Set {
        match snapshot {
            0 => 0b11,
            1 => 0b10,
            2 => 0b01,
            _ => 0b11,
        }
    }

    fn holders(&self, chunk: usize, among: Set) -> Set {
        members(among)
            .filter(|pack| has(self.content[*pack], chunk))
            .fold(0, |all, pack| all | bit(pack))
    }

    /// Whether all that a snapshot needs is in a pack that is there and in the index.
    fn restorable(&self, snapshot: usize) -> bool {
        let good = self.packs & self.indexed(self.index);
        members(Self::needs(snapshot)).all(|chunk| self.holders(chunk, good) != 0)
    }

    fn all_pending(&self) -> Set {
        self.pending
            .iter()
            .flatten()
            .fold(0, |all, packs| all | packs)
    }

    fn pending_objects(&self) -> Set {
        (0..4)
            .filter(|slot| self.pending[*slot].is_some())
            .fold(0, |all, slot| all | bit(slot))
    }

    /// Chunks of packs that pending objects name.
    fn announced(&self, view: &View) -> Set {
        let packs = view.protected & view.indexed & view.packs;
        members(packs).fold(0, |all, pack| all | self.content[pack])
    }

    fn live(snapshots: Set, trash: bool) -> Set {
        let trashed = if trash { Self::needs(0) } else { 0 };
        members(snapshots).fold(trashed, |all, snapshot| all | Self::needs(snapshot))
    }

    fn intents_but(&self, collector: usize) -> Set {
        let others = self.intents.iter().enumerate();
        others
            .filter(|(other, _)| *other != collector)
            .filter_map(|(_, packs)| *packs)
            .fold(0, |all, packs| all | packs)
    }

    fn tombstones_but(&self, collector: usize) -> Set {
        let others = self.tombstones.iter().enumerate();
        others
            .filter(|(other, _)| *other != collector)
            .filter_map(|(_, packs)| *packs)
            .fold(0, |all, packs| all | packs)
    }

    /// The pack that is to go on holding a chunk, and whether it may be relied on.
    fn choose(&self, view: &View, chunk: usize, own: Set, high: bool) -> Option<(usize, bool)> {
        let there = self.holders(chunk, view.indexed & view.packs);
        let pick = |set: Set| {
            let mut all: Vec<usize> = members(set).collect();
            if high {
                all.reverse();
            }
            all.first().copied()
        };
        let good = there & !own & !view.named;
        pick(good & view.protected)
            .or_else(|| pick(good))
            .map(|pack| (pack, true))
            .or_else(|| pick(there & own & !view.named).map(|pack| (pack, false)))
            .or_else(|| pick(there & own).map(|pack| (pack, false)))
            .or_else(|| pick(there).map(|pack| (pack, false)))
    }
}

impl Gc {
    fn write(&self, state: &mut State, number: usize) {
        let writer = state.writers[number].clone();
        let pack = of_writer(number, writer.attempt);
        let slot = 2 * number + writer.attempt;
        let needs = State::needs(2 + number);
        let mut next = writer.clone();
        match writer.at {
            WriterAt::Start => {
                let named = state.intents.iter().chain(&state.tombstones).flatten();
                next.avoid |= named.fold(0, |all, packs| all | packs);
                next.avoid |= !state.packs;
                next.rests = 0;
                next.to_store = 0;
                let usable = state.indexed(state.index) & !next.avoid;
                for chunk in members(needs) {
                    match members(state.holders(chunk, usable)).next() {
                        Some(pack) => next.rests |= bit(pack),
                        None => next.to_store |= bit(chunk),
                    }
                }
                next.avoid = 0;
                next.at = match next.to_store {
                    0 => WriterAt::Pending,
                    _ => WriterAt::Pack,
                };
            }
            WriterAt::Pack => {
                state.packs |= bit(pack);
                state.content[pack] = writer.to_store;
                next.rests |= bit(pack);
                next.to_store = 0;
                next.at = WriterAt::Index;
            }
            WriterAt::Index => {
                state.index |= bit(pack);
                next.at = WriterAt::Pending;
            }
            WriterAt::Pending => {
                state.pending[slot] = Some(writer.rests);
                next.at = match self.protocol {
                    Protocol::WriterDoesNotLook => WriterAt::Publish,
                    _ => WriterAt::Gc,
                };
            }
            WriterAt::Gc => {
                let named = state
                    .intents
                    .iter()
                    .flatten()
                    .fold(0, |all, packs| all | packs);
                next.at = WriterAt::List { named };
            }
            WriterAt::List { named } => {
                let mut conflicts = writer.rests & named;
                if self.protocol != Protocol::WriterDoesNotList {
                    conflicts |= writer.rests & !state.packs;
                }
                if conflicts == 0 {
                    next.at = WriterAt::Publish;
                } else if writer.attempt == 0 {
                    // The pending object stays until the next attempt has succeeded.
                    next.avoid = conflicts;
                    next.rests = 0;
                    next.attempt = 1;
                    next.at = WriterAt::Start;
                } else {
                    next.at = WriterAt::Release;
                }
            }
            WriterAt::Publish => {
                state.snapshots |= bit(2 + number);
                next.rests = 0;
                next.at = WriterAt::Release;
            }
            WriterAt::Release => {
                state.pending[2 * number] = None;
                state.pending[2 * number + 1] = None;
                next.at = WriterAt::Ended;
            }
            WriterAt::Ended => unreachable!("it takes no step"),
        }
        state.writers[number] = next;
    }

    fn collect(&self, state: &mut State, number: usize, copy: bool) {
        let collector = state.collectors[number].clone();
        let mut next = collector.clone();
        let high = number == 1;
        let copied = of_collector(number);
        match collector.at {
            CollectorAt::Purge => {
                if state.trash && !has(state.snapshots, 0) {
                    state.trash = false;
                }
                next.at = CollectorAt::Plan;
            }
            CollectorAt::Plan => self.plan(state, number, copy, &mut next),
            CollectorAt::Tombstone => {
                if self.protocol == Protocol::PendingBeforeIntent {
                    next.view.protected = state.all_pending();
                    next.view.live = State::live(state.snapshots, state.trash);
                }
                state.tombstones[number] = Some(collector.doomed | collector.waiting);
                next.at = match (collector.doomed, collector.wanted) {
                    (0, _) => CollectorAt::Ended,
                    (_, 0) => CollectorAt::Intent,
                    _ => CollectorAt::Copy,
                };
            }
            CollectorAt::Copy => {
                state.packs |= bit(copied);
                state.content[copied] = collector.wanted;
                next.wanted = 0;
                next.at = CollectorAt::CopyIndex;
            }
            CollectorAt::CopyIndex => {
                state.index |= bit(copied);
                next.at = CollectorAt::Intent;
            }
            CollectorAt::Intent => {
                state.intents[number] = Some(collector.doomed);
                next.at = CollectorAt::Gc;
            }
            CollectorAt::Gc => {
                next.view.named = state.intents_but(number);
                next.at = match self.protocol {
                    Protocol::PendingBeforeIntent => CollectorAt::ReadIndex,
                    Protocol::SnapshotsBeforePending => CollectorAt::Snapshots,
                    _ => CollectorAt::Pending,
                };
            }
            CollectorAt::Pending => {
                next.view.protected = state.all_pending();
                next.view.pending = state.pending_objects();
                next.at = match self.protocol {
                    Protocol::SnapshotsBeforePending => CollectorAt::ReadIndex,
                    _ => CollectorAt::Snapshots,
                };
            }
            CollectorAt::Snapshots => {
                next.view.live = State::live(state.snapshots, false);
                next.at = match (self.protocol, self.forgotten) {
                    (Protocol::AsItIs, true) => CollectorAt::ReadIndex,
                    _ => CollectorAt::Trash,
                };
            }
            CollectorAt::Trash => {
                next.view.live |= State::live(0, state.trash);
                if self.protocol == Protocol::PacksBeforeIndex {
                    next.view.packs = state.packs;
                }
                next.at = match self.protocol {
                    Protocol::SnapshotsBeforePending => CollectorAt::Pending,
                    _ => CollectorAt::ReadIndex,
                };
            }
            CollectorAt::ReadIndex => {
                next.view.covered = state.index;
                next.view.indexed = state.indexed(state.index);
                next.at = CollectorAt::Packs;
            }
            CollectorAt::Packs => {
                if self.protocol != Protocol::PacksBeforeIndex {
                    next.view.packs = state.packs;
                }
                self.decide(state, high, &mut next);
            }
            CollectorAt::NewIndex => {
                let kept = collector.view.indexed & collector.view.packs & !collector.sweep;
                state.replaced[number] = kept;
                state.index |= bit(PACKS + number);
                next.at = CollectorAt::OldIndex;
            }
            CollectorAt::OldIndex => {
                state.index &= !collector.view.covered;
                state.index |= bit(PACKS + number);
                next.view = View::default();
                next.at = CollectorAt::Remove;
            }
            CollectorAt::Remove => match members(collector.sweep & state.packs).next() {
                Some(pack) => {
                    state.packs &= !bit(pack);
                    next.sweep &= !bit(pack);
                }
                None => {
                    next.sweep = 0;
                    next.at = CollectorAt::EndIntent;
                }
            },
            CollectorAt::EndIntent => {
                state.intents[number] = None;
                state.tombstones[number] = match collector.waiting {
                    0 => None,
                    waiting => Some(waiting),
                };
                next.waiting = 0;
                for other in (0..2).filter(|other| *other != number) {
                    state.tombstones[other] = None;
                    if state.intents[other].is_some_and(|packs| packs & state.packs == 0) {
                        state.intents[other] = None;
                    }
                }
                next.at = CollectorAt::Ended;
            }
            CollectorAt::Ended => unreachable!("it takes no step"),
        }
        state.collectors[number] = next;
    }

    fn plan(&self, state: &State, number: usize, copy: bool, next: &mut Collector) {
        let high = number == 1;
        let view = View {
            named: state.intents_but(number),
            protected: state.all_pending(),
            pending: 0,
            live: State::live(state.snapshots, state.trash),
            indexed: state.indexed(state.index),
            covered: state.index,
            packs: state.packs,
        };
        let (mut used, mut rewrite) = (0, 0);
        let live = view.live | state.announced(&view);
        for chunk in members(live) {
            let (pack, good) = state
                .choose(&view, chunk, 0, high)
                .expect("what is needed is there");
            used |= bit(pack);
            if !good {
                rewrite |= bit(pack);
            }
        }
        if copy {
            rewrite |= used;
        }
        rewrite &= !view.protected;
        let unused = view.packs & !used & !view.protected;
        let known = view.indexed | view.named | state.tombstones_but(number);
        next.doomed = (unused & known) | rewrite;
        next.waiting = unused & !known;
        next.wanted = members(live)
            .filter(|chunk| {
                let good = state.choose(&view, *chunk, next.doomed, high);
                !good.is_some_and(|(_, good)| good)
            })
            .filter(|chunk| state.holders(*chunk, rewrite) != 0)
            .fold(0, |all, chunk| all | bit(chunk));
        next.at = match next.doomed | next.waiting {
            0 => CollectorAt::Ended,
            _ => CollectorAt::Tombstone,
        };
    }

    fn decide(&self, state: &State, high: bool, next: &mut Collector) {
        let view = next.view;
        let unsure = view.protected & !(view.indexed & view.packs);
        let released = view.pending & !state.pending_objects();
        if unsure != 0 && released != 0 && self.protocol != Protocol::NeverLooksAgain {
            // A backup has ended since, and its pack is gone: another collector knows why.
            next.view = View::default();
            next.at = CollectorAt::Gc;
            return;
        }
        let mut sweep = next.doomed & view.packs & !view.protected;
        let own = sweep;
        let announced = match self.protocol {
            Protocol::ChunksOfPendingIgnored => 0,
            _ => state.announced(&view),
        };
        for chunk in members(view.live | announced) {
            let chosen = match self.protocol {
                Protocol::AnyPackRescued => {
                    let there = state.holders(chunk, view.indexed & view.packs);
                    let good = there & !own & !view.named;
                    let first = members(good).next().or_else(|| members(there).next());
                    first.map(|pack| (pack, good != 0))
                }
                Protocol::SharedPackRescued => {
                    let unnamed = View {
                        named: view.named & !own,
                        ..view
                    };
                    state.choose(&unnamed, chunk, own, high)
                }
                _ => state.choose(&view, chunk, own, high),
            };
            match chosen {
                Some((_, true)) => {}
                Some((pack, false)) => sweep &= !bit(pack),
                None if !has(view.live, chunk) => {}
                None if state.index != view.covered => {
                    // Another collector moves it: look again.
                    next.view = View::default();
                    next.at = CollectorAt::Gc;
                    return;
                }
                None => {
                    // Something is lost: nothing is removed.
                    next.doomed = 0;
                    next.view = View::default();
                    next.at = CollectorAt::EndIntent;
                    return;
                }
            }
        }
        next.sweep = sweep;
        next.doomed = 0;
        (next.view.named, next.view.protected, next.view.live) = (0, 0, 0);
        next.at = CollectorAt::NewIndex;
    }
}

impl Model for Gc {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut content = [0; PACKS];
        content[OLD] = 0b11;
        let writer = Writer {
            at: WriterAt::Start,
            attempt: 0,
            avoid: 0,
            rests: 0,
            to_store: 0,
        };
        let collector = Collector {
            at: match self.forgotten {
                true => CollectorAt::Plan,
                false => CollectorAt::Purge,
            },
            doomed: 0,
            waiting: 0,
            wanted: 0,
            view: View::default(),
            sweep: 0,
        };
        let state = State {
            packs: bit(OLD),
            content,
            index: bit(OLD),
            replaced: [0; 2],
            pending: [None; 4],
            tombstones: [None; 2],
            intents: [None; 2],
            snapshots: if self.forgotten { 0b10 } else { 0b11 },
            trash: false,
            forgetting: if self.forgotten { 2 } else { 0 },
            writers: vec![writer; self.writers],
            collectors: vec![collector; self.collectors],
        };
        // With snapshot 1 there is something to copy; without it all is removed.
        let alone = State {
            snapshots: state.snapshots & 0b01,
            ..state.clone()
        };
        vec![state, alone]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        if state.forgetting < 2 {
            actions.push(Step::Forget);
        }
        for (number, writer) in state.writers.iter().enumerate() {
            if writer.at != WriterAt::Ended {
                actions.push(Step::Write(number));
                if self.crashes {
                    actions.push(Step::CrashWriter(number));
                }
            }
        }
        for (number, collector) in state.collectors.iter().enumerate() {
            if collector.at != CollectorAt::Ended {
                actions.push(Step::Collect(number, false));
                if collector.at == CollectorAt::Plan {
                    actions.push(Step::Collect(number, true));
                }
                if self.crashes {
                    actions.push(Step::CrashCollector(number));
                }
            }
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Forget => {
                match state.forgetting {
                    0 => state.trash = true,
                    _ => state.snapshots &= !bit(0),
                }
                state.forgetting += 1;
            }
            Step::Write(number) => self.write(&mut state, number),
            Step::Collect(number, copy) => self.collect(&mut state, number, copy),
            Step::CrashWriter(number) => {
                let writer = &mut state.writers[number];
                writer.at = WriterAt::Ended;
                (writer.avoid, writer.rests, writer.to_store) = (0, 0, 0);
            }
            Step::CrashCollector(number) => {
                let collector = &mut state.collectors[number];
                collector.at = CollectorAt::Ended;
                collector.view = View::default();
                (collector.doomed, collector.waiting) = (0, 0);
                (collector.wanted, collector.sweep) = (0, 0);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(RESTORABLE, |_, state: &State| {
                let trashed = !state.trash || state.restorable(0);
                trashed && members(state.snapshots).all(|snapshot| state.restorable(snapshot))
            }),
            Property::sometimes("a pack is removed", |_, state: &State| {
                !has(state.packs, OLD)
            }),
            Property::sometimes("a snapshot is published", |_, state: &State| {
                state.writers.is_empty() || state.snapshots & 0b1100 != 0
            }),
            Property::sometimes("a writer begins again", |_, state: &State| {
                state.writers.is_empty() || state.writers.iter().any(|writer| writer.attempt > 0)
            }),
        ]
    }
}

const RESTORABLE: &str = "every snapshot can be restored";

fn check(model: Gc) -> bool {
    let Gc {
        protocol,
        writers,
        collectors,
        crashes,
        ..
    } = model;
    let checker = model.checker().threads(2).spawn_bfs().join();
    eprintln!(
        "{protocol:?}, {writers} writers, {collectors} collectors, crashes: {crashes}: {} states",
        checker.unique_state_count()
    );
    if protocol == Protocol::AsItIs {
        checker.assert_properties();
    }
    checker.discovery(RESTORABLE).is_none()
}

fn holds(writers: usize, collectors: usize, forgotten: bool) {
    assert!(check(Gc {
        protocol: Protocol::AsItIs,
        writers,
        collectors,
        crashes: true,
        forgotten,
    }));
}

#[test]
fn a_writer_a_collector_and_forget() {
    holds(1, 1, false);
}

#[test]
fn two_collectors_and_forget() {
    holds(0, 2, false);
}

#[test]
fn two_writers_and_a_collector() {
    holds(2, 1, true);
}

#[test]
fn a_writer_and_two_collectors() {
    holds(1, 2, true);
}

#[test]
fn every_rule_is_needed() {
    let fails = |protocol, writers, collectors| {
        let model = Gc {
            protocol,
            writers,
            collectors,
            crashes: false,
            forgotten: collectors == 2 && writers > 0,
        };
        assert!(!check(model), "{protocol:?} does no harm");
    };
    fails(Protocol::WriterDoesNotLook, 1, 1);
    fails(Protocol::WriterDoesNotList, 1, 1);
    fails(Protocol::PendingBeforeIntent, 1, 1);
    fails(Protocol::SnapshotsBeforePending, 1, 1);
    fails(Protocol::PacksBeforeIndex, 1, 1);
    fails(Protocol::AnyPackRescued, 0, 2);
    fails(Protocol::SharedPackRescued, 1, 2);
    fails(Protocol::ChunksOfPendingIgnored, 1, 2);
    fails(Protocol::NeverLooksAgain, 1, 2);
}
