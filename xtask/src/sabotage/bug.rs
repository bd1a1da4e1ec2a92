//! A file of `sabotage`: a bug, what it breaks, and the edits that plant it.
//!
//! ```text
//! # What is wrong.
//! # Breaks I1: the promise that no longer holds.
//!
//! file crates/NAME/src/FILE.rs
//! <<<<
//! text that is there exactly once
//! ====
//! text in its place
//! >>>>
//! ```

use std::collections::BTreeMap;

use crate::Outcome;

/// A bug, and how to plant it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bug {
    /// Name of its file, without the ending.
    pub(super) name: String,
    /// What is wrong.
    pub(super) about: String,
    /// Which invariants it breaks, and the promise.
    pub(super) breaks: String,
    edits: Vec<Edit>,
}

#[derive(Debug, PartialEq, Eq)]
struct Edit {
    file: String,
    found: String,
    instead: String,
}

type Lines<'a> = std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'a>>>;

impl Bug {
    /// Reads a file of `sabotage`.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate().peekable();
        let mut head = Vec::new();
        while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with("# ")) {
            head.push(line.trim_start_matches("# "));
        }
        let promise = head.iter().position(|line| line.starts_with("Breaks I"));
        let Some(promise) = promise.filter(|promise| *promise > 0) else {
            return Err("expected lines `# WHAT IS WRONG` and then `# Breaks I1: PROMISE`".into());
        };
        let (about, breaks) = head.split_at(promise);
        let mut edits = Vec::new();
        while let Some((number, line)) = lines.next() {
            if line.is_empty() {
                continue;
            }
            let wrong = || format!("line {}: expected `file PATH`, found `{line}`", number + 1);
            let file = line.strip_prefix("file ").ok_or_else(wrong)?.to_owned();
            if !text_until(&mut lines, "<<<<")?.is_empty() {
                return Err(format!("line {}: expected `<<<<` to follow", number + 1));
            }
            let found = text_until(&mut lines, "====")?;
            let instead = text_until(&mut lines, ">>>>")?;
            if found.trim().is_empty() || found == instead {
                return Err(format!("line {}: an edit that changes nothing", number + 1));
            }
            edits.push(Edit { file, found, instead });
        }
        if edits.is_empty() {
            return Err("no edits".into());
        }
        let name = name.to_owned();
        Ok(Self { name, about: about.join(" "), breaks: breaks.join(" "), edits })
    }

    /// The files that it changes, with what they come to. `read` gives what a file holds.
    pub(super) fn plant(
        &self,
        read: impl Fn(&str) -> Outcome<String>,
    ) -> Outcome<BTreeMap<&str, String>> {
        let mut planted = BTreeMap::new();
        for edit in &self.edits {
            let text = match planted.remove(edit.file.as_str()) {
                Some(text) => text,
                None => read(&edit.file)?,
            };
            planted.insert(edit.file.as_str(), edit.apply(&text)?);
        }
        Ok(planted)
    }
}

impl Edit {
    fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.found).count() {
            1 => Ok(text.replacen(&self.found, &self.instead, 1)),
            times => {
                let Self { file, found, .. } = self;
                Err(format!("{file}: expected this once, found it {times} times:\n{found}"))
            }
        }
    }
}

/// The lines up to one that is `end`, which is taken too.
fn text_until(lines: &mut Lines<'_>, end: &str) -> Result<String, String> {
    let mut text = Vec::new();
    for (_, line) in lines {
        if line == end {
            return Ok(text.join("\n"));
        }
        text.push(line);
    }
    Err(format!("no line `{end}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUG: &str = "\
# The sum is off
# by one.
# Breaks I1, I2: sums are right,
# always.

file a.rs
<<<<
  a + b
====
  a + b + 1
  // as it should be
>>>>

file b.rs
<<<<
check();
====
>>>>
file a.rs
<<<<
a + b + 1
====
a + b + 2
>>>>
";

    fn files(file: &str) -> Outcome<String> {
        match file {
            "a.rs" => Ok("fn a() {\n  a + b\n}\n".to_owned()),
            "b.rs" => Ok("check();\nrun();\n".to_owned()),
            _ => Err("not there".into()),
        }
    }

    fn refused(text: &str) -> String {
        Bug::parse("bug", text).unwrap_err()
    }

    #[test]
    fn a_bug_says_what_it_is_and_what_it_breaks() {
        let bug = Bug::parse("bug", BUG).unwrap();
        assert_eq!(bug.name, "bug");
        assert_eq!(bug.about, "The sum is off by one.");
        assert_eq!(bug.breaks, "Breaks I1, I2: sums are right, always.");
    }

    #[test]
    fn edits_are_applied_one_after_the_other() {
        let bug = Bug::parse("bug", BUG).unwrap();
        let planted = bug.plant(files).unwrap();
        assert_eq!(planted["a.rs"], "fn a() {\n  a + b + 2\n  // as it should be\n}\n");
        assert_eq!(planted["b.rs"], "\nrun();\n");
    }

    #[test]
    fn a_text_must_be_there_once() {
        let bug = Bug::parse("bug", BUG).unwrap();
        for (text, times) in [("", "0 times"), ("  a + b\n  a + b\n", "2 times")] {
            let error = bug.plant(|_| Ok(text.to_owned())).unwrap_err().to_string();
            assert!(error.starts_with("a.rs: expected this once") && error.contains(times));
        }
        assert!(bug.plant(|_| Err("not there".into())).is_err());
    }

    #[test]
    fn what_is_no_bug_is_refused() {
        assert!(refused("").contains("Breaks"));
        assert!(refused("# Breaks I1: something.\n").contains("WHAT IS WRONG"));
        let head = "# A.\n# Breaks I1: b.\n";
        assert_eq!(refused(head), "no edits");
        assert!(refused(&format!("{head}edit a.rs\n")).contains("line 3: expected `file PATH`"));
        assert_eq!(refused(&format!("{head}file a.rs\n<<<<\na\n")), "no line `====`");
        assert_eq!(refused(&format!("{head}file a.rs\n<<<<\na\n====\nb\n")), "no line `>>>>`");
        let between = format!("{head}file a.rs\nb\n<<<<\na\n====\nb\n>>>>\n");
        assert!(refused(&between).contains("`<<<<` to follow"));
        for same in ["<<<<\na\n====\na\n>>>>", "<<<<\n\n====\na\n>>>>"] {
            assert!(refused(&format!("{head}file a.rs\n{same}\n")).contains("changes nothing"));
        }
    }
}
