use std::fs;
use std::path::Path;

use super::verdict;
use crate::Outcome;
use crate::process::git;

/// Most lines of a source file.
const SOURCE: usize = 500;
/// Most lines of a file of tests, benchmarks or examples.
const TEST: usize = 800;

/// Files that are longer, with their lines. An entry may shrink or go; none may be added or grow.
const LONGER: [(&str, usize); 0] = [];

/// No source file is too long.
pub(crate) fn lengths() -> Outcome {
    let files = git("ls-files --cached --others --exclude-standard -- *.rs").output()?;
    let mut wrong = Vec::new();
    for file in files.lines().filter(|file| Path::new(file).exists()) {
        wrong.extend(objection(file, fs::read_to_string(file)?.lines().count(), &LONGER));
    }
    verdict("lengths", &wrong)
}

fn objection(file: &str, lines: usize, longer: &[(&str, usize)]) -> Option<String> {
    let limit = if is_test(file) { TEST } else { SOURCE };
    match longer.iter().find(|(name, _)| *name == file) {
        Some((_, entry)) if lines <= limit => {
            Some(format!("{file} has {lines} lines; take its entry of {entry} out of the list"))
        }
        Some((_, entry)) if lines < *entry => {
            Some(format!("{file} has {lines} lines; lower its entry from {entry}"))
        }
        Some((_, entry)) if lines == *entry => None,
        Some((_, entry)) => {
            Some(format!("{file} has {lines} lines, {entry} before; it may not grow"))
        }
        None if lines > limit => {
            Some(format!("{file} has {lines} lines; expected at most {limit}"))
        }
        None => None,
    }
}

fn is_test(file: &str) -> bool {
    let folder = |part| matches!(part, "tests" | "benches" | "examples");
    file.ends_with("tests.rs") || file.split('/').any(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_limits() {
        assert_eq!(objection("crates/a/src/lib.rs", 500, &[]), None);
        assert!(objection("crates/a/src/lib.rs", 501, &[]).is_some());
        assert_eq!(objection("crates/a/src/b/tests.rs", 800, &[]), None);
        assert_eq!(objection("crates/a/tests/b.rs", 800, &[]), None);
        assert!(objection("crates/a/tests/b.rs", 801, &[]).is_some());
    }

    #[test]
    fn an_entry_follows_its_file_down() {
        let longer = [("a.rs", 600)];
        assert_eq!(objection("a.rs", 600, &longer), None);
        for lines in [601, 599, 500] {
            assert!(objection("a.rs", lines, &longer).is_some());
        }
    }
}
