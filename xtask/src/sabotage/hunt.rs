//! Building the simulation with a bug in it, and letting it hunt.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::bug::Bug;
use super::tree::Tree;
use crate::process::{Ended, cargo, program};
use crate::{Outcome, workspace};

/// How long one hunt may take, ten times what it does on two idle cores. One that takes longer has
/// found nothing, if it hangs too: to see that the engine hangs is the simulation's part.
const HUNT: Duration = Duration::from_secs(900);
/// How long a build may take, with all dependencies if it is the first.
const BUILD: Duration = Duration::from_secs(3600);

/// What the simulation writes before what it found.
const FOUND: &str = "FOUND ";

/// Where bugs are hunted.
#[derive(Debug)]
pub(super) struct Ground {
    tree: Tree,
    /// Cargo's folder for builds of the tree.
    target: PathBuf,
    /// What builds and hunts print, a file for each bug.
    logs: PathBuf,
}

/// What came of a hunt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The simulation ran to its end and has nothing to say.
    Clean,
    /// The line in which it says what is broken.
    Found(String),
    /// It ended in some other way.
    Failed(String),
    /// There was none: the build failed.
    NotBuilt(String),
}

impl Ground {
    /// A copy of the working tree below Cargo's folder for builds.
    pub(super) fn prepare() -> Outcome<Self> {
        let folder = workspace::target()?.join("sabotage");
        let (target, logs) = (folder.join("target"), folder.join("logs"));
        fs::create_dir_all(&logs)?;
        Ok(Self { tree: Tree::copy(folder.join("tree"))?, target, logs })
    }

    /// Hunts in the tree as it is.
    pub(super) fn without_a_bug(&self) -> Outcome<Verdict> {
        // Seeds take most of the time, and where there is no bug all of it.
        Ok(self.hunt("without-a-bug", &["--seeds", "50"])?.0)
    }

    /// Plants a bug, hunts it, takes it out again. Also gives how long the hunt itself took.
    pub(super) fn with(&self, bug: &Bug) -> Outcome<(Verdict, Duration)> {
        let changed = self.tree.plant(bug)?;
        let hunted = self.hunt(&bug.name, &[]);
        self.tree.restore(&changed)?;
        hunted
    }

    fn hunt(&self, name: &str, arguments: &[&str]) -> Outcome<(Verdict, Duration)> {
        let log = self.logs.join(format!("{name}.build.txt"));
        let built = cargo("build --quiet --locked -p vecgo-sim --manifest-path")
            .args([self.tree.manifest()])
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            .run_into(&log, BUILD)?;
        if built != Ended::Code(0) {
            let why = format!("it does not compile, see {}", log.display());
            return Ok((Verdict::NotBuilt(why), Duration::ZERO));
        }
        let log = self.logs.join(format!("{name}.txt"));
        let start = Instant::now();
        let simulation = program(&self.target.join("debug/vecgo-sim").to_string_lossy());
        let ended = simulation.args(["hunt"]).args(arguments).run_into(&log, HUNT)?;
        let took = start.elapsed();
        let printed = fs::read(&log)?;
        Ok((verdict(ended, &String::from_utf8_lossy(&printed)), took))
    }
}

fn verdict(ended: Ended, printed: &str) -> Verdict {
    let found = printed.lines().find(|line| line.starts_with(FOUND));
    match (ended, found) {
        (Ended::Code(0), None) => Verdict::Clean,
        (Ended::Code(1), Some(line)) => Verdict::Found(line.to_owned()),
        (Ended::Killed, _) => Verdict::Failed(format!("killed after {} s", HUNT.as_secs())),
        (Ended::Signal, _) => Verdict::Failed("ended by a signal".to_owned()),
        (Ended::Code(code), found) => {
            let line = found.unwrap_or("no line that says what was found");
            Verdict::Failed(format!("ended with exit code {code} and {line}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_and_the_exit_code_together_say_that_something_was_found() {
        let found = Verdict::Found("FOUND I1: gone".to_owned());
        assert_eq!(verdict(Ended::Code(1), "seed 7\nFOUND I1: gone\nFOUND I2\n"), found);
        assert_eq!(verdict(Ended::Code(0), "seed 7\nnot FOUND \n"), Verdict::Clean);
        for (ended, printed) in [
            (Ended::Code(1), "error: no such command\n"),
            (Ended::Code(0), "FOUND I1: gone\n"),
            (Ended::Code(101), "FOUND I1: gone\n"),
            (Ended::Signal, ""),
            (Ended::Killed, "FOUND I1: gone\n"),
        ] {
            let verdict = verdict(ended, printed);
            assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
        }
    }
}
