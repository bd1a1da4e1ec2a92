//! What others look at a server and its manifests with: installed in the build's folder and by the system's
//! installer, run by the scripts of `deploy/check`.

use std::path::{Path, PathBuf};

use crate::process::{program, tested};
use crate::{Outcome, workspace};

/// The scripts, and what Python's installer gets for them.
const CHECKS: &str = "deploy/check";
/// Programs of Debian, and the packages that they are in.
const DEBIAN: [(&str, &str); 4] = [
    ("promtool", "prometheus"),
    ("debootstrap", "debootstrap"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
];

/// Installs the programs, unless they are there, and runs the checks.
pub(crate) fn run(closing: &mut Vec<String>) -> Outcome {
    let tools = install(&workspace::target()?.join("deployment"))?;
    let vecgo = tested("vecgo", "serve")?;
    let python = tools.join("python").to_string_lossy().into_owned();
    let checks = program(&python).args([
        "-m",
        "unittest",
        "discover",
        "--verbose",
        "--start-directory",
        CHECKS,
    ]);
    checks.env("VECGO", vecgo).env("VECGO_TOOLS", &tools).run()?;
    closing.push(format!("{CHECKS}: ok"));
    Ok(())
}

fn install(place: &Path) -> Outcome<PathBuf> {
    let missing = DEBIAN.iter().filter(|(name, _)| !program("which").args([name]).works());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if !packages.is_empty() {
        program("apt-get").args(["update", "-qq"]).run()?;
        let install = ["install", "-qq", "--yes", "--no-install-recommends"];
        let quiet = program("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
        quiet.args(install).args(packages).run()?;
    }
    let bin = place.join("python/bin");
    if !bin.join("schemathesis").exists() {
        program("python3").args(["-m", "venv"]).args([place.join("python")]).run()?;
        let pip = bin.join("pip").to_string_lossy().into_owned();
        let requirements = format!("{CHECKS}/requirements.txt");
        program(&pip).args(["install", "--quiet", "--requirement", &requirements]).run()?;
    }
    Ok(bin)
}
