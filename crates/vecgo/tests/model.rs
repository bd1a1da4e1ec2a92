//! Random sequences of all operations, with flushes, reopenings, kills, readers and old versions
//! in between, compared after each step with a map and a brute-force search.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the clock, starts threads and prints"
)]

mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use oracle::{Model, check_all};
use proptest::prelude::*;
use vecgo::{Collection, Config, Database, ErrorKind, Id, Metric, Record, Update, WalSync, json};

const DIM: usize = 4;
const IDS: usize = 24;

/// Half numbers, half texts, some of which look alike.
fn id(n: usize) -> Id {
    if n.is_multiple_of(2) { Id::from(n as u64) } else { Id::from((n - 1).to_string()) }
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<(usize, [i8; DIM])>),
    Insert(Vec<(usize, [i8; DIM])>),
    Update { id: usize, vector: Option<[i8; DIM]>, patch: u8, payload: u8 },
    Delete(Vec<usize>),
    Commit,
    Flush,
    Compact,
    Close,
    Kill,
    Reader,
    OldVersion(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = || (0..IDS, prop::array::uniform4(-3i8..=3));
    let rows = || prop::collection::vec(row(), 0..20);
    let step = prop_oneof![
        8 => rows().prop_map(Step::Upsert),
        2 => rows().prop_map(Step::Insert),
        4 => (0..IDS, prop::option::of(prop::array::uniform4(-3i8..=3)), 0..4u8, 0..3u8)
            .prop_map(|(id, vector, patch, payload)| Step::Update { id, vector, patch, payload }),
        4 => prop::collection::vec(0..IDS, 0..6).prop_map(Step::Delete),
        3 => Just(Step::Commit),
        4 => Just(Step::Flush),
        2 => Just(Step::Compact),
        2 => Just(Step::Close),
        2 => Just(Step::Kill),
        2 => Just(Step::Reader),
        2 => (0..100usize).prop_map(Step::OldVersion),
    ];
    prop::collection::vec(step, 1..40)
}

fn vector(values: [i8; DIM]) -> Vec<f32> {
    // Never zero, so that every metric takes it.
    values.iter().enumerate().map(|(i, v)| f32::from(*v) + if i == 0 { 0.5 } else { 0.0 }).collect()
}

fn record((n, values): (usize, [i8; DIM]), step: usize) -> Record {
    let record = Record::new(id(n), vector(values));
    match (n + step) % 3 {
        0 => record,
        1 => record.metadata(json!({"step": step, "n": n, "deep": {"list": [1, 1.5, null]}})),
        _ => record.metadata(json!({"step": step})).payload(vec![7; n % 5]),
    }
}

/// The collection under test beside what it should hold.
struct Run<'a> {
    path: &'a Path,
    config: Config,
    wal_sync: WalSync,
    db: Option<Database>,
    docs: Option<Collection>,
    model: Model,
    /// What the collection was after each write, by sequence number.
    history: BTreeMap<u64, Model>,
    /// What each version holds.
    versions: BTreeMap<u64, Model>,
    /// The last write of the last commit.
    committed: u64,
    sequence: u64,
}

impl Run<'_> {
    fn open(&mut self) {
        // Small enough that a few dozen rows fill it.
        let open = vecgo::open(self.path).memtable_bytes(64 << 10).wal_sync(self.wal_sync);
        let db = open.wait().unwrap();
        self.docs = Some(db.open_or_create("docs", self.config).wait().unwrap());
        self.db = Some(db);
    }

    fn docs(&self) -> &Collection {
        self.docs.as_ref().unwrap()
    }

    fn wrote(&mut self, ack: vecgo::Ack) {
        assert!(ack.sequence >= self.sequence);
        assert!(ack.durable || self.wal_sync != WalSync::EveryWrite || ack.records == 0);
        self.sequence = ack.sequence;
        self.history.insert(ack.sequence, self.model.clone());
    }

    fn note_version(&mut self, version: u64) {
        if version > 0 {
            self.versions.insert(version, self.model.clone());
        }
        self.committed = self.sequence;
    }

    fn step(&mut self, number: usize, step: Step) {
        match step {
            Step::Upsert(rows) => {
                let records: Vec<_> = rows.into_iter().map(|row| record(row, number)).collect();
                let ack = self.docs().upsert(records.clone()).wait().unwrap();
                self.model.extend(records.into_iter().map(|r| (r.id.clone(), r)));
                self.wrote(ack);
            }
            Step::Insert(rows) => {
                let records: Vec<_> = rows.into_iter().map(|row| record(row, number)).collect();
                let inserted = self.docs().insert(records.clone()).wait();
                let mut ids = BTreeSet::new();
                let is_there = |r: &Record| self.model.contains_key(&r.id);
                if records.iter().any(|r| is_there(r) || !ids.insert(r.id.clone())) {
                    assert_eq!(inserted.unwrap_err().kind(), ErrorKind::AlreadyExists);
                } else {
                    self.model.extend(records.into_iter().map(|r| (r.id.clone(), r)));
                    self.wrote(inserted.unwrap());
                }
            }
            Step::Update { id: n, vector: values, patch, payload } => {
                self.update(id(n), values.map(vector), patch, payload);
            }
            Step::Delete(ids) => {
                let ids: Vec<Id> = ids.into_iter().map(id).collect();
                let ack = self.docs().delete(ids.clone()).wait().unwrap();
                let gone = ids.iter().filter(|id| self.model.remove(id).is_some()).count();
                assert_eq!(ack.records, gone);
                self.wrote(ack);
            }
            Step::Commit => {
                let version = self.docs().commit().wait().unwrap();
                self.note_version(version);
            }
            Step::Flush => {
                let version = self.docs().flush().wait().unwrap();
                self.note_version(version);
                assert_eq!(self.docs().stats().memtable_rows, 0);
            }
            Step::Compact => {
                let version = self.docs().compact().wait().unwrap();
                self.note_version(version);
                let stats = self.docs().stats();
                assert!(stats.segments.len() <= 1, "{:?}", stats.segments);
                assert_eq!((stats.memtable_rows, stats.dead_rows), (0, 0));
            }
            Step::Close => {
                self.docs().close().wait().unwrap();
                let closed = self.docs().upsert([]).wait().unwrap_err();
                assert_eq!(closed.kind(), ErrorKind::Closed);
                self.reopen();
                let version = self.docs().version();
                self.note_version(version);
            }
            Step::Kill => self.reopen(),
            Step::Reader => self.read_beside(),
            Step::OldVersion(pick) => {
                let Some((version, model)) =
                    self.versions.iter().nth(pick % self.versions.len().max(1))
                else {
                    return;
                };
                let old = self.docs().at_version(*version).wait().unwrap();
                check_all(model, &old, &ids(), &queries());
                assert_eq!(old.upsert([]).wait().unwrap_err().kind(), ErrorKind::ReadOnly);
            }
        }
    }

    fn update(&mut self, id: Id, vector: Option<Vec<f32>>, patch: u8, payload: u8) {
        let mut update = Update::new(id.clone());
        let mut expected = self.model.get(&id).cloned();
        let mut change = |change: &dyn Fn(&mut Record)| expected.as_mut().map(change);
        if let Some(vector) = vector {
            change(&|record| record.vector = vector.clone());
            update = update.vector(vector);
        }
        match patch {
            0 => {}
            1 => {
                change(&|record| record.metadata = json!({"new": true}));
                update = update.metadata(json!({"new": true}));
            }
            2 => {
                change(&|record| record.metadata["patched"] = json!(1));
                update = update.merge_metadata(json!({"patched": 1}));
            }
            _ => {
                change(&|record| {
                    record.metadata.as_object_mut().unwrap().remove("n");
                });
                update = update.merge_metadata(json!({"n": null}));
            }
        }
        match payload {
            0 => {}
            1 => {
                change(&|record| record.payload = Some(vec![1, 2]));
                update = update.payload([1, 2]);
            }
            _ => {
                change(&|record| record.payload = None);
                update = update.remove_payload();
            }
        }
        let updated = self.docs().update([update]).wait();
        match expected {
            None => assert_eq!(updated.unwrap_err().kind(), ErrorKind::NotFound),
            Some(record) => {
                self.model.insert(id, record);
                self.wrote(updated.unwrap());
            }
        }
    }

    /// Ends the writer without a commit, as a kill does, and opens again. All that was
    /// acknowledged reached the operating system, so all of it is there.
    fn reopen(&mut self) {
        self.docs = None;
        self.db = None;
        self.open();
    }

    /// A reader in a database of its own sees one version: a prefix of the writes, at least to
    /// the last commit.
    fn read_beside(&self) {
        let db = vecgo::open(self.path).read_only(true).wait().unwrap();
        let reader = db.collection("docs").wait().unwrap();
        let sequence = reader.stats().sequence;
        assert!(sequence >= self.committed, "{sequence} before {}", self.committed);
        match self.history.get(&sequence) {
            Some(model) => check_all(model, &reader, &ids(), &queries()),
            None => assert_eq!(sequence, 0),
        }
    }
}

fn ids() -> Vec<Id> {
    (0..IDS).map(id).collect()
}

fn queries() -> Vec<Vec<f32>> {
    [[1, 0, 0, 0], [-2, 3, 1, 0], [0, -1, -3, 2], [3, 3, 3, 3], [0, 0, 1, 0]].map(vector).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("VECGO_MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(150),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_collection_is_its_model(
        metric in prop_oneof![Just(Metric::Cosine), Just(Metric::L2), Just(Metric::Dot)],
        every_write in any::<bool>(),
        steps in steps(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut run = Run {
            path: dir.path(),
            config: Config::new(DIM, metric),
            wal_sync: if every_write { WalSync::EveryWrite } else { WalSync::OnCommit },
            db: None,
            docs: None,
            model: Model::new(),
            history: BTreeMap::new(),
            versions: BTreeMap::new(),
            committed: 0,
            sequence: 0,
        };
        run.open();
        for (number, step) in steps.into_iter().enumerate() {
            run.step(number, step);
            check_all(&run.model, run.docs(), &ids(), &queries());
        }
        run.reopen();
        check_all(&run.model, run.docs(), &ids(), &queries());
        let report = run.db.as_ref().unwrap().verify().wait().unwrap();
        prop_assert_eq!(report.damage, []);
    }
}
