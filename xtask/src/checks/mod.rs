//! What no compiler checks.

mod deny;
mod layers;
mod leaks;
mod lengths;
mod licence;
mod named;

pub(crate) use deny::deny;
pub(crate) use layers::layers;
pub(crate) use leaks::leaks;
pub(crate) use lengths::lengths;
pub(crate) use named::named;

use crate::Outcome;
use crate::process::cargo;

/// Every check, the quick ones first.
pub(crate) fn all() -> Outcome {
    cargo("fmt --all --check").run()?;
    leaks()?;
    lengths()?;
    named()?;
    layers()?;
    deny()?;
    cargo("clippy --workspace --all-targets -- -D warnings").run()
}

/// Prints what is wrong, if anything is.
fn verdict(check: &str, wrong: &[String]) -> Outcome {
    if wrong.is_empty() {
        eprintln!("{check}: ok");
        return Ok(());
    }
    Err(format!("{check}:\n  {}", wrong.join("\n  ")).into())
}
