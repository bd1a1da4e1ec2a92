//! `cargo xtask sim`: runs simulations on all cores, each on one thread and from one seed.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "a command prints")]
#![allow(clippy::disallowed_methods, reason = "a command has threads and a clock")]

mod jobs;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use jobs::{Job, run_all};
use vecgo_sim::{Tally, Trace, Violation, contest, golden, seed, vault};

const USAGE: &str = "\
cargo xtask sim WHAT

  --seeds N [--from S]  N seeds from S on (0): any operations of several clients through several
                        lives of the engine on a failing disk, with crashes at many steps; and as
                        many contests of several writers for one bucket
  --seed S [--trace]    one seed of each, twice, and every call that it makes
  crashes [--length L] [--nested D]
                        every sequence of L operations (2), a crash at every step in every
                        outcome, and D times (1) at every step of the recovery from it
  errors                the n-th call to the disk fails, for every n, in every way
  requests              the n-th request to a bucket goes wrong, for every n, in every way
  restores [--seeds N]  a restore interrupted at every step, on a disk whose n-th call fails, and of a
                        backup of which every byte is changed; the first for N databases (20)
  vaults [--seeds N]    N places (1000) in which several processes make backups and delete them,
                        paused and killed, and on a bad network
  bytes [--bits]        every byte of every file changed (each bit of it), every length, files gone
  hunt [--seeds N]      a part of each, 200 seeds unless told otherwise: what CI runs
  golden DIR            writes the database of `golden/` there, in place of the one before

A failure prints a line that begins with FOUND, and how to see it again.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Runs what was asked for; false if a promise was not kept.
fn command(arguments: &[String]) -> Result<bool, String> {
    let number = |name: &str, default: u64| -> Result<u64, String> {
        let Some(place) = arguments.iter().position(|argument| argument == name) else {
            return Ok(default);
        };
        let value = arguments.get(place + 1).ok_or(format!("`{name}` needs a number"))?;
        value.parse().map_err(|_| format!("`{name}` needs a number, found `{value}`"))
    };
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    check_known(arguments)?;
    let jobs = match arguments.first().map(String::as_str) {
        Some("--seeds" | "--from") => jobs::seeds(number("--from", 0)?, number("--seeds", 100)?),
        Some("--seed") => return Ok(one_seed(number("--seed", 0)?, has("--trace"))),
        Some("crashes") => {
            let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
            jobs::crashes(narrow(number("--length", 2)?), narrow(number("--nested", 1)?))
        }
        Some("errors") => jobs::errors(),
        Some("requests") => jobs::requests(),
        Some("vaults") => jobs::vaults(number("--seeds", 1000)?),
        Some("restores") => jobs::restores(number("--seeds", 20)?),
        Some("bytes") => jobs::bytes(has("--bits")),
        Some("hunt") => jobs::hunt(number("--seeds", 200)?),
        Some("golden") => {
            let directory = arguments.get(1).ok_or("`golden` needs a directory")?;
            write_golden(Path::new(directory))?;
            return Ok(true);
        }
        _ => return Err("expected what to simulate".to_owned()),
    };
    Ok(work(jobs))
}

/// A misspelt option must not be taken for none.
fn check_known(arguments: &[String]) -> Result<(), String> {
    let known: &[&str] = match arguments.first().map(String::as_str) {
        Some("--seeds" | "--from") => &["--seeds", "--from"],
        Some("--seed") => &["--seed", "--trace"],
        Some("crashes") => &["--length", "--nested"],
        Some("bytes") => &["--bits"],
        Some("hunt" | "restores" | "vaults") => &["--seeds"],
        _ => &[],
    };
    let options = arguments.iter().filter(|argument| argument.starts_with('-'));
    match options.into_iter().find(|option| !known.contains(&option.as_str())) {
        Some(unknown) => Err(format!("unknown option `{unknown}`")),
        None => Ok(()),
    }
}

/// Writes the golden files to a directory that holds nothing else.
fn write_golden(directory: &Path) -> Result<(), String> {
    let files = golden().map_err(|violation| violation.to_string())?;
    let told = |error: std::io::Error| format!("{}: {error}", directory.display());
    if directory.exists() {
        if !directory.join("contents.json").exists() {
            return Err(format!("{}: not one of golden files", directory.display()));
        }
        fs::remove_dir_all(directory).map_err(told)?;
    }
    for (path, bytes) in files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap_or(directory)).map_err(told)?;
        fs::write(path, bytes).map_err(told)?;
    }
    Ok(())
}

/// Works through jobs and prints the figures, or the first promise that was not kept.
fn work(jobs: Vec<Job>) -> bool {
    let start = Instant::now();
    match run_all(jobs) {
        Ok(tallies) => {
            for (what, tally) in tallies {
                println!("{what}: {tally}");
            }
            println!("nothing found in {:.0} s", start.elapsed().as_secs_f64());
            true
        }
        Err(found) => {
            println!("FOUND {found}");
            false
        }
    }
}

/// Runs a seed twice, so that it is seen to be the same each time.
fn one_seed(number: u64, tell: bool) -> bool {
    let mut good = true;
    type Run = fn(u64, &Arc<Trace>) -> Result<Tally, Violation>;
    let runs: [(&str, Run); 3] = [("seed", seed), ("contest", contest), ("vault", vault)];
    for (what, run) in runs {
        let traces = [Trace::with_lines(), Trace::default()].map(Arc::new);
        let ran = traces.each_ref().map(|trace| run(number, trace));
        if tell {
            traces[0].take_lines().iter().for_each(|line| println!("{line}"));
        }
        let [first, second] = traces.map(|trace| trace.hash());
        println!("{what} {number}: trace {first:016x}");
        if first != second {
            println!("FOUND {what} {number}: I0: a second run has trace {second:016x}");
            good = false;
        }
        if let Some(violation) = ran.into_iter().find_map(Result::err) {
            println!("FOUND {what} {number}: {violation}");
            good = false;
        }
    }
    good
}
