//! What a release leaves behind, and whether this commit can be one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{cargo, git, program};
use crate::{Outcome, ci, interface, workspace};

/// What users can reach, in the folder of a release.
const INTERFACE: &str = "interface.txt";

/// Checks the tree, the changelog, what the release leaves behind, everything else and what would be uploaded, then says
/// which tag to make.
pub(crate) fn release() -> Outcome {
    let version = version()?;
    let changes = git("status --porcelain").output()?;
    if !changes.is_empty() {
        return Err(format!("the tree is not clean:\n{changes}").into());
    }
    let changelog =
        fs::read_to_string("CHANGELOG.md").map_err(|why| format!("CHANGELOG.md: {why}"))?;
    if !changelog.lines().any(|line| is_section(line, &version)) {
        return Err(format!("CHANGELOG.md has no section `## {version}`").into());
    }
    if !git("tag --list").args([format!("v{version}")]).output()?.is_empty() {
        return Err(format!("there is a tag v{version} already").into());
    }
    let frozen = folder(&version);
    if fs::read_to_string(frozen.join(INTERFACE)).ok() != Some(listing()?) {
        return Err("`cargo xtask golden --release` first, and commit what it writes".into());
    }
    git("diff --no-index --stat --exit-code golden/head").args([frozen.join("database")]).run()?;
    ci::ci()?;
    package()?;
    println!("Ready. Tag it:\n\n  git tag -a v{version} -m \"Vecgo {version}\"");
    Ok(())
}

/// Writes what later builds are held against: the golden files of this release, and its interface.
pub(crate) fn freeze() -> Outcome {
    let listing = listing()?;
    cargo("test --package vecgo --test golden -- --exact")
        .args(["released::what_a_release_leaves_behind_is_read"])
        .env("VECGO_GOLDEN_RELEASE", workspace::root().join(folder(&version()?)))
        .run()?;
    Ok(fs::write(folder(&version()?).join(INTERFACE), listing)?)
}

/// The interface, behind the compiler whose words it is in.
fn listing() -> Outcome<String> {
    let lines = interface::listing()?;
    Ok([rustc()?].into_iter().chain(lines).map(|line| line + "\n").collect())
}

fn rustc() -> Outcome<String> {
    Ok(program("rustc").args(["--version"]).output()?.trim_end().to_owned())
}

/// Whether what users of the library hold on to is as it was at the last release, unless the version says that it is not.
pub(crate) fn semver() -> Outcome {
    let (version, mut last) = (version()?, None);
    for entry in fs::read_dir("golden")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_later = |last: &String| numbers(last) < numbers(&name);
        if is_compatible(&name, &version) && last.as_ref().is_none_or(is_later) {
            last = Some(name);
        }
    }
    let Some(last) = last else {
        println!("semver: no release before {version} that it has to be compatible with");
        return Ok(());
    };
    let released = fs::read_to_string(folder(&last).join(INTERFACE))?;
    let mut released: Vec<String> = released.lines().map(str::to_owned).collect();
    let (words_of, ours) = (released.remove(0), rustc()?);
    if words_of != ours {
        println!("semver: not looked at: {last} was listed by {words_of}, and this is {ours}");
        return Ok(());
    }
    let broken = interface::broken(&released, &interface::listing()?);
    if broken.is_empty() {
        println!("semver: all {} items of {last} are there", released.len());
        return Ok(());
    }
    Err(format!("semver: {version} is not as {last} was:\n  {}", broken.join("\n  ")).into())
}

fn version() -> Outcome<String> {
    let vecgo = workspace::packages()?.into_iter().find(|package| package.name == "vecgo");
    Ok(vecgo.ok_or("no package `vecgo`")?.version)
}

fn folder(version: &str) -> PathBuf {
    Path::new("golden").join(version)
}

fn numbers(version: &str) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = version.split('.').map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// Whether whoever uses one can use the other, if that comes later.
fn is_compatible(one: &str, other: &str) -> bool {
    match (numbers(one), numbers(other)) {
        (Some([0, one, _]), Some([0, other, _])) => one == other,
        (Some([one, ..]), Some([other, ..])) => one == other,
        _ => false,
    }
}

/// Builds every crate that is published from what would be uploaded of it. In a folder for this commit alone: Cargo takes
/// a crate for unchanged whose version is.
fn package() -> Outcome {
    let commit = git("rev-parse --short HEAD").output()?;
    let target = workspace::target()?.join(format!("package-{}", commit.trim()));
    let unpublished = workspace::packages()?.into_iter().filter(|package| !package.published);
    let excluded = unpublished.flat_map(|package| ["--exclude".to_owned(), package.name]);
    cargo("package --workspace --locked --target-dir").args([target]).args(excluded).run()
}

/// `## 1.2.3`, `## [1.2.3]`, and either with a date behind it.
fn is_section(line: &str, version: &str) -> bool {
    let Some(title) = line.strip_prefix("## ") else { return false };
    let word = title.split_whitespace().next().unwrap_or_default();
    word.trim_matches(['[', ']']) == version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_go_together() {
        for (one, other) in [("0.1.0", "0.1.0"), ("0.1.0", "0.1.12"), ("1.0.0", "1.3.0")] {
            assert!(is_compatible(one, other), "{one} {other}");
        }
        for (one, other) in [("0.1.0", "0.2.0"), ("0.1.0", "1.1.0"), ("head", "0.1.0")] {
            assert!(!is_compatible(one, other), "{one} {other}");
        }
    }

    #[test]
    fn sections() {
        for good in ["## 1.2.3", "## [1.2.3]", "## [1.2.3] - 2026-01-31"] {
            assert!(is_section(good, "1.2.3"), "{good}");
        }
        for bad in ["# 1.2.3", "## 1.2.30", "## Unreleased", "1.2.3", "## "] {
            assert!(!is_section(bad, "1.2.3"), "{bad}");
        }
    }
}
