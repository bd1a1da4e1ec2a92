//! Many small collections in one database, all open at once: what each costs.
//!
//! `many DIR COLLECTIONS RECORDS`: opens so many collections of 128 dimensions, creates those that are
//! not there, writes so many records to each, and holds them all open.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "measures and prints")]

use std::error::Error;
use std::fs;
use std::time::Instant;

use vecgo::{Config, Metric, Record};

const DIM: usize = 128;
const STEPS: u64 = 5;

/// A number that the kernel keeps about this process.
fn status(name: &str) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).ok_or("not on Linux")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, collections, records] = &args[..] else {
        return Err("usage: many DIR COLLECTIONS RECORDS".into());
    };
    let (collections, records): (u64, u64) = (collections.parse()?, records.parse()?);
    let db = vecgo::open(dir).wait()?;
    let (before, start) = (status("VmRSS:")?, Instant::now());
    let mut open = Vec::new();
    for number in 0..collections {
        let config = Config::new(DIM, Metric::Cosine);
        let docs = db.open_or_create(format!("docs-{number}"), config).wait()?;
        if records > 0 {
            let record = |n: u64| Record::new(n, vec![1.0 + n as f32; DIM]);
            docs.upsert((0..records).map(record)).wait()?;
        }
        open.push(docs);
        let there = number + 1;
        if there.is_multiple_of((collections / STEPS).max(1)) {
            println!(
                "{there} open: {:.2} ms each, {} KiB each, {} threads, {} descriptors",
                start.elapsed().as_secs_f64() * 1e3 / there as f64,
                status("VmRSS:")?.saturating_sub(before) / there,
                status("Threads:")?,
                fs::read_dir("/proc/self/fd")?.count(),
            );
        }
    }
    let start = Instant::now();
    for docs in &open {
        docs.close().wait()?;
    }
    println!("closed in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
