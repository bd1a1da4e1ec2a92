//! The team's commands. `cargo xtask` lists them.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "a command prints")]
#![allow(clippy::disallowed_methods, reason = "a command has files and a clock")]

mod checks;
mod ci;
mod deployment;
mod fuzz;
mod interface;
mod process;
mod release;
mod sabotage;
mod stores;
mod workspace;

use std::env;
use std::error::Error;
use std::process::ExitCode;

/// What every command comes to.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USAGE: &str = "\
cargo xtask COMMAND

  quick     what to run before every commit: the checks, unit and model tests, examples in the docs
  ci        everything that a change has to pass, with a table of times
  checks    formatting, lints, and the five checks below
  layers    crates depend on lower ones only, and one of them alone has unsafe code
  lengths   no source file is too long
  named     every test that RELIABILITY.md names is there
  leaks     no file names a place on somebody's machine or a package host
  deny      dependencies come from the registry under a licence that deny.toml allows
  docs      the documentation of all crates, warnings denied
  bench     exact|ingest|peers ARGUMENT... run a benchmark, as bench/README.md says
  fuzz      [TARGET] [--seconds N] [--quick] fuzz the decoders, all of them unless one is named:
            with libFuzzer, or --quick with changes to the corpus that are the same every time
  corpus    write what the encoders make of the fuzz corpus again
  sim       --seeds N | crashes | errors | requests | bytes | hunt: the engine on a simulated
            machine; `cargo xtask sim` lists all there is
  sabotage  [NAME...] [--sample N] [--seed S] [--list] plant the bugs of sabotage/ one at a time and
            tell which ones the simulation finds: all of them, those named, or N that differ by day
  stores    install servers of buckets, and run the tests that want them
  deployment  install what others look at a server with, and look at it, its image and its manifests
  golden    write the golden files of this build again; --release writes those of the release, once
  semver    whether the interface of the library is as the last release had it
  release   check that this commit can be released and say how to tag it";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match command(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[String]) -> Outcome {
    env::set_current_dir(workspace::root())?;
    let Some((name, rest)) = arguments.split_first() else {
        println!("{USAGE}");
        return Ok(());
    };
    match (name.as_str(), rest) {
        ("bench", arguments) => bench(arguments),
        ("fuzz", arguments) => fuzz::command(arguments),
        ("sim", arguments) => ci::simulate(arguments),
        ("sabotage", arguments) => sabotage::command(arguments),
        ("golden", [what]) if what == "--release" => release::freeze(),
        (name, []) => match name {
            "quick" => ci::quick(),
            "ci" => ci::ci(),
            "checks" => checks::all(),
            "layers" => checks::layers(),
            "lengths" => checks::lengths(),
            "leaks" => checks::leaks(),
            "named" => checks::named(),
            "deny" => checks::deny(),
            "docs" => ci::docs(),
            "corpus" => fuzz::corpus(),
            "golden" => golden(),
            "release" => release::release(),
            "semver" => release::semver(),
            "stores" => stores::run(&mut Vec::new()),
            "deployment" => deployment::run(&mut Vec::new()),
            "help" | "--help" | "-h" => {
                println!("{USAGE}");
                Ok(())
            }
            _ => Err(format!("no command `{name}`\n\n{USAGE}").into()),
        },
        (name, [argument, ..]) => Err(format!("`{name}` takes no `{argument}`\n\n{USAGE}").into()),
    }
}

/// Writes a database with every kind of file.
fn golden() -> Outcome {
    let sim = process::tested("vecgo-sim", "golden")?;
    process::program(&sim).args(["golden", "golden/head"]).run()
}

/// Runs a script of `bench` on the release build, with the interpreter that `PYTHON` names.
fn bench(arguments: &[String]) -> Outcome {
    let Some((name, rest)) = arguments.split_first() else {
        return Err("expected `bench exact|ingest|peers ARGUMENT...`; see bench/README.md".into());
    };
    process::cargo("build --release -p vecgo-cli").run()?;
    let release = workspace::target()?.join("release");
    let vecgo = release.join("vecgo");
    let python = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let python = process::program(&python);
    let script = if name == "peers" {
        process::cargo("build --release -p vecgo-kernels --example bandwidth").run()?;
        let limits = release.join("examples").join("bandwidth");
        python.env("VECGO_BIN", vecgo).args(["bench/peers/run.py", "--limits"]).args([limits])
    } else {
        python.args([format!("bench/{name}.py").as_str(), "--vecgo"]).args([vecgo])
    };
    script.args(rest).run()
}
