//! Whether this commit can be released.

use std::fs;

use crate::process::{cargo, git};
use crate::{Outcome, ci, workspace};

/// Checks the tree, the changelog, the public interface, everything else and what would be uploaded, then says which tag to make.
pub(crate) fn release() -> Outcome {
    let packages = workspace::packages()?;
    let vecgo = packages.into_iter().find(|package| package.name == "vecgo");
    let version = vecgo.ok_or("no package `vecgo`")?.version;
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
    semver()?;
    ci::ci()?;
    package()?;
    println!("Ready. Tag it:\n\n  git tag -a v{version} -m \"Vecgo {version}\"");
    Ok(())
}

/// Whether what users of the library hold on to is as it was at the last release, or the version says that it is not.
pub(crate) fn semver() -> Outcome {
    let tags = git("tag --list v* --sort=-version:refname").output()?;
    let Some(last) = tags.lines().next() else {
        println!("semver: no release before this one");
        return Ok(());
    };
    if !cargo("semver-checks --version").works() {
        return Err("semver: `cargo install --locked cargo-semver-checks` first".into());
    }
    cargo("semver-checks --package vecgo --baseline-rev").args([last]).run()
}

/// Builds every crate that is published from what would be uploaded of it.
fn package() -> Outcome {
    let unpublished = workspace::packages()?.into_iter().filter(|package| !package.published);
    let excluded = unpublished.flat_map(|package| ["--exclude".to_owned(), package.name]);
    cargo("package --workspace --locked").args(excluded).run()
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
    fn sections() {
        for good in ["## 1.2.3", "## [1.2.3]", "## [1.2.3] - 2026-01-31"] {
            assert!(is_section(good, "1.2.3"), "{good}");
        }
        for bad in ["# 1.2.3", "## 1.2.30", "## Unreleased", "1.2.3", "## "] {
            assert!(!is_section(bad, "1.2.3"), "{bad}");
        }
    }
}
