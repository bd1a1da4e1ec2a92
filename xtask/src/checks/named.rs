use std::fs;
use std::path::Path;

use super::verdict;
use crate::Outcome;

const PAGE: &str = "RELIABILITY.md";
/// Fewer would mean that the page was not read as it should be.
const LEAST: usize = 40;

/// Every test that the page names is there.
pub(crate) fn named() -> Outcome {
    let page = fs::read_to_string(PAGE)?;
    let quoted = page.split('`').skip(1).step_by(2);
    let tests: Vec<_> = quoted.filter_map(|quoted| quoted.split_once(".rs::")).collect();
    if tests.len() < LEAST {
        return Err(format!("named: {PAGE} names {} tests, expected {LEAST}", tests.len()).into());
    }
    let missing = tests.into_iter().filter_map(|(path, test)| {
        let path = format!("{path}.rs");
        let path = Path::new("crates").join(path);
        let source = fs::read_to_string(&path).unwrap_or_default();
        let is_there = source.contains(&format!("fn {test}("));
        (!is_there).then(|| format!("{PAGE} names `{test}`, which is not in {}", path.display()))
    });
    verdict("named", &missing.collect::<Vec<_>>())
}
