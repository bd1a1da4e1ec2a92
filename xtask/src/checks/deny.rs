use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::licence::satisfied;
use super::verdict;
use crate::Outcome;
use crate::workspace::{self, Package};

/// Dependencies come from one registry, under licences that `deny.toml` allows, and none takes any
/// version. The part of `cargo deny check` that needs neither an install of minutes nor a network.
pub(crate) fn deny() -> Outcome {
    let allowed = allowed_licences(&fs::read_to_string("deny.toml")?);
    let packages = workspace::all_packages()?;
    warn_of_versions(&packages);
    let mut wrong: Vec<String> = packages
        .iter()
        .flat_map(|package| licence(package, &allowed).into_iter().chain(wildcards(package)))
        .collect();
    let sources: BTreeSet<&str> =
        packages.iter().filter_map(|package| package.source.as_deref()).collect();
    if sources.len() > 1 || sources.iter().any(|source| !source.starts_with("registry+")) {
        wrong.push(format!("expected one registry as the only source, found {sources:?}"));
    }
    verdict("deny", &wrong)
}

fn licence(package: &Package, allowed: &[String]) -> Option<String> {
    let Package { name, version, .. } = package;
    match &package.license {
        None => Some(format!("{name} {version} states no licence")),
        Some(licence) if satisfied(licence, allowed) => None,
        Some(licence) => Some(format!("{name} {version} is under {licence}")),
    }
}

/// Dependencies of a package of this repository that take any version.
fn wildcards(package: &Package) -> impl Iterator<Item = String> {
    let ours = package.source.is_none();
    let wild =
        package.dependencies.iter().filter(move |on| ours && !on.local && on.versions == "*");
    wild.map(|on| format!("{} takes any version of {}", package.name, on.name))
}

fn warn_of_versions(packages: &[Package]) {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        eprintln!("deny: warning: {name} in versions {}", versions.join(", "));
    }
}

/// The strings in the list `allow` of the table `licenses`.
fn allowed_licences(deny: &str) -> Vec<String> {
    let table = deny.split("\n[").find(|table| table.starts_with("licenses]")).unwrap_or_default();
    let list = table.split_once("\nallow = [").map_or("", |(_, list)| list);
    let list = list.split(']').next().unwrap_or_default();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_list() {
        let deny = "[bans]\nallow = [\"no\"]\n\n[licenses]\n# \"no\"\nallow = [\n  \"MIT\",\n  \
                    \"Zlib\",\n]\n\n[sources]\nallow = [\"no\"]\n";
        assert_eq!(allowed_licences(deny), ["MIT", "Zlib"]);
    }
}
