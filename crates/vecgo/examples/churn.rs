//! Replaces and deletes records for many rounds, and tells what that does to disk, memory and
//! answers: `cargo run --release -p vecgo --example churn -- [--records N] [--rounds N] [--refill]`.
//!
//! A round replaces 30% of the records and deletes 20%; `--refill` then adds as many new ones.

#![allow(clippy::disallowed_macros, reason = "a command prints")]
#![allow(clippy::disallowed_methods, reason = "it looks at the files and at the clock")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use vecgo::{Collection, Config, Metric, Record, Result};

const DIM: usize = 128;
const BATCH: usize = 1000;
/// Calls between looks at the disk.
const LOOK_EVERY: usize = 5;

/// Numbers that look random, the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or(0)
    }
}

/// The vector of an id the n-th time that it is written: a point near one of a few hundred.
fn vector(id: u64, mark: u64) -> Vec<f32> {
    let mut centre = Numbers(id % 300);
    let mut noise = Numbers(id << 20 | mark);
    let part = |numbers: &mut Numbers| (numbers.next() % 1000) as f32 / 1000.0;
    (0..DIM).map(|_| part(&mut centre) + part(&mut noise) / 2.0).collect()
}

struct Churn {
    docs: Collection,
    directory: std::path::PathBuf,
    /// What must be there: the mark of each id.
    model: BTreeMap<u64, u64>,
    numbers: Numbers,
    marks: u64,
    next_id: u64,
    calls: usize,
    /// Most bytes on disk for each byte of live vectors.
    most_disk: f64,
    longest_ms: u128,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let place = arguments.iter().position(|argument| argument == name);
        let value = place.and_then(|place| arguments.get(place + 1)?.parse().ok());
        value.unwrap_or(default)
    };
    let (records, rounds) = (number("--records", 200_000), number("--rounds", 20));
    let refill = arguments.iter().any(|argument| argument == "--refill");
    let directory = std::env::temp_dir().join(format!("vecgo-churn-{}", std::process::id()));
    let db = vecgo::open(&directory).wait()?;
    let docs = db.open_or_create("docs", Config::new(DIM, Metric::L2)).wait()?;
    let mut churn = Churn {
        docs,
        directory: directory.clone(),
        model: BTreeMap::new(),
        numbers: Numbers(1),
        marks: 0,
        next_id: 0,
        calls: 0,
        most_disk: 0.0,
        longest_ms: 0,
    };
    let new: Vec<u64> = (0..records).collect();
    churn.write(&new)?;
    churn.next_id = records;
    churn.report(0)?;
    for round in 1..=rounds {
        let ids = churn.pick(3, 10);
        churn.write(&ids)?;
        let ids = churn.pick(2, 10);
        churn.delete(&ids)?;
        if refill {
            let new: Vec<u64> = (churn.next_id..churn.next_id + ids.len() as u64).collect();
            churn.next_id += ids.len() as u64;
            churn.write(&new)?;
        }
        churn.report(round)?;
    }
    churn.docs.close().wait()?;
    drop((churn, db));
    let _ = fs::remove_dir_all(directory);
    Ok(())
}

impl Churn {
    /// So many of the live ids, at random.
    fn pick(&mut self, part: usize, of: usize) -> Vec<u64> {
        let mut live: Vec<u64> = self.model.keys().copied().collect();
        let count = live.len() * part / of;
        for place in 0..count {
            let other = place + self.numbers.below(live.len() - place);
            live.swap(place, other);
        }
        live.truncate(count);
        live
    }

    fn write(&mut self, ids: &[u64]) -> Result<()> {
        for batch in ids.chunks(BATCH) {
            self.marks += 1;
            let records = batch.iter().map(|id| Record::new(*id, vector(*id, self.marks)));
            let records: Vec<Record> = records.collect();
            let began = Instant::now();
            self.docs.upsert(records).wait()?;
            self.called(began);
            self.model.extend(batch.iter().map(|id| (*id, self.marks)));
        }
        Ok(())
    }

    fn delete(&mut self, ids: &[u64]) -> Result<()> {
        for batch in ids.chunks(BATCH) {
            let began = Instant::now();
            self.docs.delete(batch.iter().copied()).wait()?;
            self.called(began);
            for id in batch {
                self.model.remove(id);
            }
        }
        Ok(())
    }

    fn called(&mut self, began: Instant) {
        self.longest_ms = self.longest_ms.max(began.elapsed().as_millis());
        self.calls += 1;
        if self.calls.is_multiple_of(LOOK_EVERY) && self.model.len() > BATCH {
            self.most_disk = self.most_disk.max(self.disk());
        }
    }

    /// Bytes on disk for each byte of live vectors.
    fn disk(&self) -> f64 {
        let (bytes, _) = usage(&self.directory);
        bytes as f64 / (self.model.len() * DIM * 4) as f64
    }

    fn report(&mut self, round: u64) -> Result<()> {
        let began = Instant::now();
        self.docs.settle().wait()?;
        let settled = self.disk();
        let wrong = self.wrong()?;
        let (_, files) = usage(&self.directory);
        println!(
            "round {round:>2}: {} records, disk {settled:.2} settled, {:.2} at most, {files} files, {} MB \
             resident, settled in {:.1} s, longest call {} ms, {wrong} wrong answers",
            self.model.len(),
            self.most_disk,
            resident_mb(),
            began.elapsed().as_secs_f64(),
            self.longest_ms,
        );
        (self.most_disk, self.longest_ms) = (0.0, 0);
        Ok(())
    }

    /// Records that do not find themselves, that are there and should not be, or are not as they
    /// were written.
    fn wrong(&mut self) -> Result<usize> {
        let mut wrong = usize::from(self.docs.count() != self.model.len() as u64);
        let asked: Vec<u64> = (0..200).map(|_| self.numbers.next() % self.next_id.max(1)).collect();
        for id in asked {
            let found = self.docs.get(id).wait()?.map(|record| record.vector);
            let expected = self.model.get(&id).map(|mark| vector(id, *mark));
            wrong += usize::from(found != expected);
            if let Some(own) = expected {
                let hits = self.docs.search(&own).k(10).exact().wait()?;
                let live = hits.iter().all(|hit| match &hit.id {
                    vecgo::Id::Number(id) => self.model.contains_key(id),
                    vecgo::Id::Text(_) => false,
                });
                wrong += usize::from(hits.first().map(|hit| &hit.id) != Some(&id.into()) || !live);
            }
        }
        Ok(wrong)
    }
}

/// Bytes that files take, and how many there are.
fn usage(directory: &Path) -> (u64, usize) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.fold((0, 0), |(bytes, files), entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => {
            let (more, inside) = usage(&entry.path());
            (bytes + more, files + inside)
        }
        Ok(meta) => (bytes + meta.len(), files + 1),
        // Deleted between the two looks.
        Err(_) => (bytes, files),
    })
}

fn resident_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
        / 1024
}
