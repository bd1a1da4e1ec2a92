//! Versions: finding, reading and committing the manifests of a collection.

mod decide;

use vecgo_format::{CollectionNames, FormatError, Manifest, number_of};
use vecgo_io::{Store, StoreExt};

pub(crate) use decide::{Decided, decide};

use crate::{Error, ErrorKind, Result};

/// A version that is in the store, and the checksum that names its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    pub(crate) manifest: Manifest,
    pub(crate) checksum: u64,
}

/// A version of a collection, as `versions` lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionInfo {
    /// The version's number.
    pub version: u64,
    /// When it was committed, in milliseconds since 1970.
    pub created_ms: u64,
    /// Sequence number of its last write.
    pub sequence: u64,
    /// How many segments it names.
    pub segments: usize,
}

/// Keys of all manifests, newest first. A file of another name is not ours and does not stop us.
pub(crate) async fn list(store: &dyn Store, names: CollectionNames) -> Result<Vec<String>> {
    let listed = store.list(&names.manifests()).await?.into_iter().map(|listed| listed.key);
    let ours = |key: &String| number_of(key).is_ok_and(|number| names.manifest(number) == *key);
    Ok(listed.filter(ours).collect())
}

/// The newest version; `None` for a collection that was never committed.
pub(crate) async fn newest(store: &dyn Store, names: CollectionNames) -> Result<Option<Committed>> {
    match list(store, names).await?.first() {
        None => Ok(None),
        Some(newest) => read(store, names, newest).await.map(Some),
    }
}

/// Version `number`.
pub(crate) async fn at(
    store: &dyn Store,
    names: CollectionNames,
    number: u64,
) -> Result<Committed> {
    let gone = |error: Error| match error.kind() {
        ErrorKind::NotFound => Error::new(
            ErrorKind::VersionGone,
            format!("version {number} is not kept; `versions` lists those that are"),
        ),
        _ => error,
    };
    read(store, names, &names.manifest(number)).await.map_err(gone)
}

/// All versions, newest first.
pub(crate) async fn versions(
    store: &dyn Store,
    names: CollectionNames,
) -> Result<Vec<VersionInfo>> {
    let mut versions = Vec::new();
    for key in list(store, names).await? {
        let manifest = read(store, names, &key).await?.manifest;
        versions.push(VersionInfo {
            version: manifest.number,
            created_ms: manifest.created_ms,
            sequence: manifest.sequence,
            segments: manifest.segments.len(),
        });
    }
    Ok(versions)
}

pub(crate) async fn read(
    store: &dyn Store,
    names: CollectionNames,
    key: &str,
) -> Result<Committed> {
    let bytes = store.get(key).await?;
    let decoded = number_of(key).and_then(|number| {
        let (manifest, checksum) = Manifest::decode(&bytes)?;
        if (manifest.number, manifest.collection) != (number, names.0) {
            let detail = format!("it is version {} of {}", manifest.number, manifest.collection);
            return Err(FormatError::Invalid { what: "manifest", offset: 0, detail });
        }
        Ok(Committed { manifest, checksum })
    });
    decoded.map_err(|error| Error::format(key, error))
}

/// An object that something durable names is damage if it is not there.
pub(crate) fn named_is_missing(error: Error, named_by: &str) -> Error {
    match error.kind() {
        ErrorKind::NotFound => {
            error.with_kind(ErrorKind::Corruption).context(format!("{named_by} names what is gone"))
        }
        _ => error,
    }
}
