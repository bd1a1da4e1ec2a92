//! Manifests, catalogues, delete objects, pins and backups: they come back, and no damage passes for them.

use crate::common;
use crate::common::{assert_no_change_reads, assert_no_prefix_reads, few, plain, reseal};
use proptest::prelude::*;
use vecgo_format::{
    Catalogue, Config, DeleteObject, Entry, FormatError, Identity, Inventory, MAX_DIM, Manifest,
    Metric, Parent, Pin, PrunePlan, Schema, checksum,
};

/// The checksum by which an object is named: that of all its bytes but itself.
fn named_by(bytes: &[u8]) -> u64 {
    checksum(&bytes[..bytes.len() - 8])
}

proptest! {
    #[test]
    fn manifests_come_back(manifest in common::manifest()) {
        let (bytes, sum) = manifest.encode();
        prop_assert_eq!(sum, named_by(&bytes));
        prop_assert_eq!(Manifest::decode(&bytes), Ok((manifest, sum)));
    }

    #[test]
    fn catalogues_come_back(catalogue in common::catalogue()) {
        let (bytes, sum) = catalogue.encode();
        prop_assert_eq!(sum, named_by(&bytes));
        prop_assert_eq!(Catalogue::decode(&bytes), Ok((catalogue, sum)));
    }

    #[test]
    fn delete_objects_come_back(object in common::deletes()) {
        let (bytes, sum) = object.encode();
        prop_assert_eq!(sum, named_by(&bytes));
        let (decoded, found) = DeleteObject::decode(&bytes).expect("decode");
        prop_assert_eq!(found, sum);
        prop_assert_eq!(plain(&decoded), plain(&object));
    }

    #[test]
    fn pins_come_back(pin in common::pin()) {
        let (bytes, sum) = pin.encode();
        prop_assert_eq!(sum, named_by(&bytes));
        prop_assert_eq!(Pin::decode(&bytes), Ok((pin, sum)));
    }

    #[test]
    fn backups_and_prune_plans_come_back(
        inventory in common::inventory(),
        plan in common::prune_plan(),
    ) {
        let (bytes, sum) = inventory.encode();
        prop_assert_eq!(sum, named_by(&bytes));
        prop_assert_eq!(Inventory::decode(&bytes), Ok((inventory, sum)));
        let (bytes, sum) = plan.encode();
        prop_assert_eq!(PrunePlan::decode(&bytes), Ok((plan, sum)));
    }

    #[test]
    fn kinds_are_not_mixed_up(
        manifest in common::manifest(),
        catalogue in common::catalogue(),
        deletes in common::deletes(),
    ) {
        let [manifest, catalogue, deletes] =
            [manifest.encode().0, catalogue.encode().0, deletes.encode().0];
        let is_other = |error: Option<FormatError>| matches!(error, Some(FormatError::Magic { .. }));
        prop_assert!(is_other(Manifest::decode(&catalogue).err()));
        prop_assert!(is_other(Manifest::decode(&deletes).err()));
        prop_assert!(is_other(Catalogue::decode(&manifest).err()));
        prop_assert!(is_other(DeleteObject::decode(&catalogue).err()));
        prop_assert!(is_other(Pin::decode(&manifest).err()));
    }

    #[test]
    fn version_follows_its_parent(manifest in common::manifest(), beyond: u64) {
        let mut manifest = manifest;
        manifest.parent.number = manifest.number.saturating_add(beyond);
        prop_assert!(Manifest::decode(&manifest.encode().0).is_err());
        (manifest.number, manifest.parent) = (0, Parent::default());
        prop_assert!(Manifest::decode(&manifest.encode().0).is_err());
    }

    /// A checksum that fits says only that the parts were written so.
    #[test]
    fn manifests_are_consistent(manifest in common::manifest(), beyond in 1u64..) {
        let refused = |change: &dyn Fn(&mut Manifest)| {
            let mut changed = manifest.clone();
            change(&mut changed);
            let decoded = Manifest::decode(&changed.encode().0);
            assert!(matches!(decoded, Err(FormatError::Invalid { .. })), "{decoded:?}");
        };
        refused(&|m| m.epoch = u64::MAX);
        refused(&|m| m.epoch_began = 0);
        refused(&|m| m.epoch_began = m.number + 1);
        refused(&|m| m.oldest = 0);
        refused(&|m| m.oldest = m.number + 1);
        refused(&|m| m.tags = [("a".to_owned(), m.number)].into());
        refused(&|m| m.log.first = 0);
        refused(&|m| m.log.last = u64::MAX);
        refused(&|m| m.log.epoch = m.epoch.saturating_add(beyond));
        refused(&|m| m.number = u64::MAX);
        refused(&|m| m.sequence = u64::MAX);
        refused(&|m| m.next_segment = u64::MAX);
        refused(&|m| (m.sequence, m.log.flushed) = (m.sequence.min(beyond - 1), beyond));
        for at in 0..manifest.segments.len() {
            refused(&|m| m.next_segment = m.segments[at].number);
            refused(&|m| m.segments.push(m.segments[at].clone()));
            refused(&|m| m.segments[at].dead_rows = m.segments[at].directory.rows + 1);
            refused(&|m| match m.segments[at].deletes {
                Some(_) => m.segments[at].dead_rows = 0,
                None => m.segments[at].dead_rows = 1,
            });
            refused(&|m| m.config = Config::new(m.config.dim() % MAX_DIM + 1, m.config.metric()));
            refused(&|m| {
                let other = match m.config.metric() {
                    Metric::Cosine => Metric::Dot,
                    Metric::L2 | Metric::Dot => Metric::Cosine,
                };
                m.config = Config::new(m.config.dim(), other);
            });
        }
    }

    #[test]
    fn segment_has_its_own_directory(manifest in common::manifest(), bit in 0u32..64) {
        let mut manifest = manifest;
        prop_assume!(!manifest.segments.is_empty());
        manifest.segments[0].object.checksum ^= 1 << bit;
        prop_assert!(Manifest::decode(&manifest.encode().0).is_err());
    }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn damaged_manifests_are_refused(manifest in common::manifest()) {
        let (bytes, _) = manifest.encode();
        assert_no_prefix_reads(&bytes, Manifest::decode);
        assert_no_change_reads(&bytes, Manifest::decode);
    }

    #[test]
    fn damaged_catalogues_are_refused(catalogue in common::catalogue()) {
        let (bytes, _) = catalogue.encode();
        assert_no_prefix_reads(&bytes, Catalogue::decode);
        assert_no_change_reads(&bytes, Catalogue::decode);
    }

    #[test]
    fn damaged_pins_are_refused(pin in common::pin()) {
        let (bytes, _) = pin.encode();
        assert_no_prefix_reads(&bytes, Pin::decode);
        assert_no_change_reads(&bytes, Pin::decode);
    }

    #[test]
    fn damaged_backups_are_refused(
        inventory in common::inventory(),
        plan in common::prune_plan(),
    ) {
        let (bytes, _) = inventory.encode();
        assert_no_prefix_reads(&bytes, Inventory::decode);
        assert_no_change_reads(&bytes, Inventory::decode);
        let (bytes, _) = plan.encode();
        assert_no_prefix_reads(&bytes, PrunePlan::decode);
        assert_no_change_reads(&bytes, PrunePlan::decode);
    }

    #[test]
    fn damaged_delete_objects_are_refused(object in common::deletes()) {
        let (bytes, _) = object.encode();
        // A large one is its bitmaps again and again; the beginning and the end say enough.
        let step = bytes.len() / 400 + 1;
        for length in (0..bytes.len()).step_by(step).chain(bytes.len().saturating_sub(20)..bytes.len()) {
            prop_assert!(DeleteObject::decode(&bytes[..length]).is_err());
            let mut changed = bytes.clone();
            for flip in [0x01, 0x80, 0xff] {
                changed[length] = bytes[length] ^ flip;
                prop_assert!(DeleteObject::decode(&changed).is_err());
            }
        }
    }

    /// Whole prefixes with a checksum that fits: the structure itself notices what is missing.
    #[test]
    fn resealed_prefixes_are_refused(
        manifest in common::manifest(),
        catalogue in common::catalogue(),
        object in common::deletes(),
    ) {
        let resealed = |bytes: &[u8], body: usize| {
            let mut bytes = bytes[..8 + body + 8].to_vec();
            reseal(&mut bytes);
            bytes
        };
        let (manifest, catalogue, object) =
            (manifest.encode().0, catalogue.encode().0, object.encode().0);
        for body in 0..manifest.len() - 16 {
            prop_assert!(Manifest::decode(&resealed(&manifest, body)).is_err(), "{}", body);
        }
        for body in 0..catalogue.len() - 16 {
            prop_assert!(Catalogue::decode(&resealed(&catalogue, body)).is_err(), "{}", body);
        }
        for body in (0..object.len() - 16).step_by(object.len() / 200 + 1) {
            prop_assert!(DeleteObject::decode(&resealed(&object, body)).is_err(), "{}", body);
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let (mut bytes, _) = Catalogue::default().encode();
    bytes.splice(bytes.len() - 8..bytes.len() - 8, [0]);
    reseal(&mut bytes);
    assert!(matches!(Catalogue::decode(&bytes), Err(FormatError::Invalid { .. })));
}

/// The bytes given for a bitmap are that bitmap and nothing else.
#[test]
fn bytes_after_a_bitmap_are_refused() {
    let mut object = DeleteObject::default();
    object.dead.insert(7, (0..10).collect());
    let (bytes, _) = object.encode();
    // Mark, version, count, segment, then the bitmap's length in one byte.
    let length_at = 8 + 1 + 8;
    let mut longer = bytes.clone();
    longer[length_at] += 3;
    longer.splice(longer.len() - 8..longer.len() - 8, [1, 2, 3]);
    reseal(&mut longer);
    let decoded = DeleteObject::decode(&longer);
    assert!(decoded.is_err(), "{decoded:?}");
}

#[test]
fn extensions_of_later_builds() {
    let entry = Entry {
        identity: Identity(7),
        config: Config::new(3, Metric::L2),
        schema: Schema::default(),
        created_ms: 1,
        extensions: [(7, b"said".to_vec()), (8, Vec::new())].into_iter().collect(),
    };
    let collections = [("a".to_owned(), entry)].into();
    let written = Catalogue { number: 1, collections, ..Catalogue::default() };
    let (bytes, _) = written.encode();
    assert_eq!(Catalogue::decode(&bytes).map(|(read, _)| read), Ok(written));
    let said = [2, 7, 0, 0, 4, b's', b'a', b'i', b'd', 8, 0, 0, 0];
    let start = bytes.windows(said.len()).position(|bytes| bytes == said).expect("both");
    let changed = |at: usize, byte: u8| {
        let mut changed = bytes.clone();
        changed[start + at] = byte;
        common::reseal(&mut changed);
        Catalogue::decode(&changed)
    };
    for required in [3, 11] {
        let (read, _) = changed(required, 1).expect("the rest can be read");
        assert!(read.collections.is_empty() && read.has("a"), "{read:?}");
        assert!(read.newer["a"].why.contains("extension"), "{read:?}");
        assert_eq!(changed(required, 1), Catalogue::decode(&read.encode().0));
    }
    for (at, kind) in [(1, 8), (1, 9), (9, 7)] {
        let refused = changed(at, kind);
        assert!(matches!(refused, Err(FormatError::Invalid { .. })), "{refused:?}");
    }
}
