use std::time::Duration;

use vecgo_format::{CollectionNames, Manifest, ObjectName, ObjectRef};

/// Which versions are kept. The newest always is, and so are those with a tag or a pin; of the
/// others the newest ones, without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest, that one included.
    pub versions: u64,
    /// And all that were the newest less than so long ago.
    pub age: Option<Duration>,
    /// But fewer, if what only the older ones need takes more bytes than this; if absent, half as
    /// much as the live rows of the newest take in segments, and 16 MiB at least.
    pub bytes: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { versions: 16, age: None, bytes: None }
    }
}

/// Bytes that old versions of a small collection may take.
const LEAST_BYTES: u64 = 16 << 20;

/// A version that is no longer the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) number: u64,
    /// When the next one was committed.
    pub(crate) until_ms: u64,
    /// Bytes that the next one did without.
    pub(crate) freed: u64,
}

impl Retention {
    /// The oldest version to keep, given those before the newest, newest first.
    pub(crate) fn oldest(
        &self,
        newest: u64,
        past: impl Iterator<Item = Past>,
        live_bytes: u64,
        now_ms: u64,
    ) -> u64 {
        let budget = self.bytes.unwrap_or_else(|| (live_bytes / 2).max(LEAST_BYTES));
        let age_ms = self.age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let (mut oldest, mut kept, mut freed) = (newest, 1, 0u64);
        for past in past {
            freed = freed.saturating_add(past.freed);
            let is_young = age_ms.is_some_and(|age| past.until_ms.saturating_add(age) > now_ms);
            if (kept >= self.versions && !is_young) || freed > budget {
                break;
            }
            oldest = past.number;
            kept += 1;
        }
        oldest
    }
}

/// Bytes of what a version needs in the store and the next one does not.
pub(crate) fn freed(older: &Manifest, newer: &Manifest, log_bytes: impl Fn(u64) -> u64) -> u64 {
    let kept: std::collections::BTreeSet<ObjectName> =
        objects(newer).map(|(_, object)| object.name).collect();
    let gone = objects(older).filter(|(_, object)| !kept.contains(&object.name));
    // One delete object may serve many segments.
    let gone: std::collections::BTreeMap<ObjectName, u64> =
        gone.map(|(_, object)| (object.name, object.length)).collect();
    // Logs that were begun and flushed since are in neither.
    let logs = older.log.first..newer.log.first.min(older.log.last.saturating_add(1));
    gone.into_values().chain(logs.map(log_bytes)).fold(0, u64::saturating_add)
}

/// What a version names beside its logs.
pub(crate) fn objects(manifest: &Manifest) -> impl Iterator<Item = (Named, ObjectRef)> {
    manifest.segments.iter().flat_map(|segment| {
        let deletes = segment.deletes.map(|object| (Named::Deletes, object));
        [(Named::Segment, segment.object)].into_iter().chain(deletes)
    })
}

/// What an object that a version names is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    Segment,
    Deletes,
}

impl Named {
    /// The key of one of a collection.
    pub(crate) fn key(self, names: CollectionNames, name: ObjectName) -> String {
        match self {
            Self::Segment => names.segment(name),
            Self::Deletes => names.deletes(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oldest(retention: Retention, freed: &[u64]) -> u64 {
        let newest = freed.len() as u64 + 1;
        let past = (1..newest).rev().zip(freed);
        let past = past.map(|(number, freed)| Past { number, until_ms: number, freed: *freed });
        retention.oldest(newest, past, 1000, 10)
    }

    #[test]
    fn the_newest_few_are_kept() {
        let three = Retention { versions: 3, ..Retention::default() };
        assert_eq!(oldest(three, &[0; 9]), 8);
        assert_eq!(oldest(three, &[0; 1]), 1);
        assert_eq!(oldest(Retention { versions: 0, ..three }, &[0; 4]), 5);
        assert_eq!(oldest(Retention::default(), &[0; 30]), 16);
    }

    #[test]
    fn young_ones_are_kept_beyond_the_count() {
        let age = Some(Duration::from_millis(4));
        let retention = Retention { versions: 1, age, bytes: None };
        // Version 7 was superseded at 7, 3 ms ago, version 6 exactly 4.
        assert_eq!(oldest(retention, &[0; 9]), 7);
    }

    #[test]
    fn bytes_bound_both() {
        let age = Some(Duration::from_hours(1));
        let retention = Retention { versions: 100, age, bytes: Some(10) };
        assert_eq!(oldest(retention, &[4, 4, 4, 4, 4]), 4);
        assert_eq!(oldest(retention, &[11]), 2);
        assert_eq!(oldest(Retention { bytes: None, ..retention }, &[LEAST_BYTES, 1]), 2);
    }
}
