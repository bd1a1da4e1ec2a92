//! Processes that make backups, delete them and restore them are killed at random moments, beside a writer that goes on:
//! each backup that claims to be whole restores to exactly one committed version. `VECGO_BACKUP_KILLS` says
//! how many kills (40).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the clock, starts processes and prints"
)]

mod random;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use random::Rng;
use vecgo::{
    Collection, Config, ErrorKind, Id, Keep, Metric, Record, Retention, WhichBackup, backups,
    restore,
};

/// Ids and the first values of their vectors.
type Model = BTreeMap<u64, f32>;

fn path(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

/// Not a test of its own: what the child process runs, until it is killed.
#[test]
fn child() {
    let Some(folder) = path("VECGO_BACKUP_CHILD") else { return };
    let (data, place) = (folder.join("data"), folder.join("backups"));
    let number: u64 = std::env::var("VECGO_BACKUP_CHILD_NUMBER").unwrap().parse().unwrap();
    for turn in 0.. {
        let made = vecgo::open(&data).auto_vacuum(false).wait().unwrap().snapshot(&place).wait();
        made.unwrap();
        let to = folder.join(format!("restored-{number}-{turn}"));
        restore(&place, &to).wait().unwrap();
        std::fs::remove_dir_all(&to).unwrap();
        match backups(&place).prune(Keep { last: 5, daily: 0, weekly: 0 }).wait() {
            Ok(_) => {}
            // One was killed a moment ago.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
        }
    }
}

fn spawn(folder: &Path, number: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env("VECGO_BACKUP_CHILD", folder)
        .env("VECGO_BACKUP_CHILD_NUMBER", number.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn write(docs: &Collection, model: &mut Model, rng: &mut Rng) {
    let from = rng.below(400);
    let rows: Vec<(u64, f32)> =
        (from..from + 1 + rng.below(60)).map(|id| (id, rng.below(1000) as f32)).collect();
    if rng.below(4) == 0 {
        model.retain(|id, _| rows.iter().all(|(gone, _)| gone != id));
        docs.delete(rows.iter().map(|(id, _)| *id)).wait().unwrap();
    } else {
        model.extend(rows.iter().copied());
        docs.upsert(rows.iter().map(|(id, x)| Record::new(*id, [*x, 1.0]))).wait().unwrap();
    }
}

fn contents(docs: &Collection) -> Model {
    let mut found = Model::new();
    let mut scan = docs.scan().with_vector().wait().unwrap();
    while let Some(page) = scan.next_page().wait().unwrap() {
        for record in page {
            let Id::Number(id) = record.id else { panic!("{:?}", record.id) };
            found.insert(id, record.vector[0]);
        }
    }
    found
}

/// Every backup that is listed restores, to what its version held.
fn check(folder: &Path, models: &BTreeMap<u64, Model>) -> usize {
    let place = folder.join("backups");
    let listed = match backups(&place).list().wait() {
        Ok(listed) => listed,
        Err(error) if error.kind() == ErrorKind::NotFound => return 0,
        Err(error) => panic!("{error}"),
    };
    for backup in &listed {
        assert!(backup.failure.is_none(), "{backup:?}");
        let to = folder.join(format!("check-{:016x}", backup.id));
        let restored = restore(&place, &to).which(WhichBackup::Id(backup.id)).wait().unwrap();
        let docs = vecgo::open(&to).read_only(true).wait().unwrap();
        let docs = docs.collection("docs").wait().unwrap();
        let (version, found) = (restored.copied.collections[0].version, contents(&docs));
        match models.get(&version) {
            Some(model) => assert_eq!(found, *model, "version {version}"),
            // One that a flush or a merge has made holds what some commit before or after it does.
            None => assert!(
                version == 0 || models.values().any(|model| *model == found),
                "version {version} is none that was committed"
            ),
        }
        std::fs::remove_dir_all(&to).unwrap();
    }
    listed.len()
}

#[test]
fn whatever_claims_to_be_whole_is() {
    let kills = std::env::var("VECGO_BACKUP_KILLS").ok().and_then(|kills| kills.parse().ok());
    let (kills, folder): (u64, _) = (kills.unwrap_or(40), tempfile::tempdir().unwrap());
    let mut rng = Rng(kills);
    let open = vecgo::open(folder.path().join("data")).memtable_bytes(64 << 10);
    let open = open.retention(Retention { versions: 2, ..Retention::default() });
    let docs = open.wait().unwrap().open_or_create("docs", Config::new(2, Metric::L2));
    let docs = docs.wait().unwrap();
    let (mut model, mut models) = (Model::new(), BTreeMap::new());
    models.insert(0, Model::new());
    let mut restores = 0;
    for kill in 0..kills {
        let mut child = spawn(folder.path(), kill);
        let until = Instant::now() + Duration::from_millis(20 + rng.below(100));
        while Instant::now() < until {
            // Every state is that of a commit, so that every version is.
            write(&docs, &mut model, &mut rng);
            models.insert(docs.commit().wait().unwrap(), model.clone());
            if rng.below(6) == 0 {
                docs.flush().wait().unwrap();
            }
        }
        assert_eq!(child.try_wait().unwrap(), None, "the child ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        if kill % 4 == 3 {
            restores += check(folder.path(), &models);
        }
        // What a killed restore has left, no database yet or one with nothing in it, stands in nobody's way.
        for entry in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
            if !entry.file_name().to_str().unwrap().starts_with("restored") {
                continue;
            }
            let there = vecgo::open(entry.path()).wait().unwrap();
            let names = there.collections().wait().unwrap();
            if names.is_empty() && folder.path().join("backups/backup/inventory").exists() {
                restore(folder.path().join("backups"), entry.path()).verify(true).wait().unwrap();
            }
            drop(there);
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    assert!(restores > 0);
    println!("{kills} kills, {} versions, {restores} restores checked", models.len());
}
