use super::verdict;
use crate::Outcome;
use crate::process::git;

/// What belongs to a machine and not to the repository: folders of its own, and hosts of packages.
/// Written so that no pattern matches itself.
const PATTERNS: [&str; 2] = [
    "(^|[^[:alnum:]._])/(work|farm)/[a-z.]",
    "(crates[.]io|pypi[.]org|python[h]osted|npm[j]s|artifac[t]ory)",
];

/// No file names a place on somebody's machine or a package host. Lock files do: Cargo writes
/// them, and the check of dependencies reads them.
pub(crate) fn leaks() -> Outcome {
    let patterns = PATTERNS.iter().flat_map(|pattern| ["-e", *pattern]);
    let files = ["--", ".", ":(exclude)*Cargo.lock"];
    let search = git("grep --untracked -nIiE").args(patterns).args(files);
    match search.answer()? {
        (Some(1), _) => verdict("leaks", &[]),
        (Some(0), found) => verdict("leaks", &found.lines().map(str::to_owned).collect::<Vec<_>>()),
        (code, _) => Err(format!("`git grep` ended with {code:?}").into()),
    }
}
