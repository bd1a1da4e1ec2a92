//! Whether a store without locks keeps to the condition of a put.

use bytes::Bytes;
use vecgo_io::Env;

use crate::manifest::{Decided, decide};
use crate::{Error, ErrorKind, Result};

/// Puts two objects under one name, and expects the second to be refused.
///
/// Some stores that speak a bucket's language ignore the condition without a word. Two writers
/// would then overwrite each other's versions, and each would believe that its own is there.
///
/// # Errors
/// `Unsupported` for such a store; `Unavailable` if it could not be found out.
pub(crate) async fn probe(env: &Env) -> Result<()> {
    // A store that cannot be read cannot be written either, and says so sooner.
    env.store.list("probe/").await?;
    let key = format!("probe/{:032x}", env.rand.next_u128());
    let first = decide(env, &key, Bytes::from_static(b"first")).await;
    let second = match first {
        Ok(_) => decide(env, &key, Bytes::from_static(b"second")).await,
        Err(error) => Err(error),
    };
    // What stays behind is no part of the database.
    let _ = env.store.delete(&key).await;
    match second {
        Ok(Decided::Theirs(_)) => Ok(()),
        Ok(Decided::Ours) => Err(Error::new(
            ErrorKind::Unsupported,
            "the store overwrites objects though asked not to (`If-None-Match`); \
             two writers could not be kept apart",
        )),
        Err(error) if error.kind() == ErrorKind::OutcomeUnknown => Err(error
            .with_kind(ErrorKind::Unavailable)
            .context("the store gave no clear answer when it was probed for conditional puts")),
        Err(error) => Err(error),
    }
}
