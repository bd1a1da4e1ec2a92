//! `vecgo-fuzz corpus` writes the seeds, `vecgo-fuzz mutate TARGET SECONDS` tries changed ones.
//!
//! The second needs no libFuzzer and makes the same inputs every time. `cargo xtask fuzz` calls it.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "a command prints")]
#![allow(clippy::disallowed_methods, reason = "a command has files and a clock")]

use std::error::Error;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};
use std::{env, fs};

use rustix::process::{Resource, Rlimit, setrlimit};
use vecgo_format::checksum;
use vecgo_fuzz::mutate::Mutator;
use vecgo_fuzz::{TARGETS, Target, artifacts, corpus, seeds};

/// What a decoder may take, and this program with it: an allocation of a size that the input
/// claims and does not have fails.
const MEMORY_BYTES: u64 = 512 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["corpus"] => write_seeds(),
        ["mutate", target, seconds] => {
            let found = TARGETS.iter().find(|(name, _)| *name == target);
            let (name, target) = found.ok_or_else(|| format!("no target `{target}`"))?;
            mutate(name, *target, Duration::from_secs(seconds.parse()?))
        }
        _ => Err("expected `corpus` or `mutate TARGET SECONDS`".into()),
    }
}

fn write_seeds() -> Result<(), Box<dyn Error>> {
    for seed in seeds() {
        let folder = corpus(seed.target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(seed.name), seed.bytes)?;
    }
    Ok(())
}

fn mutate(name: &str, target: Target, time: Duration) -> Result<(), Box<dyn Error>> {
    let limit = Rlimit { current: Some(MEMORY_BYTES), maximum: Some(MEMORY_BYTES) };
    setrlimit(Resource::As, limit)?;
    let mut paths = Vec::new();
    for file in fs::read_dir(corpus(name))? {
        paths.push(file?.path());
    }
    paths.sort();
    let files = paths.iter().map(fs::read).collect::<Result<Vec<_>, _>>()?;
    let mut mutator = Mutator::new(&files);
    let start = Instant::now();
    let mut tried = 0u64;
    while start.elapsed() < time {
        let input = mutator.next();
        tried += 1;
        if catch_unwind(|| target(&input)).is_err() {
            let folder = artifacts(name);
            fs::create_dir_all(&folder)?;
            let path = folder.join(format!("panic-{:016x}", checksum(&input)));
            fs::write(&path, &input)?;
            let path = path.display();
            return Err(format!("input {tried} of `{name}` broke a promise; it is {path}").into());
        }
    }
    println!("{name}: {tried} inputs in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
