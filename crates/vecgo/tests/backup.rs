//! Backups on real files: what is restored is what was committed, whatever came before, between and after.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and looks into directories"
)]

mod oracle;
mod random;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use oracle::Model;
use random::Rng;
use tempfile::TempDir;
use vecgo::{
    Collection, Config, Database, ErrorKind, Id, Index, Keep, Metric, Record, Retention,
    WhichBackup, backups, json, restore,
};

const DIM: usize = 4;

fn config() -> Config {
    Config::new(DIM, Metric::L2)
}

struct Place {
    dir: TempDir,
    rng: Rng,
}

impl Place {
    fn new(seed: u64) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), rng: Rng(seed) }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self) -> Database {
        let open = vecgo::open(self.at("data")).memtable_bytes(64 << 10).index_rows(64);
        let open = open.auto_compact(false);
        open.retention(Retention { versions: 2, ..Retention::default() }).wait().unwrap()
    }

    /// Whose searches find the nearest for certain.
    fn docs(&self) -> (Database, Collection) {
        self.docs_as(config().with_index(Index::Flat))
    }

    fn docs_as(&self, config: Config) -> (Database, Collection) {
        let database = self.open();
        let docs = database.open_or_create("docs", config).wait().unwrap();
        (database, docs)
    }

    fn record(&mut self, id: u64) -> Record {
        let vector: Vec<f32> = (0..DIM).map(|_| self.rng.below(100) as f32).collect();
        let id = if id.is_multiple_of(3) { Id::from(format!("t{id}")) } else { Id::from(id) };
        let record = Record::new(id, vector).metadata(json!({"n": self.rng.below(9)}));
        if self.rng.below(3) == 0 { record.payload(vec![7; 20]) } else { record }
    }

    /// A few writes, to a collection and to what it should hold.
    fn write(&mut self, docs: &Collection, model: &mut Model) {
        for _ in 0..1 + self.rng.below(4) {
            let from = self.rng.below(300);
            let records: Vec<Record> =
                (from..from + 1 + self.rng.below(40)).map(|id| self.record(id)).collect();
            if self.rng.below(4) == 0 {
                let ids: Vec<Id> = records.into_iter().map(|record| record.id).collect();
                ids.iter().for_each(|id| drop(model.remove(id)));
                docs.delete(ids).wait().unwrap();
            } else {
                model.extend(records.iter().map(|r| (r.id.clone(), r.clone())));
                docs.upsert(records).wait().unwrap();
            }
        }
        match self.rng.below(5) {
            0 => drop(docs.flush().wait().unwrap()),
            1 => drop(docs.compact().wait().unwrap()),
            _ => {}
        }
    }

    fn restored(&self, name: &str, which: WhichBackup) -> (Collection, u64) {
        let to = self.at(name);
        let restored = restore(self.at("backups"), &to).which(which).collection("docs");
        let restored = restored.verify(true).wait().unwrap();
        let version = restored.copied.collections[0].version;
        let database = vecgo::open(&to).wait().unwrap();
        (database.collection("docs").wait().unwrap(), version)
    }
}

/// Everything that can be read is what a model says.
fn check_all(docs: &Collection, model: &Model) {
    let ids: Vec<Id> = (0..300u64).flat_map(|n| [Id::from(n), Id::from(format!("t{n}"))]).collect();
    oracle::check_all(model, docs, &ids, &[vec![50.0; DIM], vec![0.0, 99.0, 0.0, 99.0]]);
}

/// Every file below a directory, with when it was last written.
fn files(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            // A writer may delete what it has replaced while it is looked at.
            let Ok(about) = entry.metadata() else { continue };
            found.insert(entry.path(), about.modified().unwrap());
        }
    }
    found
}

#[test]
fn every_version_that_was_backed_up_comes_back() {
    let mut place = Place::new(1);
    let (database, docs) = place.docs();
    let (mut model, mut made) = (Model::new(), Vec::new());
    for _ in 0..25 {
        place.write(&docs, &mut model);
        let version = docs.commit().wait().unwrap();
        let then = model.clone();
        // What comes after the version is none of the backup.
        place.write(&docs, &mut model);
        let snapshot = database.snapshot(place.at("backups")).version("docs", version);
        match snapshot.wait() {
            Ok(backup) => made.push((backup, then)),
            // Flushes and merges have made others since, and two are kept.
            Err(error) => assert_eq!(error.kind(), ErrorKind::VersionGone),
        }
    }
    docs.close().wait().unwrap();
    assert!(made.len() > 10);
    let listed = backups(place.at("backups")).list().wait().unwrap();
    assert_eq!(listed.len(), made.len());
    for (number, (backup, model)) in made.iter().enumerate() {
        let (docs, version) =
            place.restored(&format!("by-id-{number}"), WhichBackup::Id(backup.id));
        assert_eq!(version, backup.collections[0].version);
        check_all(&docs, model);
        // It goes on like any other.
        docs.upsert([Record::new("more", [0.0; DIM])]).wait().unwrap();
        assert!(docs.commit().wait().unwrap() > version);
        let time = backup.collections[0].created_ms;
        let (docs, by_time) = place.restored(&format!("by-time-{number}"), WhichBackup::At(time));
        assert!(by_time >= version, "{by_time}, of the same millisecond as {version}");
        if by_time == version {
            check_all(&docs, model);
        }
        let which = WhichBackup::Version(version);
        check_all(&place.restored(&format!("by-version-{number}"), which).0, model);
    }
    let checked = backups(place.at("backups")).verify(None).wait().unwrap();
    assert_eq!((checked.backups, checked.damage.len()), (made.len() as u64, 0));
}

#[test]
fn only_what_is_new_is_copied() {
    let mut place = Place::new(2);
    let (database, docs) = place.docs_as(config());
    let records: Vec<Record> = (0..5000).map(|id| place.record(id)).collect();
    for some in records.chunks(200) {
        docs.upsert(some.to_vec()).wait().unwrap();
    }
    docs.compact().wait().unwrap();
    let first = database.snapshot(place.at("backups")).wait().unwrap();
    assert_eq!((first.copied_bytes, first.objects), (first.bytes, 1));

    // Nothing new: not a byte is written, and it is the same backup.
    let before = files(&place.at("backups"));
    let source = files(&place.at("data"));
    let again = database.snapshot(place.at("backups")).wait().unwrap();
    assert_eq!((again.id, again.copied_bytes), (first.id, 0));
    assert_eq!(files(&place.at("backups")), before);
    // Of the database too, which tidies up after itself meanwhile.
    for (path, written) in files(&place.at("data")) {
        assert_eq!(source.get(&path), Some(&written), "{}", path.display());
    }

    // One in a hundred: the log since then.
    docs.upsert((0..50).map(|id| place.record(id)).collect::<Vec<_>>()).wait().unwrap();
    docs.commit().wait().unwrap();
    let second = database.snapshot(place.at("backups")).wait().unwrap();
    assert!(second.copied_bytes * 1000 < first.bytes * 12, "{second:?} after {first:?}");
    // And of a log that has grown only what is new of it.
    docs.upsert([Record::new(1u64, [0.0; DIM])]).wait().unwrap();
    docs.commit().wait().unwrap();
    let third = database.snapshot(place.at("backups")).wait().unwrap();
    assert!(third.copied_bytes * 10 < second.copied_bytes, "{third:?} after {second:?}");
    assert_eq!(third.bytes, second.bytes + third.copied_bytes);
    let (restored, _) = place.restored("new", WhichBackup::Newest);
    assert_eq!(restored.count(), docs.count());
    assert_eq!(restored.get(1u64).wait().unwrap().unwrap().vector, [0.0; DIM]);
}

#[test]
fn collections_come_back_together_or_alone() {
    let mut place = Place::new(3);
    let (database, docs) = place.docs();
    let mut model = Model::new();
    place.write(&docs, &mut model);
    docs.commit().wait().unwrap();
    database.create("empty", Config::new(2, Metric::Dot)).wait().unwrap();
    let backup = database.snapshot(place.at("backups")).wait().unwrap();
    let names: Vec<&str> = backup.collections.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["docs", "empty"]);

    // Beside the one that is in use, which is dropped then.
    let beside = restore(place.at("backups"), place.at("data")).collection("docs").named("before");
    let beside = beside.wait().unwrap();
    assert_eq!(beside.copied.collections[0].name, "before");
    docs.close().wait().unwrap();
    database.drop_collection("docs").wait().unwrap();
    check_all(&database.collection("before").wait().unwrap(), &model);

    restore(place.at("backups"), place.at("new")).verify(true).wait().unwrap();
    let new = vecgo::open(place.at("new")).wait().unwrap();
    let names: Vec<String> =
        new.collections().wait().unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["docs", "empty"]);
    check_all(&new.collection("docs").wait().unwrap(), &model);
    assert_eq!(new.collection("empty").wait().unwrap().count(), 0);

    // Names that are taken keep all of it away.
    let taken = restore(place.at("backups"), place.at("new")).wait().unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    assert_eq!(new.collections().wait().unwrap().len(), 2);
}

#[test]
fn clones_stand_alone() {
    let mut place = Place::new(4);
    let (database, docs) = place.docs();
    let mut model = Model::new();
    for _ in 0..5 {
        place.write(&docs, &mut model);
    }
    docs.flush().wait().unwrap();
    docs.delete([1u64]).wait().unwrap();
    model.remove(&Id::from(1u64));
    docs.commit().wait().unwrap();
    let within = database.clone_collection("docs", "copy").wait().unwrap();
    let to = database.clone_to(place.at("other")).collection("docs").wait().unwrap();
    // What passes through here is the log alone.
    assert!(within.copied_bytes < within.bytes / 4, "{within:?}");
    assert_eq!(to.bytes, within.bytes);
    let copy = database.collection("copy").wait().unwrap();
    check_all(&copy, &model);
    copy.delete_where(vecgo::filter::exists("n")).wait().unwrap();
    copy.compact().wait().unwrap();
    check_all(&docs, &model);
    docs.close().wait().unwrap();
    database.drop_collection("docs").wait().unwrap();
    let other = vecgo::open(place.at("other")).wait().unwrap();
    check_all(&other.collection("docs").wait().unwrap(), &model);
    for database in [&database, &other] {
        assert!(database.verify().wait().unwrap().damage.is_empty());
    }
    let taken = database.clone_collection("copy", "copy").wait().unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
}

/// One process writes, another that has no right to write makes the backups.
#[test]
fn a_reader_backs_up_beside_the_writer() {
    let mut place = Place::new(5);
    let (_writing, docs) = place.docs();
    let mut model = Model::new();
    let reading = vecgo::open(place.at("data")).read_only(true).wait().unwrap();
    for number in 0..10 {
        place.write(&docs, &mut model);
        docs.commit().wait().unwrap();
        let backup = reading.snapshot(place.at("backups")).wait().unwrap();
        let pinned = files(&place.at("data")).into_keys();
        assert!(pinned.into_iter().all(|path| !path.to_str().unwrap().contains("/pin/")));
        let id = WhichBackup::Id(backup.id);
        check_all(&place.restored(&format!("new-{number}"), id).0, &model);
    }
}

#[test]
fn a_copy_that_was_stopped_goes_on_from_there() {
    let mut place = Place::new(6);
    let (database, docs) = place.docs_as(config());
    for _ in 0..6 {
        let records: Vec<Record> = (0..200).map(|id| place.record(id)).collect();
        docs.upsert(records).wait().unwrap();
        docs.flush().wait().unwrap();
    }
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let stopped = database.snapshot(place.at("backups")).progress(move |progress| {
        assert!(progress.total_bytes >= progress.bytes);
        match counted.fetch_add(1, Ordering::Relaxed) {
            0..=2 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    });
    assert_eq!(stopped.wait().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    let error = backups(place.at("backups")).list().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("never came to its end"), "{error}");
    let refused = restore(place.at("backups"), place.at("new")).wait().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert!(!place.at("new").exists());
    let made = database.snapshot(place.at("backups")).wait().unwrap();
    assert!(made.copied_bytes < made.bytes, "{made:?}: nothing was gone on from");

    // A restore that is stopped leaves nothing behind.
    let stopped = restore(place.at("backups"), place.at("new"));
    let stopped = stopped.progress(|_| ControlFlow::Break(())).wait().unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Closed);
    assert!(!place.at("new").exists());
    restore(place.at("backups"), place.at("new")).verify(true).wait().unwrap();
}

#[test]
fn a_database_backs_itself_up() {
    let mut place = Place::new(7);
    let open = vecgo::open(place.at("data"))
        .backup_to(place.at("backups"))
        .backup_interval(Duration::from_millis(20))
        .backup_keep(Keep { last: 3, daily: 0, weekly: 0 });
    let database = open.wait().unwrap();
    let docs = database.open_or_create("docs", config().with_index(Index::Flat)).wait().unwrap();
    let mut model = Model::new();
    for _ in 0..8 {
        place.write(&docs, &mut model);
        let version = docs.commit().wait().unwrap();
        let backed_up = || docs.stats().backup.unwrap().version;
        while backed_up().is_none_or(|backed_up| backed_up < version) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let stats = docs.stats().backup.unwrap();
    assert!(stats.last.is_some() && stats.last_ms.is_some() && stats.failure.is_none());
    drop(database);
    drop(docs);
    // The last prune may be a moment from its end.
    let kept = || backups(place.at("backups")).list().wait().unwrap().len();
    while kept() > 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    check_all(&place.restored("new", WhichBackup::Newest).0, &model);
}

#[test]
fn a_backup_that_fails_says_so_and_is_tried_again() {
    let place = Place::new(8);
    // In the way: a place that is a database.
    let other = vecgo::open(place.at("backups")).wait().unwrap();
    other.create("x", Config::new(1, Metric::L2)).wait().unwrap();
    let open = vecgo::open(place.at("data")).backup_to(place.at("backups"));
    let database = open.backup_interval(Duration::from_millis(10)).wait().unwrap();
    let docs = database.open_or_create("docs", config().with_index(Index::Flat)).wait().unwrap();
    docs.upsert([Record::new(1u64, [0.0; DIM])]).wait().unwrap();
    docs.commit().wait().unwrap();
    let failure = loop {
        if let Some(failure) = docs.stats().backup.unwrap().failure {
            break failure;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(failure.kind(), ErrorKind::InvalidArgument);
    for entry in std::fs::read_dir(place.at("backups")).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    while docs.stats().backup.unwrap().version != Some(1) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(docs.stats().backup.unwrap().failure.is_none());
}

#[test]
fn a_budget_is_kept() {
    let mut place = Place::new(9);
    let (database, docs) = place.docs();
    let records: Vec<Record> = (0..200).map(|id| place.record(id)).collect();
    docs.upsert(records).wait().unwrap();
    docs.flush().wait().unwrap();
    let begun = std::time::Instant::now();
    let made = database.snapshot(place.at("backups")).bytes_per_second(40_000).wait().unwrap();
    // However fast the machine is, so many bytes take so long.
    assert!(begun.elapsed() >= Duration::from_micros(made.copied_bytes * 25), "{made:?}");
}

#[test]
fn what_cannot_be_is_refused() {
    let place = Place::new(10);
    let (database, docs) = place.docs();
    let kind = |error: vecgo::Error| error.kind();
    let snapshot = |to: &str| database.snapshot(to).wait().map(drop).map_err(kind);
    assert_eq!(snapshot("memory://"), Err(ErrorKind::InvalidArgument));
    assert_eq!(snapshot(place.at("data").to_str().unwrap()), Err(ErrorKind::InvalidArgument));
    let missing = database.snapshot(place.at("backups")).collection("nope").wait();
    assert_eq!(missing.map(drop).map_err(kind), Err(ErrorKind::NotFound));
    let gone = database.snapshot(place.at("backups")).version("docs", 7).wait();
    assert_eq!(gone.map(drop).map_err(kind), Err(ErrorKind::VersionGone));
    docs.upsert([Record::new(1u64, [0.0; DIM])]).wait().unwrap();
    docs.commit().wait().unwrap();
    database.snapshot(place.at("backups")).wait().unwrap();
    let restored = |which| {
        let restored = restore(place.at("backups"), place.at("new")).which(which);
        restored.collection("docs").wait().map(drop).map_err(kind)
    };
    assert_eq!(restored(WhichBackup::Id(1)), Err(ErrorKind::NotFound));
    assert_eq!(restored(WhichBackup::Version(9)), Err(ErrorKind::NotFound));
    assert_eq!(restored(WhichBackup::At(1)), Err(ErrorKind::NotFound));
    let named = restore(place.at("backups"), place.at("new")).collection("docs").named("../up");
    assert_eq!(named.wait().map(drop).map_err(kind), Err(ErrorKind::InvalidArgument));
    let several = restore(place.at("backups"), place.at("new")).named("one").wait();
    assert_eq!(several.map(drop).map_err(kind), Err(ErrorKind::InvalidArgument));
    assert!(!place.at("new").exists());
    let twice = vecgo::open(place.at("data")).backup_interval(Duration::from_secs(1)).wait();
    assert_eq!(twice.map(drop).map_err(kind), Err(ErrorKind::InvalidArgument));
}

/// A link in a backup is not followed out of it, even to the very bytes that should be there.
#[test]
fn links_are_not_followed() {
    let mut place = Place::new(11);
    let (database, docs) = place.docs();
    let mut model = Model::new();
    place.write(&docs, &mut model);
    docs.flush().wait().unwrap();
    database.snapshot(place.at("backups")).wait().unwrap();
    let mut data = files(&place.at("backups")).into_keys();
    let data = data.rfind(|path| path.to_str().unwrap().contains("/data/")).unwrap();
    let outside = place.at("outside");
    std::fs::rename(&data, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &data).unwrap();
    let refused = restore(place.at("backups"), place.at("new")).wait().unwrap_err();
    let name = data.file_name().unwrap().to_str().unwrap();
    assert!(refused.message().contains(name), "{refused}");
    assert!(!place.at("new").exists());
    std::fs::remove_file(&data).unwrap();
    std::fs::rename(&outside, &data).unwrap();
    restore(place.at("backups"), place.at("new")).wait().unwrap();
}

/// Backups are made and deleted by several at once, and each of those that are left is whole.
#[test]
fn many_at_once() {
    let mut place = Place::new(12);
    let (database, docs) = place.docs();
    let (mut models, at) = (BTreeMap::<u64, Model>::new(), place.at("backups"));
    std::thread::scope(|scope| {
        let makers: Vec<_> = (0..3)
            .map(|_| {
                let (database, at) = (database.clone(), at.clone());
                scope.spawn(move || {
                    for _ in 0..12 {
                        database.snapshot(&at).wait().unwrap();
                        match backups(&at).prune(Keep { last: 4, daily: 0, weekly: 0 }).wait() {
                            Ok(_) => {}
                            Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
                        }
                    }
                })
            })
            .collect();
        let mut model = Model::new();
        while makers.iter().any(|maker| !maker.is_finished()) {
            place.write(&docs, &mut model);
            let version = docs.commit().wait().unwrap();
            models.insert(version, model.clone());
        }
    });
    let left = backups(&at).list().wait().unwrap();
    assert!(!left.is_empty());
    for (number, backup) in left.iter().enumerate() {
        let (restored, version) = place.restored(&format!("{number}"), WhichBackup::Id(backup.id));
        // A flush or a merge makes versions of its own.
        if let Some(model) = models.get(&version) {
            check_all(&restored, model);
        }
    }
    let pruned = backups(&at).prune(Keep { last: 1, daily: 0, weekly: 0 }).wait().unwrap();
    assert_eq!(pruned.kept, 1);
    let copies = files(&at).into_keys().filter(|path| path.to_str().unwrap().contains("/data/"));
    assert_eq!(copies.count() as u64, backups(&at).list().wait().unwrap()[0].objects);
}

/// A copy that is lost is made again, and no backup is said to be there that needs it.
#[test]
fn a_copy_that_is_lost_is_made_again() {
    let mut place = Place::new(13);
    let (database, docs) = place.docs();
    let mut model = Model::new();
    place.write(&docs, &mut model);
    docs.flush().wait().unwrap();
    let first = database.snapshot(place.at("backups")).wait().unwrap();
    for path in files(&place.at("backups")).into_keys() {
        if path.to_str().unwrap().contains("/data/") {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(backups(place.at("backups")).verify(None).wait().unwrap().damage.len(), 1);
    let second = database.snapshot(place.at("backups")).wait().unwrap();
    assert_eq!((second.copied_bytes, second.bytes), (first.bytes, first.bytes));
    check_all(&place.restored("new", WhichBackup::Id(second.id)).0, &model);
    // And the one that cannot be restored is deleted.
    let place_of = backups(place.at("backups"));
    assert_eq!(place_of.delete(first.id).wait().unwrap().kept, 1);
    assert_eq!(place_of.delete(first.id).wait().unwrap_err().kind(), ErrorKind::NotFound);
    assert!(place_of.verify(None).wait().unwrap().damage.is_empty());
}

/// A backup of one collection does not push out the only one of another, and a wrong path makes nothing.
#[test]
fn the_newest_of_each_collection_stays() {
    let mut place = Place::new(14);
    let (database, docs) = place.docs();
    database.create("other", Config::new(1, Metric::L2)).wait().unwrap();
    let mut model = Model::new();
    place.write(&docs, &mut model);
    docs.commit().wait().unwrap();
    let both = database.snapshot(place.at("backups")).wait().unwrap();
    // One that has it is enough: nothing is written.
    let one = database.snapshot(place.at("backups")).collection("docs").wait().unwrap();
    assert_eq!((one.id, one.copied_bytes), (both.id, 0));
    for _ in 0..4 {
        place.write(&docs, &mut model);
        docs.commit().wait().unwrap();
        database.snapshot(place.at("backups")).collection("docs").wait().unwrap();
    }
    let pruned = backups(place.at("backups")).prune(Keep { last: 1, daily: 0, weekly: 0 });
    assert_eq!(pruned.wait().unwrap().kept, 2);
    assert!(backups(place.at("backups")).list().wait().unwrap().iter().any(|b| b.id == both.id));
    let nowhere = backups(place.at("nowhere")).prune(Keep::default()).wait().unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    assert!(!place.at("nowhere").exists());
    // A damaged inventory is not passed over in silence.
    let inventory = files(&place.at("backups")).into_keys();
    let mut inventories = inventory.filter(|path| path.to_str().unwrap().contains("/inventory/"));
    std::fs::write(inventories.next().unwrap(), b"none").unwrap();
    for which in [WhichBackup::Newest, WhichBackup::At(u64::MAX)] {
        let refused =
            restore(place.at("backups"), place.at("new")).which(which).wait().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corruption, "{refused}");
    }
    let which = WhichBackup::Id(both.id);
    restore(place.at("backups"), place.at("deep/down/new")).which(which).wait().unwrap();
    // Nobody knows what it needs, so nothing is deleted until it is.
    let there = backups(place.at("backups"));
    let refused = there.prune(Keep::default()).wait().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corruption, "{refused}");
    let broken = there.list().wait().unwrap().into_iter().find(|b| b.failure.is_some()).unwrap();
    assert_eq!(there.delete(broken.id).wait().unwrap().kept, 1);
    assert!(there.verify(None).wait().unwrap().damage.is_empty());
    there.prune(Keep::default()).wait().unwrap();
}
