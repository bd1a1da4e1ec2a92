//! Fuzzing of the decoders and of sequences of operations; the targets are in `fuzz/`.

use std::fs;

use crate::Outcome;
use crate::process::{cargo, program, tested};

const USAGE: &str = "expected `fuzz [TARGET] [--seconds N] [--quick]`";

/// Seconds for a target if none are given.
const QUICK: u64 = 5;
const LONG: u64 = 60;

/// Fuzzes one target or all of them.
pub(crate) fn command(arguments: &[String]) -> Outcome {
    let (mut chosen, mut seconds, mut quick) = (None, None, false);
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            "--quick" => quick = true,
            "--seconds" => seconds = Some(arguments.next().ok_or(USAGE)?.parse()?),
            name if chosen.is_none() && !name.starts_with('-') => chosen = Some(name.to_owned()),
            _ => return Err(USAGE.into()),
        }
    }
    let mut names = targets()?;
    if let Some(chosen) = chosen {
        if !names.contains(&chosen) {
            return Err(format!("no target `{chosen}`; there are {}", names.join(", ")).into());
        }
        names = vec![chosen];
    }
    if quick {
        mutate(&names, seconds.unwrap_or(QUICK))
    } else {
        fuzz(&names, seconds.unwrap_or(LONG))
    }
}

/// Fuzzes every target without libFuzzer; the corpus is replayed by the tests.
pub(crate) fn short() -> Outcome {
    mutate(&targets()?, QUICK)
}

/// Writes what the encoders make of the corpus, and the plans.
pub(crate) fn corpus() -> Outcome {
    program(&tested("vecgo-fuzz", "corpus")?).args(["corpus"]).run()
}

/// One name for each file in `fuzz/targets`.
fn targets() -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir("fuzz/targets")? {
        names.extend(file?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn mutate(names: &[String], seconds: u64) -> Outcome {
    let fuzz = tested("vecgo-fuzz", "corpus")?;
    for name in names {
        program(&fuzz).args(["mutate", name, &seconds.to_string()]).run()?;
    }
    Ok(())
}

/// libFuzzer with the address sanitizer, by way of `cargo fuzz`, which is installed if need be.
/// Inputs that reach new code stay in `target/fuzz-corpus`.
fn fuzz(names: &[String], seconds: u64) -> Outcome {
    if !cargo("fuzz --version").works() {
        cargo("install cargo-fuzz --locked --version ^0.13").run()?;
    }
    for name in names {
        let found = format!("target/fuzz-corpus/{name}");
        fs::create_dir_all(&found)?;
        cargo("fuzz run --fuzz-dir fuzz --features libfuzzer")
            .args([name, &found, &format!("fuzz/corpus/{name}")])
            .args(["--", &format!("-max_total_time={seconds}")])
            .env("RUSTC_BOOTSTRAP", "1")
            .run()?;
    }
    Ok(())
}
