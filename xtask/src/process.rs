//! Other programs.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Outcome, workspace};

/// A program with its arguments, told before it runs.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    told: String,
}

/// How a program that was given some time ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this exit code.
    Code(i32),
    /// By a signal that did not come from here.
    Signal,
    /// Killed at the end of its time.
    Killed,
}

/// Cargo, with arguments separated by spaces.
pub(crate) fn cargo(arguments: &str) -> Program {
    let path = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let program = Program { command: Command::new(path), told: "cargo".to_owned() };
    program.args(arguments.split(' '))
}

/// Git, with arguments separated by spaces.
pub(crate) fn git(arguments: &str) -> Program {
    program("git").args(arguments.split(' '))
}

/// A program by its name.
pub(crate) fn program(name: &str) -> Program {
    Program { command: Command::new(name), told: name.to_owned() }
}

/// Where a program of the workspace is as its tests have it, which are built first: `cargo run` would build
/// all that it depends on once more, with other features.
pub(crate) fn tested(name: &str, test: &str) -> Outcome<String> {
    cargo("test --no-run --quiet --test").args([test]).run()?;
    let path = workspace::target()?.join("debug").join(name);
    Ok(path.to_string_lossy().into_owned())
}

impl Program {
    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        for argument in arguments {
            let argument = argument.as_ref();
            self.told = format!("{} {}", self.told, argument.to_string_lossy());
            self.command.arg(argument);
        }
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.told = format!("{name}={:?} {}", value.as_ref(), self.told);
        self.command.env(name, value);
        self
    }

    /// Runs it to the end.
    pub(crate) fn run(mut self) -> Outcome {
        eprintln!("$ {}", self.told);
        let status = self.command.status().map_err(|error| self.failed(&error.to_string()))?;
        self.judge(status)
    }

    /// Runs tests to the end. Puts the lines with which the runner closes into `closing`.
    pub(crate) fn run_tests(mut self, closing: &mut Vec<String>) -> Outcome {
        eprintln!("$ {}", self.told);
        let child = self.command.stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| self.failed(&error.to_string()))?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            if text.starts_with("test result:") {
                closing.push(text.trim_end().to_owned());
            }
            line.clear();
        }
        self.judge(child.wait()?)
    }

    /// Runs it with all that it prints in a file, and kills it if it takes longer than `time`.
    pub(crate) fn run_into(mut self, file: &Path, time: Duration) -> Outcome<Ended> {
        let file = File::create(file)?;
        self.command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut child = self.command.spawn().map_err(|error| self.failed(&error.to_string()))?;
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.code().map_or(Ended::Signal, Ended::Code));
            }
            if start.elapsed() >= time {
                child.kill()?;
                child.wait()?;
                return Ok(Ended::Killed);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it runs and succeeds; what it prints is dropped.
    pub(crate) fn works(mut self) -> bool {
        let quiet = self.command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    /// Its exit code and what it prints, without a word about it.
    pub(crate) fn answer(mut self) -> Outcome<(Option<i32>, String)> {
        let output = self.command.stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| self.failed(&error.to_string()))?;
        Ok((output.status.code(), String::from_utf8(output.stdout)?))
    }

    /// What it prints if it succeeds.
    pub(crate) fn output(self) -> Outcome<String> {
        let told = self.told.clone();
        match self.answer()? {
            (Some(0), output) => Ok(output),
            (code, _) => Err(format!("`{told}` ended with {code:?}").into()),
        }
    }

    fn judge(&self, status: ExitStatus) -> Outcome {
        if status.success() { Ok(()) } else { Err(self.failed(&status.to_string()).into()) }
    }

    fn failed(&self, why: &str) -> String {
        format!("`{}`: {why}", self.told)
    }
}
