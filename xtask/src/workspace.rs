//! What Cargo knows about this workspace.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Outcome;
use crate::process::cargo;

/// A package, as far as the checks look at one.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its licence, as it states it.
    pub(crate) license: Option<String>,
    /// Whether it may be published.
    pub(crate) published: bool,
    /// Where it comes from; nothing for a package of this repository.
    pub(crate) source: Option<String>,
    /// What it depends on.
    pub(crate) dependencies: Vec<Dependency>,
    /// First source files of its libraries and programs.
    pub(crate) roots: Vec<PathBuf>,
}

/// A dependency.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The package's name.
    pub(crate) name: String,
    /// Which versions will do.
    pub(crate) versions: String,
    /// Whether only tests, examples and benchmarks have it.
    pub(crate) dev: bool,
    /// Whether it is in this repository.
    pub(crate) local: bool,
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The packages of the workspace.
pub(crate) fn packages() -> Outcome<Vec<Package>> {
    Ok(packages_of(&metadata("metadata --format-version 1 --no-deps")?))
}

/// The packages of the workspace and everything that they depend on, on all platforms.
pub(crate) fn all_packages() -> Outcome<Vec<Package>> {
    Ok(packages_of(&metadata("metadata --format-version 1 --all-features --locked")?))
}

/// Cargo's folder for builds.
pub(crate) fn target() -> Outcome<PathBuf> {
    let metadata = metadata("metadata --format-version 1 --no-deps")?;
    Ok(text(&metadata, "target_directory").ok_or("Cargo names no folder for builds")?.into())
}

fn metadata(arguments: &str) -> Outcome<Value> {
    Ok(serde_json::from_str(&cargo(arguments).output()?)?)
}

fn packages_of(metadata: &Value) -> Vec<Package> {
    list(metadata, "packages").map(package).collect()
}

fn package(package: &Value) -> Package {
    let is_root = |target: &&Value| {
        list(target, "kind").any(|kind| kind == "lib" || kind == "bin" || kind == "proc-macro")
    };
    Package {
        name: text(package, "name").unwrap_or_default(),
        version: text(package, "version").unwrap_or_default(),
        license: text(package, "license"),
        // A list of registries: nothing for all, an empty one for none.
        published: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
        source: text(package, "source"),
        dependencies: list(package, "dependencies").map(dependency).collect(),
        roots: list(package, "targets")
            .filter(is_root)
            .filter_map(|target| text(target, "src_path").map(PathBuf::from))
            .collect(),
    }
}

fn dependency(dependency: &Value) -> Dependency {
    Dependency {
        name: text(dependency, "name").unwrap_or_default(),
        versions: text(dependency, "req").unwrap_or_default(),
        dev: dependency["kind"] == "dev",
        local: dependency["path"].is_string(),
    }
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}
