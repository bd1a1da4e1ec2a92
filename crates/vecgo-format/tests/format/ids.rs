//! Ids, their columns, and the names of objects.

use crate::common;
use proptest::collection::vec;
use proptest::prelude::*;
use vecgo_format::{
    CollectionNames, Id, IdColumn, IdError, Identity, MAX_ID_BYTES, ObjectName, catalogue_key,
    number_of,
};

/// The id of a row as a segment's reader puts it together.
fn id_of(column: &IdColumn, row: usize) -> Id {
    let entry = &column.values()[row * 8..row * 8 + 8];
    let entry = u64::from_le_bytes(entry.try_into().expect("eight bytes"));
    let is_text = column.kinds().is_some_and(|kinds| kinds[row / 8] & (1 << (row % 8)) != 0);
    if !is_text {
        return Id::Number(entry);
    }
    let range = IdColumn::text_range(entry);
    let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).expect("an offset"));
    IdColumn::text_id(&column.text().expect("texts")[start..end]).expect("an id")
}

proptest! {
    #[test]
    fn ids_come_back_from_their_column(ids in vec(common::id(), 0..300)) {
        let mut column = IdColumn::default();
        ids.iter().for_each(|id| column.push(id));
        prop_assert_eq!(column.values().len(), ids.len() * 8);
        let texts = ids.iter().any(|id| matches!(id, Id::Text(_)));
        prop_assert_eq!(column.kinds().is_some(), texts);
        prop_assert_eq!(column.text().is_some(), texts);
        if let Some(kinds) = column.kinds() {
            prop_assert_eq!(kinds.len(), ids.len().div_ceil(8));
        }
        for (row, id) in ids.iter().enumerate() {
            prop_assert_eq!(&id_of(&column, row), id, "row {}", row);
        }
    }

    #[test]
    fn numbers_order_before_texts(a in common::id(), b in common::id()) {
        let expected = match (&a, &b) {
            (Id::Number(a), Id::Number(b)) => a.cmp(b),
            (Id::Text(a), Id::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Id::Number(_), Id::Text(_)) => std::cmp::Ordering::Less,
            (Id::Text(_), Id::Number(_)) => std::cmp::Ordering::Greater,
        };
        prop_assert_eq!(a.cmp(&b), expected);
    }

    #[test]
    fn number_and_its_text_are_two_ids(number: u64) {
        prop_assert_ne!(Id::from(number), Id::from(number.to_string()));
    }

    #[test]
    fn number_hashes_are_a_bijection(a: u64, b: u64, bit in 0u32..64) {
        for b in [b, a ^ (1 << bit), a.wrapping_add(1)] {
            prop_assert_eq!(a == b, Id::from(a).lookup_hash(1) == Id::from(b).lookup_hash(2));
        }
    }

    #[test]
    fn text_ids_are_bounded(text in common::text(600)) {
        let id = Id::from(text.as_str());
        prop_assert_eq!(id.check().is_ok(), text.len() <= MAX_ID_BYTES);
        prop_assert_eq!(IdColumn::text_id(text.as_bytes()).is_ok(), text.len() <= MAX_ID_BYTES);
    }

    #[test]
    fn garbage_is_no_text_id(bytes in vec(any::<u8>(), 0..600)) {
        match IdColumn::text_id(&bytes) {
            Ok(Id::Text(text)) => prop_assert_eq!(text.as_bytes(), &bytes[..]),
            Ok(Id::Number(number)) => prop_assert!(false, "number {}", number),
            Err(_) => {}
        }
    }

    #[test]
    fn entries_of_any_bits_have_a_range(entry: u64) {
        let range = IdColumn::text_range(entry);
        prop_assert!(range.start <= range.end && range.end - range.start < 1024);
    }

    #[test]
    fn newest_manifests_are_listed_first(a: u64, b: u64, collection: u128) {
        let names = CollectionNames(Identity(collection));
        let keys = [a, b].map(|number| names.manifest(number));
        prop_assert_eq!(keys[0].cmp(&keys[1]), b.cmp(&a));
        for (key, number) in [(names.manifest(a), a), (catalogue_key(b), b)] {
            prop_assert_eq!(number_of(&key), Ok(number));
        }
        let logs = [a, b].map(|number| names.log(number));
        prop_assert_eq!(logs[0].cmp(&logs[1]), a.cmp(&b));
        prop_assert_eq!(names.log_number(&logs[0]), Ok(a));
    }

    #[test]
    fn keys_lie_under_their_prefixes(epoch: u64, random: u64, collection: u128) {
        let names = CollectionNames(Identity(collection));
        let name = ObjectName { epoch, random };
        for key in [names.segment(name), names.deletes(name), names.log(epoch)] {
            prop_assert!(key.starts_with(&names.prefix()), "{}", key);
            // Allowed everywhere, and never taken for a temporary name.
            let lawful = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '/');
            prop_assert!(key.chars().all(lawful), "{}", key);
        }
        prop_assert!(number_of(&names.segment(name)).is_err());
        // The lock is no object: like a temporary name it is never listed.
        prop_assert_eq!(names.lock(), names.prefix() + ".lock");
    }
}

#[test]
fn id_limits() {
    assert_eq!(Id::from("").check(), Err(IdError::Empty));
    assert_eq!(Id::from("x").check(), Ok(()));
    assert_eq!(Id::from("x".repeat(MAX_ID_BYTES)).check(), Ok(()));
    let found = MAX_ID_BYTES + 1;
    assert_eq!(Id::from("x".repeat(found)).check(), Err(IdError::TooLong { found }));
    // Bytes count, not characters.
    assert_eq!(Id::from("é".repeat(MAX_ID_BYTES / 2)).check(), Ok(()));
    assert!(Id::from("é".repeat(MAX_ID_BYTES / 2 + 1)).check().is_err());
    for bytes in [&b""[..], &[0xff], &[b'x'; 1024], "é".as_bytes().split_at(1).0] {
        assert!(IdColumn::text_id(bytes).is_err(), "{bytes:?}");
    }
    // Another build may take longer ones.
    let longest = "x".repeat(1023);
    assert_eq!(IdColumn::text_id(longest.as_bytes()), Ok(Id::from(longest)));
    for id in ["\0", " ", "5", "../../etc", "\u{202e}", "e\u{301}"] {
        assert_eq!(IdColumn::text_id(id.as_bytes()), Ok(Id::from(id)));
    }
}

#[test]
fn names_that_are_none() {
    for key in [
        "",
        "manifest/",
        "manifest/1",
        "manifest/018446744073709551614",
        "manifest/18446744073709551616",
        "manifest/+8446744073709551614",
        "manifest/1844674407370955161x",
        "manifest/18446744073709551614/",
        "manifest/.18446744073709551614.0123456789abcdef",
    ] {
        assert!(number_of(key).is_err(), "{key}");
        assert!(CollectionNames(Identity(0)).log_number(key).is_err(), "{key}");
    }
}
