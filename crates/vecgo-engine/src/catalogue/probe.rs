//! Whether a store without locks keeps to the condition of a put.

use vecgo_io::Env;

use crate::manifest::{Decided, decide};
use crate::{Error, ErrorKind, Result};

/// The name that is put to. An object that is there stays: it shows the next time, too, that a name which is
/// taken is refused.
const NAME: &str = "probe/condition";

/// Puts two objects under one name, and expects the second to be refused; the first, if an object is there.
///
/// Some stores that speak a bucket's language ignore the condition without a word. Two writers
/// would then overwrite each other's versions, and each would believe that its own is there.
///
/// # Errors
/// `Unsupported` for such a store; `Unavailable` if it could not be found out.
pub(crate) async fn probe(env: &Env) -> Result<()> {
    // A store that cannot be read cannot be written either, and says so sooner.
    env.store.list("probe/").await?;
    for _ in 0..2 {
        // Bytes that nobody else puts tell whose object is there.
        let body = format!("{:032x}", env.rand.next_u128());
        match decide(env, NAME, body.into()).await {
            Ok(Decided::Theirs(_)) => return Ok(()),
            Ok(Decided::Ours) => {}
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                let message =
                    "the store gave no clear answer when it was probed for conditional puts";
                return Err(error.with_kind(ErrorKind::Unavailable).context(message));
            }
            Err(error) => return Err(error),
        }
    }
    // Nothing is to be left in a store that is refused.
    let _ = env.store.delete(NAME).await;
    Err(Error::new(
        ErrorKind::Unsupported,
        "the store overwrites objects though asked not to (`If-None-Match`); \
         two writers could not be kept apart",
    ))
}
