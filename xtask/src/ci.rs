//! What a change has to pass.

use std::env;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::process::{Program, cargo, program, tested};
use crate::{Outcome, checks, deployment, fuzz, release, sabotage, stores};

/// A part of the whole, with the minutes that it may take from a fresh clone on two cores.
struct Stage {
    name: &'static str,
    minutes: u32,
    run: fn(&mut Vec<String>) -> Outcome,
}

const STAGES: [Stage; 9] = [
    Stage { name: "build", minutes: 9, run: build },
    Stage { name: "checks", minutes: 3, run: |_| checks::all() },
    Stage { name: "tests", minutes: 4, run: tests },
    Stage { name: "kills", minutes: 1, run: kills },
    Stage { name: "simulation", minutes: 4, run: simulation },
    Stage { name: "stores", minutes: 3, run: |closing| stores::run(closing) },
    Stage { name: "docs", minutes: 1, run: docs_and_demo },
    Stage { name: "deployment", minutes: 3, run: |closing| deployment::run(closing) },
    Stage { name: "fuzz", minutes: 2, run: |_| fuzz::short() },
];

/// Runs the stages up to the first that fails, and tells how long each took.
pub(crate) fn ci() -> Outcome {
    let mut closing = Vec::new();
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for stage in &STAGES {
        eprintln!("\n== {}", stage.name);
        let start = Instant::now();
        let result = (stage.run)(&mut closing);
        times.push((stage.name, stage.minutes, start.elapsed()));
        if let Err(error) = result {
            outcome = Err(format!("stage `{}` failed: {error}", stage.name).into());
            break;
        }
    }
    println!("\n{}\n\n{}", closing.join("\n"), table(&times));
    outcome
}

/// What to run before every commit.
pub(crate) fn quick() -> Outcome {
    checks::all()?;
    let runner = if cargo("nextest --version").works() { "nextest run" } else { "test" };
    let targets = "--lib --bins --test model --test golden --test cli --test format";
    cargo(runner).args(targets.split(' ')).run()?;
    cargo("test --package xtask").run()?;
    cargo("test --doc").run()
}

/// The documentation of all crates.
pub(crate) fn docs() -> Outcome {
    cargo("doc --no-deps --workspace").env("RUSTDOCFLAGS", "-D warnings").run()
}

/// What all later stages use. No release: it differs by optimisation alone, and takes minutes to
/// build. No `--workspace`: with xtask among them its dependencies have other features than in
/// `cargo test`, which would build them all once more.
fn build(_: &mut Vec<String>) -> Outcome {
    cargo("build --all-targets --locked").run()
}

fn tests(closing: &mut Vec<String>) -> Outcome {
    cargo("test --package xtask").run_tests(closing)?;
    with_datasets(cargo("test")).run_tests(closing)
}

fn kills(closing: &mut Vec<String>) -> Outcome {
    // Without `-p vecgo`, which would build that crate's dependencies with other features again.
    cargo("test --test kill").env("VECGO_KILLS", "500").run_tests(closing)
}

/// Runs simulations: `vecgo-sim` knows the arguments.
pub(crate) fn simulate<S: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = S>,
) -> Outcome {
    program(&tested("vecgo-sim", "golden")?).args(arguments).run()
}

/// A part of every sweep, which must find nothing, and then a few planted bugs, which it must
/// find.
fn simulation(_: &mut Vec<String>) -> Outcome {
    sabotage::command(&["--sample", "3"].map(str::to_owned))
}

fn docs_and_demo(_: &mut Vec<String>) -> Outcome {
    docs()?;
    release::semver()?;
    program(&tested("vecgo", "cli")?).args(["demo"]).run()
}

/// Where there are datasets, the tests use them, and a test that would skip itself fails.
fn with_datasets(tests: Program) -> Program {
    let folder = env::var_os("VECGO_DATASETS").unwrap_or_else(|| "../shared/data".into());
    let Ok(folder) = Path::new(&folder).canonicalize() else {
        eprintln!("no datasets: the tests that need them skip themselves");
        return tests;
    };
    tests.env("VECGO_DATASETS", folder).env("VECGO_REQUIRE_DATASETS", "1")
}

fn table(times: &[(&str, u32, Duration)]) -> String {
    let mut table = "stage     minutes  budget\n".to_owned();
    let total = ("total", 0, Duration::ZERO);
    let total = times.iter().fold(total, |(name, budget, time), (_, minutes, took)| {
        (name, budget + minutes, time + *took)
    });
    for (name, budget, time) in times.iter().chain([&total]) {
        let minutes = time.as_secs_f64() / 60.0;
        let over = if minutes > f64::from(*budget) { "  over" } else { "" };
        table.push_str(&format!("{name:<10}{minutes:>7.1}{budget:>8}{over}\n"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_is_over() {
        let seconds = Duration::from_secs;
        let table = table(&[("build", 9, seconds(60)), ("docs", 3, seconds(200))]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[1], "build         1.0       9");
        assert_eq!(lines[2], "docs          3.3       3  over");
        assert_eq!(lines[3], "total         4.3      12");
    }
}
