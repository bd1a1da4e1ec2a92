//! A child process writes, the parent kills it at a random moment and holds what was acknowledged
//! against what is there afterwards. `VECGO_KILLS` says how many kills (60).

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
mod random;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use oracle::{Model, check_all};
use random::Rng;
use vecgo::{Collection, Config, ErrorKind, Id, Metric, Record, WalSync, json};

const DIM: usize = 8;
const IDS: u64 = 300;
const KILLS_A_DIRECTORY: u64 = 12;

enum Step {
    Upsert(Vec<Record>),
    Delete(Vec<Id>),
    Commit,
    Flush,
    Compact,
}

fn id(n: u64) -> Id {
    if n.is_multiple_of(3) { Id::from(format!("text-{n}")) } else { Id::from(n) }
}

/// Step `number` of the run that `seed` names, the same in every process.
fn step(seed: u64, number: u64) -> Step {
    let mut rng = Rng(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    match rng.below(21) {
        0..14 => {
            let rows = 1 + rng.below(25);
            let record = |rng: &mut Rng| {
                let n = rng.below(IDS);
                let vector: Vec<f32> = (0..DIM).map(|_| rng.below(9) as f32 - 4.0).collect();
                let record = Record::new(id(n), vector).metadata(json!({"step": number, "n": n}));
                if n.is_multiple_of(4) { record.payload(vec![n as u8; 100]) } else { record }
            };
            Step::Upsert((0..rows).map(|_| record(&mut rng)).collect())
        }
        14..17 => Step::Delete((0..1 + rng.below(12)).map(|_| id(rng.below(IDS))).collect()),
        17..19 => Step::Commit,
        19 => Step::Flush,
        _ => Step::Compact,
    }
}

fn apply(model: &mut Model, step: Step) {
    match step {
        Step::Upsert(records) => model.extend(records.into_iter().map(|r| (r.id.clone(), r))),
        Step::Delete(ids) => ids.iter().for_each(|id| drop(model.remove(id))),
        Step::Commit | Step::Flush | Step::Compact => {}
    }
}

fn sync_of(seed: u64) -> WalSync {
    match seed % 3 {
        0 => WalSync::EveryWrite,
        1 => WalSync::Interval(Duration::from_millis(3)),
        _ => WalSync::OnCommit,
    }
}

fn open(path: &Path, seed: u64) -> Collection {
    let open = vecgo::open(path).memtable_bytes(64 << 10).wal_sync(sync_of(seed));
    open.wait().unwrap().open_or_create("docs", Config::new(DIM, Metric::L2)).wait().unwrap()
}

/// Not a test of its own: what the child process runs.
#[test]
fn child() {
    let Ok(path) = std::env::var("VECGO_KILL_CHILD") else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (seed, start) = (number("VECGO_KILL_SEED"), number("VECGO_KILL_START"));
    let docs = open(Path::new(&path), seed);
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "@{line}").and_then(|()| out.flush()).unwrap();
    };
    say("open 0".to_owned());
    for n in start.. {
        say(format!("begin {n}"));
        match step(seed, n) {
            Step::Upsert(records) => drop(docs.upsert(records).wait().unwrap()),
            Step::Delete(ids) => drop(docs.delete(ids).wait().unwrap()),
            Step::Commit => drop(docs.commit().wait().unwrap()),
            Step::Flush => drop(docs.flush().wait().unwrap()),
            Step::Compact => drop(docs.compact().wait().unwrap()),
        }
        say(format!("done {n}"));
    }
}

fn spawn(path: &Path, seed: u64, start: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env("VECGO_KILL_CHILD", path)
        .env("VECGO_KILL_SEED", seed.to_string())
        .env("VECGO_KILL_START", start.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Lets a child run for a while and kills it: the first step after those that were acknowledged,
/// and the first after those that were begun.
fn run_and_kill(path: &Path, seed: u64, start: u64, rng: &mut Rng) -> (u64, u64) {
    let mut child = spawn(path, seed, start);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    // One in three is not waited for, so that it may be killed while it opens.
    let opens = rng.below(3) > 0;
    if opens {
        lines.find(|line| line.ends_with("@open 0")).expect("the child opened the database");
    }
    let pid = child.id();
    let wait = Duration::from_micros(rng.below(40_000));
    let killer = std::thread::spawn(move || {
        std::thread::sleep(wait);
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    });
    let (mut acknowledged, mut begun) = (start, start);
    for line in lines {
        // The kill may cut the last line short; what it would have said is then unknown.
        let mut words = line.rsplit('@').next().unwrap_or_default().split(' ');
        match (words.next(), words.next().and_then(|n| n.parse::<u64>().ok())) {
            (Some("begin"), Some(n)) if n == begun => begun = n + 1,
            (Some("done"), Some(n)) if n + 1 == begun => acknowledged = begun,
            _ => {}
        }
    }
    killer.join().unwrap();
    assert!(!child.wait().unwrap().success(), "the child ended by itself");
    (acknowledged, begun)
}

/// The first step after those whose effect is there: of the possible ones, the one that fits.
fn find_state(docs: &Collection, models: &[(u64, Model)]) -> (u64, Model) {
    let mut there = Model::new();
    let mut scan = docs.scan().with_vector().with_payload().wait().unwrap();
    while let Some(page) = scan.next_page().wait().unwrap() {
        there.extend(page.into_iter().map(|record| (record.id.clone(), record)));
    }
    let fits = models.iter().rev().find(|(_, model)| *model == there);
    fits.cloned().unwrap_or_else(|| {
        let expected: Vec<_> = models.iter().map(|(n, model)| (n, model.len())).collect();
        panic!("{} records there; expected those after one of {expected:?}", there.len())
    })
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    let kills = std::env::var("VECGO_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(60u64);
    let mut rng = Rng(std::env::var("VECGO_KILL_SEED_BASE").map_or(7, |s| s.parse().unwrap()));
    let ids: Vec<Id> = (0..IDS).map(id).collect();
    let queries = [vec![1.0; DIM], vec![-3.0; DIM]];
    let (mut done, mut steps) = (0, 0);
    while done < kills {
        let dir = tempfile::tempdir().unwrap();
        let seed = rng.next();
        let (mut next, mut model) = (0, Model::new());
        for _ in 0..KILLS_A_DIRECTORY.min(kills - done) {
            let (acknowledged, begun) = run_and_kill(dir.path(), seed, next, &mut rng);
            let mut models = Vec::new();
            for n in next..=begun {
                if n >= acknowledged {
                    models.push((n, model.clone()));
                }
                apply(&mut model, step(seed, n));
            }
            let docs = open(dir.path(), seed);
            (next, model) = find_state(&docs, &models);
            check_all(&model, &docs, &ids, &queries);
            // The next child must find the lock free; a dropped handle lets go a moment later.
            docs.close().wait().unwrap();
            steps += begun;
            done += 1;
        }
        // However often its merges and its recoveries were cut short.
        let docs = open(dir.path(), seed);
        docs.compact().wait().unwrap();
        let stats = docs.stats();
        assert!(stats.segments.len() <= 1 && stats.dead_rows == 0, "seed {seed}: {stats:?}");
        check_all(&model, &docs, &ids, &queries);
        docs.close().wait().unwrap();
        let report = vecgo::open(dir.path()).wait().unwrap().verify().wait().unwrap();
        assert_eq!(report.damage, [], "seed {seed}");
    }
    println!("{done} kills, {steps} steps begun, nothing acknowledged lost");
}

#[test]
fn a_second_writer_is_told_who_the_first_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn(dir.path(), 0, 0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.ends_with("@open 0")).expect("the child opened the database");
    let db = vecgo::open(dir.path()).wait().unwrap();
    let error = db.collection("docs").wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains(&format!("process {}", child.id())), "{error}");
    // A reader needs no lock.
    let reader = vecgo::open(dir.path()).read_only(true).wait().unwrap();
    reader.collection("docs").wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    db.collection("docs").wait().unwrap();
}
