//! What users of the library hold on to, item by item, and whether it is what a release had.
//!
//! Most of what `vecgo` offers is defined in crates below it, whose other items may change freely. A check of one
//! crate against its last release, as cargo-semver-checks makes it, sees nothing of those; so this lists what can
//! be reached through `vecgo`. It sees no private fields: one that is added to a struct of public fields only is left
//! to whoever reads the change.

use std::collections::{BTreeMap, BTreeSet};

use public_api::Builder;

use crate::process::cargo;
use crate::{Outcome, workspace};

const BELOW: [&str; 3] = ["vecgo-engine", "vecgo-format", "vecgo-io"];

/// All items that can be reached through the library, a line each, in order.
pub(crate) fn listing() -> Outcome<Vec<String>> {
    let own = items("vecgo")?;
    let is_given = |line: &String| line.starts_with("pub use vecgo::");
    let given: BTreeSet<&str> = own
        .iter()
        .filter(|line| is_given(line))
        .filter_map(|line| line.rsplit("::").next())
        .collect();
    let mut lines: BTreeSet<String> = own.iter().map(|line| renamed(line)).collect();
    let named: BTreeSet<String> =
        lines.iter().filter_map(|line| subject(line)).map(str::to_owned).collect();
    let is_known = |name: &str| given.contains(name) || named.contains(name);
    for package in BELOW {
        let items = items(package)?.into_iter().map(|line| renamed(&line));
        lines.extend(items.filter(|line| subject(line).is_some_and(|name| given.contains(name))));
    }
    // What is made of a type that nobody can name is of no use to anybody.
    lines.retain(|line| {
        !line.contains("From<vecgo::") && !line.contains("::from(vecgo::") || {
            let of = line.split_once("From<vecgo::").or_else(|| line.split_once("::from(vecgo::"));
            of.and_then(|(_, of)| of.split(['>', ')']).next()).is_some_and(is_known)
        }
    });
    lines.retain(|line| !line.contains("StructuralPartialEq") && !is_other_auto_trait(line));
    Ok(lines.into_iter().collect())
}

/// What rustdoc says of a crate. Its output for programs is not stable yet, so the compiler has to be told that this
/// is known; in a folder of its own, since that changes how dependencies are built.
fn items(package: &str) -> Outcome<Vec<String>> {
    let target = workspace::target()?.join("interface");
    cargo("rustdoc --quiet --locked --package")
        .args([package, "--target-dir"])
        .args([&target])
        .args("-- -Zunstable-options --output-format json".split(' '))
        .env("RUSTC_BOOTSTRAP", "1")
        .run()?;
    let file = target.join("doc").join(format!("{}.json", package.replace('-', "_")));
    let items = Builder::from_rustdoc_json(file).omit_blanket_impls(true).build()?;
    Ok(items.items().map(ToString::to_string).collect())
}

/// Of the traits that types have by themselves, threads need two.
fn is_other_auto_trait(line: &str) -> bool {
    let others = ["marker::Freeze", "marker::Unpin", "UnsafeUnpin", "UnwindSafe", "RefUnwindSafe"];
    line.starts_with("impl") && others.iter().any(|other| line.contains(&format!("{other} for")))
}

/// The same with each path as users write it: `vecgo_engine::query::search::Hit` is `vecgo::Hit`.
fn renamed(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    while let Some(start) = rest.find(is_of_path) {
        let (before, path) = rest.split_at(start);
        let (path, after) = path.split_at(path.find(|c| !is_of_path(c)).unwrap_or(path.len()));
        out.push_str(before);
        let is_below = |name: &str| BELOW.iter().any(|below| below.replace('-', "_") == name);
        let is_module = |name: &str| name.starts_with(|c: char| c.is_lowercase());
        match path.split_once("::") {
            Some((first, inner)) if is_below(first) => {
                let names: Vec<&str> =
                    inner.split("::").skip_while(|name| is_module(name)).collect();
                out.push_str("vecgo::");
                out.push_str(&if names.is_empty() { inner.to_owned() } else { names.join("::") });
            }
            _ => out.push_str(path),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The name of what an item is, or is of.
fn subject(line: &str) -> Option<&str> {
    let line = line.trim_start_matches("#[non_exhaustive] ");
    let of_impl =
        line.starts_with("impl").then(|| line.rsplit_once(" for ").map_or(line, |(_, of)| of));
    let at = of_impl.unwrap_or(line);
    let path = &at[at.find("vecgo::")? + "vecgo::".len()..];
    // The type of a field, and what a function takes, come behind the item's own path.
    let own = line.find(['(', ':']).filter(|_| of_impl.is_none());
    if own.is_some_and(|own| own < line.len() - path.len() - "vecgo::".len()) {
        return None;
    }
    path.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// What would break somebody: items that are gone or others than they were, and new parts of what others can take
/// apart or put together.
pub(crate) fn broken(released: &[String], now: &[String]) -> Vec<String> {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) =
        (released.iter().collect(), now.iter().collect());
    let gone = before.difference(&after).map(|line| format!("gone: {line}"));
    let types: BTreeMap<&str, bool> = released.iter().filter_map(|line| closed(line)).collect();
    let is_closed = |line: &&&String| {
        let of = line.strip_prefix("pub vecgo::").and_then(|part| part.split("::").next());
        of.and_then(|of| types.get(of)).is_some_and(|is_closed| *is_closed)
    };
    let added = after.difference(&before).filter(is_closed).map(|line| format!("new: {line}"));
    gone.chain(added).collect()
}

/// A type, and whether nothing can be added to it.
fn closed(line: &str) -> Option<(&str, bool)> {
    let definition = line.trim_start_matches("#[non_exhaustive] ");
    let path = ["pub struct vecgo::", "pub enum vecgo::"];
    let name = path.iter().find_map(|path| definition.strip_prefix(path))?;
    Some((name.split('<').next()?, definition.len() == line.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_as_users_write_them() {
        let line = "pub fn vecgo_engine::Collection::get(&self, vecgo_format::id::Id) -> \
                    alloc::vec::Vec<vecgo_engine::query::search::Hit>";
        let expected =
            "pub fn vecgo::Collection::get(&self, vecgo::Id) -> alloc::vec::Vec<vecgo::Hit>";
        assert_eq!(renamed(line), expected);
        assert_eq!(renamed("pub fn vecgo::filter::eq()"), "pub fn vecgo::filter::eq()");
    }

    #[test]
    fn items_are_of_what_they_are_part_of() {
        for (line, of) in [
            ("pub struct vecgo::Hit", Some("Hit")),
            ("#[non_exhaustive] pub enum vecgo::ErrorKind", Some("ErrorKind")),
            ("pub vecgo::Hit::id: vecgo::Id", Some("Hit")),
            ("pub fn vecgo::Hit::of(vecgo::Id) -> u8", Some("Hit")),
            ("impl core::convert::From<vecgo::Id> for vecgo::Hit", Some("Hit")),
            ("impl vecgo::Hit", Some("Hit")),
            ("pub fn other::of(vecgo::Id)", None),
            ("pub const vecgo::MAX_DIM: usize", Some("MAX_DIM")),
        ] {
            assert_eq!(subject(line), of, "{line}");
        }
    }

    #[test]
    fn what_breaks_is_found() {
        let lines =
            |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let open = ["#[non_exhaustive] pub struct vecgo::Hit", "pub vecgo::Hit::id: u64"];
        let closed = ["pub enum vecgo::Metric", "pub vecgo::Metric::L2"];
        let released = lines(&[open, closed].concat());
        assert!(broken(&released, &released).is_empty());
        let with = |more: &str| broken(&released, &[released.clone(), lines(&[more])].concat());
        assert!(with("pub vecgo::Hit::score: f32").is_empty());
        assert!(with("pub fn vecgo::Metric::other()").is_empty());
        assert_eq!(with("pub vecgo::Metric::Dot"), ["new: pub vecgo::Metric::Dot"]);
        let other = lines(&[open[0], "pub vecgo::Hit::id: u32", closed[0], closed[1]]);
        assert_eq!(broken(&released, &other), ["gone: pub vecgo::Hit::id: u64"]);
    }
}
