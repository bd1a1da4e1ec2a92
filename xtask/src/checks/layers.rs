use std::fs;

use super::verdict;
use crate::Outcome;
use crate::workspace::{self, Dependency, Package};

/// The crates, lowest first. One may depend on those above it in this list, so also within its
/// tier, but only in this order.
const TIERS: [&[&str]; 5] = [
    &["vecgo-kernels", "vecgo-quant", "vecgo-index"],
    &["vecgo-format", "vecgo-io"],
    &["vecgo-engine"],
    &["vecgo"],
    &["vecgo-json", "vecgo-server", "vecgo-cli"],
];

/// May depend on everything; only tests may depend on them.
const DEV: [&str; 5] = ["vecgo-bench", "vecgo-fuzz", "vecgo-sim", "vecgo-stores", "xtask"];

/// The one crate with unsafe code.
const UNSAFE: &str = "vecgo-kernels";

/// Dependencies point down only, and one crate alone has unsafe code.
pub(crate) fn layers() -> Outcome {
    let mut wrong = Vec::new();
    for package in workspace::packages()? {
        let local = package.dependencies.iter().filter(|dependency| dependency.local);
        wrong.extend(local.filter_map(|dependency| objection(&package.name, dependency)));
        wrong.extend(unsafe_roots(&package)?);
    }
    verdict("layers", &wrong)
}

fn objection(name: &str, dependency: &Dependency) -> Option<String> {
    let on = dependency.name.as_str();
    // For a feature of its own that only its tests need.
    if name == on {
        return None;
    }
    let place = |name| TIERS.iter().flat_map(|tier| tier.iter()).position(|other| *other == name);
    let allowed = match (place(name), place(on)) {
        (Some(place), Some(on)) => on < place,
        _ if DEV.contains(&name) => true,
        _ if DEV.contains(&on) => dependency.dev,
        (place, _) => {
            let unknown = if place.is_none() { name } else { on };
            return Some(format!("`{unknown}` has no tier; give it one in xtask's `layers`"));
        }
    };
    (!allowed).then(|| format!("`{name}` depends on `{on}`, which is not below it"))
}

fn unsafe_roots(package: &Package) -> Outcome<Vec<String>> {
    let mut wrong = Vec::new();
    for root in package.roots.iter().filter(|_| package.name != UNSAFE) {
        let text = fs::read_to_string(root)?;
        // A program that libFuzzer starts has an entry that is no `main`, and so an unsafe attribute.
        if !text.contains("#![forbid(unsafe_code)]") && !text.contains("#![no_main]") {
            wrong.push(format!("{}: no #![forbid(unsafe_code)]", root.display()));
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(name: &str, on: &str, dev: bool) -> bool {
        let dependency =
            Dependency { name: on.to_owned(), versions: String::new(), dev, local: true };
        objection(name, &dependency).is_some()
    }

    #[test]
    fn dependencies_point_down() {
        assert!(!objects("vecgo-engine", "vecgo-io", false));
        assert!(!objects("vecgo-cli", "vecgo-server", false));
        assert!(!objects("vecgo-io", "vecgo-io", true));
        assert!(objects("vecgo-io", "vecgo-engine", false));
        assert!(objects("vecgo-io", "vecgo-engine", true));
        assert!(objects("vecgo-server", "vecgo-cli", false));
    }

    #[test]
    fn dev_crates_serve_tests_only() {
        assert!(!objects("xtask", "vecgo-engine", false));
        assert!(!objects("vecgo-engine", "vecgo-sim", true));
        assert!(objects("vecgo-engine", "vecgo-sim", false));
    }

    #[test]
    fn every_crate_has_a_tier() {
        assert!(objects("vecgo-new", "vecgo-io", false));
        assert!(objects("vecgo", "vecgo-new", false));
    }
}
