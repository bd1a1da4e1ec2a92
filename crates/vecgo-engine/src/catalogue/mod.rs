//! Which collections a database has, and opening them.

mod database;
mod probe;
mod reopen;

use std::sync::Arc;

use parking_lot::Mutex;
use vecgo_format::{Catalogue, Config, FormatError, Parent, catalogue_key, number_of};
use vecgo_io::Env;

pub use database::Database;
pub(crate) use database::{Inner, check_name, delete_objects, find, needs_newer};

use crate::manifest::{Decided, decide};
use crate::{Error, ErrorKind, Result};

/// A collection, as the catalogue lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// Tells it from every other, whatever it is called.
    pub identity: u128,
    /// The configuration that it was created with.
    pub config: Config,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
}

/// Conflicts in a row after which a change is given up: somebody changes the catalogue all the
/// time.
const MAX_TRIES: usize = 100;

/// Catalogues that are kept: nobody reads an older one than the newest, but a change that was long
/// under way must run into those that came after it.
const KEPT: u64 = 16;

/// Keys of all catalogues, newest first. A file of another name is not ours and does not stop us.
pub(crate) async fn list(env: &Env) -> Result<Vec<String>> {
    let listed = env.store.list("catalogue/").await?.into_iter().map(|listed| listed.key);
    let ours = |key: &String| number_of(key).is_ok_and(|number| catalogue_key(number) == *key);
    Ok(listed.filter(ours).collect())
}

pub(crate) async fn read(env: &Env, key: &str) -> Result<(Catalogue, u64)> {
    let bytes = env.store.get(key).await?;
    let decoded = number_of(key).and_then(|number| {
        let (catalogue, checksum) = Catalogue::decode(&bytes)?;
        if catalogue.number != number {
            let detail = format!("it is number {}", catalogue.number);
            return Err(FormatError::Invalid { what: "catalogue", offset: 0, detail });
        }
        Ok((catalogue, checksum))
    });
    decoded.map_err(|error| Error::format(key, error))
}

/// The chain of catalogues of a database.
#[derive(Debug)]
pub(crate) struct Chain {
    env: Env,
    /// The newest that was read or put, by its key: what has a key never changes.
    known: Mutex<Option<(String, Arc<Catalogue>, u64)>>,
}

impl Chain {
    pub(crate) fn new(env: Env) -> Self {
        Self { env, known: Mutex::default() }
    }

    /// The newest catalogue and its checksum; the empty one if there is none yet.
    pub(crate) async fn newest(&self) -> Result<(Arc<Catalogue>, u64)> {
        let mut looked_for = None;
        loop {
            let Some(newest) = list(&self.env).await?.into_iter().next() else {
                return Ok((Arc::default(), 0));
            };
            if let Some((key, catalogue, checksum)) = &*self.known.lock()
                && *key == newest
            {
                return Ok((Arc::clone(catalogue), *checksum));
            }
            match read(&self.env, &newest).await {
                // It has grown old and was deleted between the two looks.
                Err(error)
                    if error.kind() == ErrorKind::NotFound
                        && looked_for.as_ref() != Some(&newest) =>
                {
                    looked_for = Some(newest);
                }
                Err(error) => return Err(error),
                Ok((catalogue, checksum)) => {
                    let catalogue = Arc::new(catalogue);
                    *self.known.lock() = Some((newest, Arc::clone(&catalogue), checksum));
                    return Ok((catalogue, checksum));
                }
            }
        }
    }

    /// Whether a catalogue that was put is part of the chain. It is not if it came so late that
    /// others had deleted what had its number. Deletes those that are not kept any more.
    async fn counts(&self, put: &Catalogue) -> Result<bool> {
        let listed = list(&self.env).await;
        let newest = match &listed {
            Ok(keys) if keys.first() == Some(&catalogue_key(put.number)) => put.oldest,
            _ => self.newest().await.map_err(in_doubt)?.0.oldest,
        };
        // The next change deletes what this one fails to.
        for key in listed.into_iter().flatten() {
            if number_of(&key).is_ok_and(|number| number < newest)
                && self.env.store.delete(&key).await.is_err()
            {
                break;
            }
        }
        Ok(put.number >= newest)
    }
}

/// Commits a change of the catalogue. `make` is asked again whenever another change came first.
pub(crate) async fn change<T>(
    chain: &Chain,
    make: impl Fn(&mut Catalogue) -> Result<T>,
) -> Result<T> {
    let env = &chain.env;
    for _ in 0..MAX_TRIES {
        let (current, checksum) = chain.newest().await?;
        let parent = Parent { number: current.number, checksum };
        let mut next = Catalogue::clone(&current);
        let made = make(&mut next)?;
        next.number = parent.number + 1;
        next.nonce = env.rand.next_u64();
        next.parent = parent;
        next.oldest = next.oldest.max(next.number.saturating_sub(KEPT));
        let ((bytes, checksum), key) = (next.encode(), catalogue_key(next.number));
        if let Decided::Ours = decide(env, &key, bytes.into()).await?
            && chain.counts(&next).await?
        {
            *chain.known.lock() = Some((key, Arc::new(next), checksum));
            return Ok(made);
        }
    }
    Err(Error::new(ErrorKind::Conflict, "the catalogue is changed by others all the time"))
}

/// The change was put; whether it counts is not known.
fn in_doubt(error: Error) -> Error {
    error.with_kind(ErrorKind::OutcomeUnknown).context("a change may or may not have happened")
}
