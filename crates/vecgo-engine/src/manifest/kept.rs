//! Which versions are kept, and finding one of them.

use std::collections::{BTreeMap, BTreeSet};

use vecgo_format::{CollectionNames, Manifest};
use vecgo_io::Env;

use super::{Committed, listed, newest, read};
use crate::vacuum::pinned;
use crate::{Error, ErrorKind, PinStats, Result};

/// A version of a collection, as `versions` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionInfo {
    /// The version's number.
    pub version: u64,
    /// When it was committed, in milliseconds since 1970. Never less than for the version before.
    pub created_ms: u64,
    /// Sequence number of its last write.
    pub sequence: u64,
    /// How many segments it names.
    pub segments: usize,
    /// Its tags.
    pub tags: Vec<String>,
    /// Who holds a pin of it, if somebody does.
    pub pinned_by: Option<String>,
}

/// Which versions one of them keeps; those with a pin are kept beside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Kept {
    /// The oldest of the unbroken row up to that version.
    pub(crate) oldest: u64,
    pub(crate) tagged: BTreeSet<u64>,
}

impl Kept {
    pub(crate) fn by(manifest: &Manifest) -> Self {
        Self { oldest: manifest.oldest, tagged: manifest.tags.values().copied().collect() }
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        number >= self.oldest || self.tagged.contains(&number)
    }
}

/// The error of a version that is not kept.
pub(crate) fn version_gone(version: impl std::fmt::Display) -> Error {
    let message = format!("version {version} is not kept; the list of versions has those that are");
    Error::new(ErrorKind::VersionGone, message)
}

/// Whether version `number` is kept by the newest.
pub(crate) async fn keeps_without_pins(
    env: &Env,
    names: CollectionNames,
    number: u64,
) -> Result<bool> {
    let Some(Committed { manifest, .. }) = newest(&*env.store, names).await? else {
        return Ok(false);
    };
    Ok(number <= manifest.number && Kept::by(&manifest).has(number))
}

/// Version `number`.
///
/// # Errors
/// `VersionGone` if it is not kept.
pub(crate) async fn at(env: &Env, names: CollectionNames, number: u64) -> Result<Committed> {
    // What is not kept may be there still, and what it names gone already.
    if !keeps_without_pins(env, names, number).await?
        && !pinned(env, names, false).await?.contains_key(&number)
    {
        return Err(version_gone(number));
    }
    match read(&*env.store, names, &names.manifest(number)).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(version_gone(number)),
        found => found,
    }
}

/// The number of the version with a tag.
pub(crate) async fn tagged(env: &Env, names: CollectionNames, tag: &str) -> Result<u64> {
    let newest = newest(&*env.store, names).await?;
    let tags = newest.map(|newest| newest.manifest.tags).unwrap_or_default();
    tags.get(tag).copied().ok_or_else(|| no_tag(tag, &tags))
}

/// The error of a tag that is not there.
pub(crate) fn no_tag(tag: &str, tags: &BTreeMap<String, u64>) -> Error {
    let names: Vec<&str> = tags.keys().map(String::as_str).collect();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Error::new(ErrorKind::NotFound, format!("there is no tag `{tag}`; the collection has {there}"))
}

/// The number of the version that was the newest at a time. Of those committed within one
/// millisecond it is the last.
///
/// # Errors
/// `VersionGone` if none that is kept is as old.
pub(crate) async fn as_of(env: &Env, names: CollectionNames, time_ms: u64) -> Result<u64> {
    let kept = kept_now(env, names).await?.map(|kept| kept.numbers).unwrap_or_default();
    let (mut low, mut high) = (0, kept.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let number = kept.get(middle).copied().unwrap_or_default();
        let is_before = match read(&*env.store, names, &names.manifest(number)).await {
            Ok(found) => found.manifest.created_ms <= time_ms,
            // It has become too old since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        if is_before { low = middle + 1 } else { high = middle }
    }
    let newest = low.checked_sub(1).and_then(|place| kept.get(place)).copied();
    // If the next one is not kept nobody knows whether that was there already.
    let next = kept.get(low).copied();
    newest
        .filter(|newest| next.is_none_or(|next| next == newest + 1))
        .ok_or_else(|| version_gone(format!("that was the newest at {time_ms} ms since 1970")))
}

/// The versions that are kept at some moment, and why.
struct KeptNow {
    /// Oldest first.
    numbers: Vec<u64>,
    tags: BTreeMap<String, u64>,
    pins: BTreeMap<u64, PinStats>,
}

/// `None` for a collection that was never committed.
async fn kept_now(env: &Env, names: CollectionNames) -> Result<Option<KeptNow>> {
    let Some(newest) = newest(&*env.store, names).await? else { return Ok(None) };
    let (kept, pins) = (Kept::by(&newest.manifest), pinned(env, names, false).await?);
    let numbers = listed(&*env.store, names).await?.into_keys();
    let numbers = numbers.filter(|number| kept.has(*number) || pins.contains_key(number)).collect();
    Ok(Some(KeptNow { numbers, tags: newest.manifest.tags, pins }))
}

/// All versions that are kept, newest first.
pub(crate) async fn versions(env: &Env, names: CollectionNames) -> Result<Vec<VersionInfo>> {
    let Some(kept) = kept_now(env, names).await? else { return Ok(Vec::new()) };
    let mut versions = Vec::new();
    for number in kept.numbers.into_iter().rev() {
        let manifest = match read(&*env.store, names, &names.manifest(number)).await {
            // It has become too old since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            found => found?.manifest,
        };
        let tags = kept.tags.iter().filter(|(_, tagged)| **tagged == number);
        versions.push(VersionInfo {
            version: number,
            created_ms: manifest.created_ms,
            sequence: manifest.sequence,
            segments: manifest.segments.len(),
            tags: tags.map(|(tag, _)| tag.clone()).collect(),
            pinned_by: kept.pins.get(&number).map(|pin| pin.holder.clone()),
        });
    }
    Ok(versions)
}
