//! Versions: finding, reading and committing the manifests of a collection.

mod decide;
mod kept;

use std::collections::BTreeMap;

use vecgo_format::{CollectionNames, FormatError, Manifest, number_of};
use vecgo_io::{Listed, Store};

pub(crate) use decide::{Decided, decide};
pub use kept::VersionInfo;
pub(crate) use kept::{
    Kept, as_of, at, keeps_without_pins, no_tag, tagged, version_gone, versions,
};

use crate::{Error, ErrorKind, Result};

/// A version that is in the store, and the checksum that names its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    pub(crate) manifest: Manifest,
    pub(crate) checksum: u64,
}

/// All manifests, by number. A file of another name is not ours and does not stop us.
pub(crate) async fn listed(
    store: &dyn Store,
    names: CollectionNames,
) -> Result<BTreeMap<u64, Listed>> {
    let listed = store.list(&names.manifests()).await?.into_iter();
    let ours = listed.filter_map(|listed| {
        let number = number_of(&listed.key).ok()?;
        (names.manifest(number) == listed.key).then_some((number, listed))
    });
    Ok(ours.collect())
}

/// Their keys, newest first.
pub(crate) async fn list(store: &dyn Store, names: CollectionNames) -> Result<Vec<String>> {
    Ok(listed(store, names).await?.into_values().rev().map(|listed| listed.key).collect())
}

/// The newest version; `None` for a collection that was never committed.
pub(crate) async fn newest(store: &dyn Store, names: CollectionNames) -> Result<Option<Committed>> {
    match newest_but(store, names, None).await? {
        Newest::Known => Err(Error::internal("a version is known that is none")),
        Newest::Another(found) => Ok(found.map(|found| *found)),
    }
}

/// What a look for the newest version found.
#[derive(Debug)]
pub(crate) enum Newest {
    /// The one that is known.
    Known,
    /// Another, or none.
    Another(Option<Box<Committed>>),
}

/// The newest version, which is not read if it is the one of this number.
pub(crate) async fn newest_but(
    store: &dyn Store,
    names: CollectionNames,
    known: Option<u64>,
) -> Result<Newest> {
    let mut looked_for = None;
    let known = known.map(|number| names.manifest(number));
    loop {
        let Some(newest) = list(store, names).await?.into_iter().next() else {
            return Ok(Newest::Another(None));
        };
        if known.as_ref() == Some(&newest) {
            return Ok(Newest::Known);
        }
        match read(store, names, &newest).await {
            // It has grown old and was deleted between the two looks.
            Err(error)
                if error.kind() == ErrorKind::NotFound && looked_for.as_ref() != Some(&newest) =>
            {
                looked_for = Some(newest);
            }
            found => return found.map(|found| Newest::Another(Some(Box::new(found)))),
        }
    }
}

pub(crate) async fn read(
    store: &dyn Store,
    names: CollectionNames,
    key: &str,
) -> Result<Committed> {
    decode(names, key, &store.get(key).await?)
}

/// The version that these bytes are, which were found under a key.
pub(crate) fn decode(names: CollectionNames, key: &str, bytes: &[u8]) -> Result<Committed> {
    let decoded = number_of(key).and_then(|number| {
        let (manifest, checksum) = Manifest::decode(bytes)?;
        if (manifest.number, manifest.collection) != (number, names.0) {
            let detail = format!("it is version {} of {}", manifest.number, manifest.collection);
            return Err(FormatError::Invalid { what: "manifest", offset: 0, detail });
        }
        Ok(Committed { manifest, checksum })
    });
    decoded.map_err(|error| Error::format(key, error))
}

/// An object that this writer has just written is missing because it has been fenced: whoever took
/// over has deleted what it never named. Where there are locks it is damage.
pub(crate) fn written_is_missing(store: &dyn Store, error: Error, written_by: &str) -> Error {
    match error.kind() {
        ErrorKind::NotFound if !store.has_locks() => {
            let message = format!("another writer has deleted what {written_by} wrote");
            error.with_kind(ErrorKind::Fenced).context(message)
        }
        _ => named_is_missing(error, written_by),
    }
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
