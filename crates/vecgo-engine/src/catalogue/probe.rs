//! Whether a store without locks keeps to the condition of a put.

use bytes::Bytes;
use vecgo_io::{Env, PutOutcome};

use crate::{Error, ErrorKind, Result};

/// Puts two objects under one name, and expects the second to be refused.
///
/// Some stores that speak a bucket's language ignore the condition without a word. Two writers
/// would then overwrite each other's versions, and each would believe that its own is there.
///
/// # Errors
/// `Unsupported` for such a store; `Unavailable` if it could not be found out.
pub(crate) async fn probe(env: &Env) -> Result<()> {
    let key = format!("probe/{:032x}", env.rand.next_u128());
    let first = env.store.put_if_absent(&key, Bytes::from_static(b"first")).await?;
    let second = env.store.put_if_absent(&key, Bytes::from_static(b"second")).await;
    // What stays behind is no part of the database.
    let _ = env.store.delete(&key).await;
    match (first, second?) {
        (PutOutcome::Committed, PutOutcome::Conflict) => Ok(()),
        (PutOutcome::Committed, PutOutcome::Committed) => Err(Error::new(
            ErrorKind::Unsupported,
            "the store overwrites objects though asked not to (`If-None-Match`); \
             two writers could not be kept apart",
        )),
        _ => Err(Error::new(
            ErrorKind::Unavailable,
            "the store gave no clear answer when it was probed for conditional puts; try again",
        )),
    }
}
