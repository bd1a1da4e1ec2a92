use std::fs;
use std::path::Path;

use super::verdict;
use crate::Outcome;

const PAGE: &str = "RELIABILITY.md";

/// Every test that the page names is there.
pub(crate) fn named() -> Outcome {
    let page = fs::read_to_string(PAGE)?;
    let quoted = page.split('`').skip(1).step_by(2);
    let missing = quoted.filter_map(|quoted| {
        let (path, test) = quoted.split_once(".rs::")?;
        let path = format!("{path}.rs");
        let path = Path::new("crates").join(path);
        let source = fs::read_to_string(&path).unwrap_or_default();
        let is_there = source.contains(&format!("fn {test}("));
        (!is_there).then(|| format!("{PAGE} names `{quoted}`, which is not in {}", path.display()))
    });
    verdict("named", &missing.collect::<Vec<_>>())
}
