//! Putting an object that has one name and may have one author only.

use std::time::Duration;

use bytes::Bytes;
use vecgo_io::{Env, PutOutcome, StoreError, StoreErrorKind};

use crate::{Error, ErrorKind, Result};

/// How long a store that gives no answer is asked again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pauses between tries, each twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Whose object a name stands for, now and for ever.
#[derive(Debug)]
pub(crate) enum Decided {
    /// Ours is there, durably.
    Ours,
    /// Another's: its bytes. Ours never will be.
    Theirs(Vec<u8>),
}

/// Puts an object under a name that others may want too, and finds out who got it.
///
/// An answer that is lost is asked for again with the same bytes. They hold a nonce, so that
/// those found under a name that is taken tell whether an earlier try of ours took it. Where a
/// directory's sync failed, nothing tells: that the name can be read proves nothing, and a second
/// sync proves nothing either.
///
/// # Errors
/// `OutcomeUnknown` if nothing told in time; otherwise nothing was created, nor will be.
pub(crate) async fn decide(env: &Env, key: &str, body: Bytes) -> Result<Decided> {
    let deadline = env.clock.monotonic() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    let mut doubt = false;
    loop {
        let error = match env.store.put_if_absent(key, body.clone()).await {
            Ok(PutOutcome::Committed) => return Ok(Decided::Ours),
            Ok(PutOutcome::Conflict) => match env.store.get(key).await {
                Ok(there) if there == body => return Ok(Decided::Ours),
                Ok(there) => return Ok(Decided::Theirs(there)),
                Err(error) => {
                    // It may be ours that has the name.
                    doubt = true;
                    error
                }
            },
            Ok(PutOutcome::Unknown(error)) => {
                doubt = true;
                if error.kind() != StoreErrorKind::Unavailable {
                    return Err(unknown(error));
                }
                error
            }
            Err(error) if error.kind() == StoreErrorKind::Unavailable => error,
            Err(error) if doubt => return Err(unknown(error)),
            Err(error) => return Err(error.into()),
        };
        if env.clock.monotonic() >= deadline {
            return Err(if doubt { unknown(error) } else { error.into() });
        }
        env.clock.sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn unknown(error: StoreError) -> Error {
    Error::from(error)
        .with_kind(ErrorKind::OutcomeUnknown)
        .context("a commit may or may not have happened")
}
