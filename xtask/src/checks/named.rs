use std::fs;

use super::verdict;
use crate::Outcome;

/// Pages that name tests, and how many each does at least: fewer would mean that it was not read as it should be.
const PAGES: [(&str, usize); 3] =
    [("RELIABILITY.md", 40), ("docs/security.md", 12), ("docs/deployment.md", 12)];

/// Every test that the pages name is there.
pub(crate) fn named() -> Outcome {
    let mut missing = Vec::new();
    for (page, least) in PAGES {
        let text = fs::read_to_string(page)?;
        let quoted = text.split('`').skip(1).step_by(2);
        let tests: Vec<_> = quoted.filter_map(place).collect();
        if tests.len() < least {
            return Err(
                format!("named: {page} names {} tests, expected {least}", tests.len()).into()
            );
        }
        missing.extend(tests.into_iter().filter_map(|(path, head)| {
            let source = fs::read_to_string(&path).unwrap_or_default();
            let is_there = source.contains(&head);
            (!is_there).then(|| format!("{page}: no `{head}` in {path}"))
        }));
    }
    verdict("named", &missing)
}

/// The file that a name of a test says, and how the test begins there.
fn place(quoted: &str) -> Option<(String, String)> {
    if let Some((path, test)) = quoted.split_once(".rs::") {
        return Some((format!("crates/{path}.rs"), format!("fn {test}(")));
    }
    let (path, test) = quoted.split_once(".py::")?;
    Some((format!("{path}.py"), format!("def {test}(")))
}
