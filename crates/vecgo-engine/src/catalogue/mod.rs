//! Which collections a database has, and opening them.

mod database;
mod probe;

use vecgo_format::{Catalogue, Config, FormatError, Parent, catalogue_key, number_of};
use vecgo_io::{Env, StoreExt};

pub use database::Database;

use crate::manifest::{Decided, decide};
use crate::{Error, ErrorKind, Result};

/// A collection, as the catalogue lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: Config,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
}

/// Conflicts in a row after which a change is given up: somebody changes the catalogue all the
/// time.
const MAX_TRIES: usize = 100;

/// The newest catalogue and its checksum; the empty one if there is none yet.
pub(crate) async fn newest(env: &Env) -> Result<(Catalogue, u64)> {
    match list(env).await?.first() {
        None => Ok((Catalogue::default(), 0)),
        Some(newest) => read(env, newest).await,
    }
}

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

/// Commits a change of the catalogue. `make` is asked again whenever another change came first.
pub(crate) async fn change<T>(env: &Env, make: impl Fn(&mut Catalogue) -> Result<T>) -> Result<T> {
    for _ in 0..MAX_TRIES {
        let (current, checksum) = newest(env).await?;
        let parent = Parent { number: current.number, checksum };
        let mut next = current;
        let made = make(&mut next)?;
        next.number = parent.number + 1;
        next.nonce = env.rand.next_u64();
        next.parent = parent;
        let (bytes, _) = next.encode();
        if let Decided::Ours = decide(env, &catalogue_key(next.number), bytes.into()).await? {
            return Ok(made);
        }
    }
    Err(Error::new(ErrorKind::Conflict, "the catalogue is changed by others all the time"))
}
