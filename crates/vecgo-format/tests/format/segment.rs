//! What a segment is read by: its directory, its lookup, its spans and its block checksums.

use crate::common;
use std::collections::BTreeMap;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use vecgo_format::{
    BLOCK_BYTES, BlockChecksums, Config, Directory, FieldSections, Fields, FieldsBuilder,
    FormatError, Id, Identity, Index, Lookup, Metric, Quantization, SEGMENT_HEADER_BYTES, Section,
    SectionKind, Spans, checksum, encode_document, encode_spans, segment_header,
};

/// Of the hashes of text ids.
const SEED: u64 = 7;

fn kind() -> impl Strategy<Value = Id> {
    // Hashes of small and of large numbers alike are spread over all of u64.
    prop_oneof![
        any::<u64>().prop_map(Id::from),
        (0u64..10_000).prop_map(Id::from),
        (0u64..10_000).prop_map(|number| Id::from(number.to_string())),
        common::id(),
    ]
}

fn agrees(ids: &[Id], absent: &[Id]) {
    let lookup = Lookup::build(SEED, ids.iter());
    let rows = u32::try_from(ids.len()).expect("rows");
    let bytes = lookup.encode();
    assert_eq!(bytes.len(), ids.len() * 12 + 16, "as long as the directory demands");
    assert_eq!(lookup.memory_bytes(), ids.len() * 12);
    let decoded = Lookup::decode(&bytes, rows).expect("decode");
    assert_eq!(decoded, lookup);
    let mut map = BTreeMap::new();
    for (row, id) in (0u32..).zip(ids) {
        map.insert(id, row);
        assert_eq!(decoded.candidates(id), [row], "{id}");
    }
    for id in absent.iter().filter(|id| !map.contains_key(id)) {
        assert_eq!(decoded.candidates(id), [0u32; 0], "{id}");
    }
    assert!(Lookup::decode(&bytes, rows + 1).is_err());
}

proptest! {
    #[test]
    fn directories_come_back((directory, length) in common::directory()) {
        let bytes = directory.encode();
        for length in [length, u64::MAX] {
            let decoded = Directory::decode(&bytes, length);
            prop_assert_eq!(decoded.as_ref(), Ok(&directory));
        }
        prop_assert_eq!(directory.checksum(), checksum(&bytes));
        let trailer = directory.trailer();
        prop_assert_eq!(trailer.len() as u64, Directory::TRAILER_BYTES);
        let read = Directory::read_trailer(&trailer);
        prop_assert_eq!(read, Ok((u32::try_from(bytes.len()).expect("length"), checksum(&bytes))));
    }

    #[test]
    fn damaged_directories_are_refused((directory, length) in common::directory()) {
        let bytes = directory.encode();
        common::assert_no_prefix_reads(&bytes, |bytes| Directory::decode(bytes, length));
        common::assert_no_prefix_reads(&directory.trailer(), Directory::read_trailer);
        // An object that ends before its last table does.
        prop_assert!(Directory::decode(&bytes, length - 1).is_err() || length == ends(&directory) + 1);
        let mut changed = bytes.clone();
        for at in 0..bytes.len() {
            changed[at] ^= 0xff;
            // What the checksum is for; here it is enough that sections stay within the object.
            if let Ok(decoded) = Directory::decode(&changed, length) {
                prop_assert!(ends(&decoded) <= length);
            }
            changed[at] = bytes[at];
        }
    }

    #[test]
    fn unlawful_sections_are_refused((directory, length) in common::directory(), pick: usize) {
        let at = pick % directory.sections.len();
        let refused = |change: &dyn Fn(&mut Vec<Section>)| {
            let mut directory = directory.clone();
            change(&mut directory.sections);
            let decoded = Directory::decode(&directory.encode(), length);
            assert!(matches!(decoded, Err(FormatError::Invalid { .. })), "{decoded:?}");
        };
        refused(&|sections| sections.push(sections[at]));
        refused(&|sections| sections[at].offset = length + 1);
        refused(&|sections| sections[at].offset = u64::MAX);
        refused(&|sections| sections[at].length = u64::MAX);
        refused(&|sections| sections[at].table_offset = length + 1);
        refused(&|sections| sections[at].table_offset = u64::MAX);
        refused(&|sections| sections.push(Section { kind: SectionKind::IdText, ..sections[at] }));
        refused(&|sections| {
            // One of two that belong together.
            sections.truncate(3);
            sections.push(Section { kind: SectionKind::Payloads, length: 0, ..sections[0] });
        });
        let other = Section { kind: SectionKind::Other(99), required: true, ..directory.sections[at] };
        let mut unknown = directory.clone();
        unknown.sections.push(other);
        let decoded = Directory::decode(&unknown.encode(), length);
        prop_assert!(matches!(decoded, Err(FormatError::Unknown { .. })), "{:?}", decoded);
        for needed in 0..3 {
            refused(&|sections| {
                sections.remove(needed);
            });
            refused(&|sections| sections[needed].length += 1);
        }
    }

    #[test]
    fn lookup_agrees_with_a_map(
        ids in btree_set(kind(), 0..300),
        absent in vec(kind(), 0..100),
        seed: u64,
    ) {
        let mut ids: Vec<_> = ids.into_iter().collect();
        // Rows are in no order of ids.
        ids.sort_by_key(|id| id.lookup_hash(SEED).wrapping_mul(seed | 1));
        agrees(&ids, &absent);
    }

    #[test]
    fn damaged_lookups_are_refused_or_in_bounds(
        ids in btree_set(kind(), 0..50),
        probe in vec(kind(), 20),
        damage in common::damage(),
    ) {
        let rows = u32::try_from(ids.len()).expect("rows");
        let bytes = Lookup::build(SEED, ids.iter()).encode();
        common::assert_no_prefix_reads(&bytes, |bytes| Lookup::decode(bytes, rows));
        let mut changed = bytes;
        common::apply(&damage, &mut changed);
        if let Ok(lookup) = Lookup::decode(&changed, rows) {
            for id in ids.iter().chain(&probe) {
                prop_assert!(lookup.candidates(id).iter().all(|row| *row < rows));
            }
        }
    }

    #[test]
    fn spans_come_back(lengths in vec(proptest::option::of(0usize..5000), 0..200)) {
        let bytes = encode_spans(lengths.iter().copied());
        prop_assert_eq!(bytes.len(), (lengths.len() + 1) * 8);
        let mut at = 0u64;
        for (row, length) in lengths.iter().enumerate() {
            let entries = bytes[row * 8..].first_chunk().expect("two entries");
            let expected = length.map(|length| at..at + length as u64);
            prop_assert_eq!(Spans::range(*entries), Ok(expected));
            at += length.unwrap_or(0) as u64;
        }
    }

    #[test]
    fn spans_of_any_bits_are_in_order(entries: [u8; Spans::BYTES]) {
        if let Ok(Some(range)) = Spans::range(entries) {
            prop_assert!(range.start <= range.end);
        }
    }
}

fn ends(directory: &Directory) -> u64 {
    let end = |section: &Section| {
        (section.offset + section.length).max(section.table_offset + section.blocks() * 8)
    };
    directory.sections.iter().map(end).max().unwrap_or(0)
}

const BLOCK: usize = BLOCK_BYTES as usize;

/// The directory of a segment without rows, and sections beside.
fn with(config: Config, others: impl IntoIterator<Item = SectionKind>) -> Directory {
    let section = |kind, length| Section {
        kind,
        required: false,
        offset: 64,
        length,
        block_bytes: BLOCK_BYTES,
        table_offset: 64,
        table_checksum: 0,
    };
    let known = [(SectionKind::Vectors, 0), (SectionKind::Ids, 0), (SectionKind::Lookup, 16)];
    let known = known.map(|(kind, length)| section(kind, length));
    let others = others.into_iter().map(|kind| section(kind, 0));
    Directory { rows: 0, config, sections: known.into_iter().chain(others).collect() }
}

/// The same with sections of unknown kinds.
fn with_others(others: u16) -> Directory {
    with(Config::new(1, Metric::L2), (0..others).map(|n| SectionKind::Other(1000 + n)))
}

#[test]
fn the_sections_of_an_index_belong_together() {
    use SectionKind::{
        CentreFactors, Centres, Clusters, Codebook, Edges, Entries, FullCodes, LowerCodes,
        PartCodes, Space, UpperCodes,
    };
    let kinds = [
        Space,
        Clusters,
        Edges,
        Entries,
        Centres,
        CentreFactors,
        FullCodes,
        UpperCodes,
        LowerCodes,
        PartCodes,
        Codebook,
    ];
    let sorted = |mut kinds: Vec<SectionKind>| {
        kinds.sort_unstable();
        kinds
    };
    let rabitq = |bits| Quantization::RaBitQ { bits };
    for (index, quantization) in [
        (Index::Flat, Quantization::None),
        (Index::graph(), Quantization::None),
        (Index::graph(), rabitq(8)),
        (Index::disk(), rabitq(4)),
        (Index::disk(), rabitq(5)),
        (Index::graph(), rabitq(1)),
        (Index::ivf(), Quantization::Sq8),
        (Index::ivf(), Quantization::Pq { parts: 1 }),
    ] {
        let config = Config::new(1, Metric::L2).with_index(index).with_quantization(quantization);
        let whole = sorted(common::index_of(&config));
        for chosen in 0..1usize << kinds.len() {
            let is_chosen = |place: &usize| chosen >> place & 1 == 1;
            let sections: Vec<_> =
                (0..kinds.len()).filter(is_chosen).map(|place| kinds[place]).collect();
            // Codes may be there without an index.
            let codes =
                index != Index::Flat && sorted(sections.clone()) == sorted(vec![Space, UpperCodes]);
            let lawful = sections.is_empty() || codes || sorted(sections.clone()) == whole;
            let decoded = Directory::decode(&with(config, sections.clone()).encode(), 1000);
            assert_eq!(decoded.is_ok(), lawful, "{config}: {sections:?}: {decoded:?}");
        }
    }
}

/// Of every kind of damage that a checksum does not show, those that would put steps elsewhere.
#[test]
fn steps_of_fields_lie_in_their_pages() {
    const ROWS: u32 = 2500;
    let mut builder = FieldsBuilder::default();
    for n in 0..ROWS {
        let document = serde_json::json!({"n": n % 900});
        let document = encode_document(document.as_object().expect("an object")).expect("small");
        builder.push(&document).expect("a document");
    }
    let FieldSections { directory, data } = builder.finish();
    let data = u64::try_from(data.len()).expect("length");
    let fields = Fields::decode(&directory, ROWS, data).expect("as it was made");
    let field = fields.find("n", false).expect("the only field");
    let steps = field.steps().to_vec();
    assert_eq!(steps.len(), 2, "every 1024 rows");
    // Complete, no field left out, one field named "n"; whether it is of elements; where it begins
    // and its length; its end, of 24 bytes as each step is; how many steps.
    let elements = 1 + 1 + 1 + 2;
    let first = elements + 1 + 8 + 8 + 24 + 1;
    let place = |at: usize| directory[at..at + 4] == steps[0].values.to_le_bytes();
    assert!(place(first), "the first step stands elsewhere");
    let refused = |at: usize, bytes: &[u8], what: &str| {
        let mut changed = directory.clone();
        assert_ne!(&changed[at..at + bytes.len()], bytes, "{what} is no change");
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        let decoded = Fields::decode(&changed, ROWS, data);
        assert!(matches!(decoded, Err(FormatError::Invalid { .. })), "{what}: {decoded:?}");
    };
    refused(elements, &[1], "steps of elements");
    for step in [0, 1] {
        let at = first + step * 24;
        for values in [0, 901, u32::MAX] {
            refused(at, &values.to_le_bytes(), "so many values");
        }
        for rows in [0, 2501, u64::MAX] {
            refused(at + 4, &rows.to_le_bytes(), "so many rows");
            refused(at + 12, &rows.to_le_bytes(), "so many rows in lists");
        }
        refused(at + 20, &u32::MAX.to_le_bytes(), "so many sets");
    }
    let two = directory[first + 24..first + 48].to_vec();
    refused(first, &two, "one step twice");
}

#[test]
fn sections_are_4096_at_most() {
    assert!(Directory::decode(&with_others(4093).encode(), 1000).is_ok());
    let more = Directory::decode(&with_others(4094).encode(), 1000);
    assert!(matches!(more, Err(FormatError::Unknown { .. })), "{more:?}");
}

#[test]
fn required_is_0_or_1() {
    let bytes = with_others(0).encode();
    for required in [0, 1, 2, 0xff] {
        let mut bytes = bytes.clone();
        // Rows, configuration, the number of sections, the first one's kind.
        bytes[4 + 19 + 1 + 2] = required;
        assert_eq!(Directory::decode(&bytes, 1000).is_ok(), required < 2, "{required}");
    }
}

/// Two numbers never share a hash, two texts may.
#[test]
fn equal_hashes_are_of_texts() {
    for (numbers, allowed) in [(2u32, false), (0, true)] {
        let counts = [numbers, 2 - numbers].map(u32::to_le_bytes).concat();
        let columns = [&5u64.to_le_bytes()[..], &5u64.to_le_bytes(), &[0; 4], &[1, 0, 0, 0]];
        let bytes = [vec![0; 8], counts, columns.concat()].concat();
        assert_eq!(Lookup::decode(&bytes, 2).is_ok(), allowed, "{numbers} numbers");
    }
}

#[test]
fn lookup_of_every_size() {
    let absent: Vec<_> = (1_000_000u64..1_000_200).map(Id::from).collect();
    for n in (0u64..70).chain([255, 256, 257, 1000, 5000]) {
        agrees(&(0..n).map(Id::from).collect::<Vec<_>>(), &absent);
        agrees(&(0..n).map(|id| Id::from(format!("id-{id}"))).collect::<Vec<_>>(), &absent);
        let mixed =
            |id: u64| if id.is_multiple_of(3) { Id::from(id.to_string()) } else { Id::from(id) };
        agrees(&(0..n).map(mixed).collect::<Vec<_>>(), &absent);
    }
    // The ends of the hashes' range, where a guess is farthest off.
    agrees(&[Id::from(0u64)], &[Id::from(1u64), Id::from("0")]);
    let highest = (0u64..200_000).max_by_key(|id| Id::from(*id).lookup_hash(SEED)).expect("ids");
    agrees(&[Id::from(highest)], &[Id::from(0u64), Id::from(1u64)]);
}

#[test]
fn uneven_hashes_are_found() {
    // Ids picked so that their hashes crowd together: interpolation guesses far off.
    let crowded = |low: u64, high: u64| -> Vec<_> {
        let within = |id: &Id| (low..high).contains(&id.lookup_hash(SEED));
        (0u64..400_000).map(Id::from).filter(within).collect()
    };
    let absent: Vec<_> = (500_000u64..502_000).map(Id::from).collect();
    agrees(&crowded(0, u64::MAX / 100), &absent);
    agrees(&crowded(u64::MAX / 100 * 99, u64::MAX), &absent);
    agrees(&crowded(u64::MAX / 2, u64::MAX / 100 * 51), &absent);
    let mut ends = crowded(0, u64::MAX / 200);
    ends.extend(crowded(u64::MAX / 200 * 199, u64::MAX));
    agrees(&ends, &absent);
}

proptest! {
    #![proptest_config(common::few())]

    #[test]
    fn block_checksums_do_not_depend_on_pieces(
        pieces in vec(prop_oneof![0usize..2000, Just(BLOCK), 0usize..200_000], 0..12),
        block_bytes in prop_oneof![Just(BLOCK_BYTES), 64u32..5000],
        seed: u32,
    ) {
        let length = pieces.iter().sum();
        let bytes: Vec<u8> = (u64::from(seed)..).flat_map(|word| checksum(&word.to_le_bytes()).to_le_bytes()).take(length).collect();
        let mut sums = BlockChecksums::new(block_bytes);
        let mut rest = &bytes[..];
        for piece in pieces {
            let (now, after) = rest.split_at(piece);
            sums.feed(now);
            rest = after;
        }
        let expected: Vec<u8> = bytes
            .chunks(block_bytes as usize)
            .flat_map(|block| checksum(block).to_le_bytes())
            .collect();
        prop_assert_eq!(sums.finish(), expected);
    }
}

#[test]
fn block_checksums_at_the_edges() {
    for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
        for piece in [1, 7, BLOCK - 1, BLOCK, BLOCK + 1] {
            let bytes = vec![5u8; length];
            let mut sums = BlockChecksums::new(BLOCK_BYTES);
            bytes.chunks(piece).for_each(|piece| sums.feed(piece));
            assert_eq!(sums.finish().len(), length.div_ceil(BLOCK) * 8);
        }
    }
}

#[test]
fn segment_header_is_fixed_in_length() {
    let header = segment_header(Identity(u128::MAX), u64::MAX);
    assert_eq!(header.len() as u64, SEGMENT_HEADER_BYTES);
    assert_eq!(header[56..], checksum(&header[..56]).to_le_bytes());
    assert_ne!(header, segment_header(Identity(u128::MAX), 0));
}
