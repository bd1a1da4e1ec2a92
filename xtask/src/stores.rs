//! Real servers to test buckets on: installed in the build's folder, started by the tests.

use std::path::{Path, PathBuf};

use crate::process::{Program, cargo, program};
use crate::{Outcome, workspace};

/// What is installed by Python's installer.
const PYTHON: &str = "crates/vecgo-stores/servers/requirements.txt";
/// What is installed by Node's.
const NODE: &str = "azurite@3.35.0";
/// The programs with tests that want them.
const TESTS: [&str; 4] = ["servers", "one_writer", "bucket_model", "backups"];
/// What is in the names of those tests. The others need no server, and run in `cargo test`.
const NAMES: [&str; 4] = ["seaweedfs", "moto", "azurite", "on_a_real_server"];

/// Installs the servers, unless they are there, and runs the tests that want them.
pub(crate) fn run(closing: &mut Vec<String>) -> Outcome {
    let place = workspace::target()?.join("stores");
    let [weed, moto, azurite] = install(&place)?;
    let tests = TESTS.iter().fold(cargo("test"), |tests, test| tests.args(["--test", test]));
    let tests = tests.args(["--"]).args(NAMES).env("VECGO_WEED", weed).env("VECGO_MOTO", moto);
    let before = closing.len();
    tests.env("VECGO_AZURITE", azurite).env("VECGO_REQUIRE_STORES", "1").run_tests(closing)?;
    if closing[before..].iter().any(|line| line.contains(" 0 passed")) {
        return Err(
            format!("one of {TESTS:?} has no test with one of {NAMES:?} in its name").into()
        );
    }
    Ok(())
}

fn install(place: &Path) -> Outcome<[PathBuf; 3]> {
    let bin = place.join("python/bin");
    let [weed, moto] = ["weed", "moto_server"].map(|name| bin.join(name));
    if !weed.exists() || !moto.exists() {
        let venv = place.join("python");
        program("python3").args(["-m", "venv"]).args([&venv]).run()?;
        let pip = bin.join("pip").to_string_lossy().into_owned();
        program(&pip).args(["install", "--quiet", "--requirement", PYTHON]).run()?;
    }
    let azurite = place.join("node_modules/.bin/azurite-blob");
    if !azurite.exists() {
        npm(place).args(["--no-audit", "--no-fund", "--silent", NODE]).run()?;
    }
    Ok([weed, moto, azurite])
}

fn npm(place: &Path) -> Program {
    program("npm").args(["install", "--prefix"]).args([place])
}
