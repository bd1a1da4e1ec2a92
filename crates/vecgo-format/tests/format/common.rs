//! Values of every stored kind, and the damage that is done to their bytes.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::num::NonZeroU32;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use roaring::RoaringBitmap;
use vecgo_format::{
    BLOCK_BYTES, BackedUp, Calibration, CalibrationPoint, Catalogue, Config, DeleteObject,
    Directory, Entry, Extensions, FieldSchema, FieldType, Id, Identity, Index, Inventory,
    LogHeader, LogPosition, LogRange, MAX_CLUSTERS, MAX_DIM, MAX_ID_BYTES, Manifest, Metric,
    ObjectName, ObjectRef, Original, Parent, Pin, Previous, PrunePlan, Quantization, RecallTarget,
    SECTION_ALIGN, SEGMENT_HEADER_BYTES, Schema, Section, SectionKind, SegmentRef, StoredCopy,
    checksum, field_name,
};

pub(crate) fn text(max_bytes: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 1..=max_bytes / 4).prop_map(String::from_iter)
}

pub(crate) fn id() -> impl Strategy<Value = Id> {
    prop_oneof![
        prop_oneof![any::<u64>(), 0u64..10, Just(u64::MAX)].prop_map(Id::Number),
        text(40).prop_map(Id::from),
        Just(Id::from("x".repeat(MAX_ID_BYTES))),
    ]
}

pub(crate) fn config() -> impl Strategy<Value = Config> {
    let metric = prop_oneof![Just(Metric::Cosine), Just(Metric::L2), Just(Metric::Dot)];
    let quantization = prop_oneof![
        Just(Quantization::None),
        Just(Quantization::Sq8),
        (1..=8u8).prop_map(|bits| Quantization::RaBitQ { bits }),
        (1..=255u16).prop_map(|parts| Quantization::Pq { parts }),
    ];
    let coded = quantization.clone().prop_filter("codes", |codes| *codes != Quantization::None);
    let ivf = (0u32..=MAX_CLUSTERS, quantization.clone()).prop_map(|(clusters, codes)| {
        (Index::Ivf { n_clusters: NonZeroU32::new(clusters) }, codes)
    });
    let graph = (4u16..=128, 8u16..=4096, quantization)
        .prop_map(|(m, ef_construction, codes)| (Index::Graph { m, ef_construction }, codes));
    let disk = (4u16..=128, 8u16..=4096, coded)
        .prop_map(|(m, ef_construction, codes)| (Index::Disk { m, ef_construction }, codes));
    let index = prop_oneof![Just((Index::Flat, Quantization::None)), ivf, graph, disk];
    let target = (5_000u16..=9_999).prop_map(|of| RecallTarget::new(f64::from(of) / 10_000.0).ok());
    let target = prop_oneof![Just(None), target];
    (prop_oneof![1..=MAX_DIM, Just(1), Just(MAX_DIM)], metric, index, target).prop_map(
        |(dim, metric, (index, codes), target)| {
            let config = Config::new(dim, metric).with_index(index);
            config.with_quantization(fitting(codes, dim)).with_recall_target(target)
        },
    )
}

/// With no more parts than dimensions.
fn fitting(codes: Quantization, dim: usize) -> Quantization {
    match codes {
        Quantization::Pq { parts } => {
            Quantization::Pq { parts: parts.min(u16::try_from(dim).unwrap_or(u16::MAX)) }
        }
        other => other,
    }
}

pub(crate) fn schema() -> impl Strategy<Value = Schema> {
    let types = prop_oneof![
        Just(FieldType::Any),
        Just(FieldType::I64),
        Just(FieldType::Timestamp),
        Just(FieldType::Object),
    ];
    let field = (types, any::<[bool; 3]>()).prop_map(|(of, [list, required, unindexed])| {
        let field = if list { FieldSchema::list_of(of) } else { FieldSchema::new(of) };
        let field = if required { field.required() } else { field };
        if unindexed { field.unindexed() } else { field }
    });
    // Of one key each, so that none is within another.
    (any::<bool>(), btree_map(text(20), field, 0..8)).prop_map(|(strict, fields)| {
        let fields = fields.into_iter().map(|(name, field)| (field_name([name]), field));
        Schema::new(strict, fields).unwrap_or_default()
    })
}

pub(crate) fn position() -> impl Strategy<Value = LogPosition> {
    any::<(u64, u64)>().prop_map(|(length, checksum)| LogPosition { length, checksum })
}

fn object() -> impl Strategy<Value = ObjectRef> {
    any::<(u64, u64, u64, u64)>().prop_map(|(epoch, random, length, checksum)| ObjectRef {
        name: ObjectName { epoch, random },
        length,
        checksum,
    })
}

/// What a directory may have: each of these or none of it.
const OPTIONAL: [&[SectionKind]; 5] = [
    &[SectionKind::IdKinds, SectionKind::IdText],
    &[
        SectionKind::DocumentSpans,
        SectionKind::Documents,
        SectionKind::Fields,
        SectionKind::FieldData,
    ],
    &[SectionKind::PayloadSpans, SectionKind::Payloads],
    &[SectionKind::UpperFactors, SectionKind::LowerFactors],
    &[SectionKind::Other(4711)],
];

/// What the index and codes of a configuration are kept in.
pub(crate) fn index_of(config: &Config) -> Vec<SectionKind> {
    use SectionKind::{
        CentreFactors, Centres, Clusters, Codebook, Edges, Entries, FullCodes, LowerCodes,
        PartCodes, Space, UpperCodes,
    };
    let mut kinds = match config.index() {
        Index::Flat => return Vec::new(),
        Index::Graph { .. } | Index::Disk { .. } => vec![Edges, Entries],
        Index::Ivf { .. } => Vec::new(),
    };
    kinds.extend([Space, Clusters, Centres, CentreFactors]);
    kinds.extend(match config.quantization() {
        Quantization::None => &[][..],
        Quantization::Sq8 => &[FullCodes],
        Quantization::RaBitQ { bits: 5.. } => &[UpperCodes, LowerCodes],
        Quantization::RaBitQ { .. } => &[UpperCodes],
        Quantization::Pq { .. } => &[PartCodes, Codebook],
    });
    kinds
}

/// A directory with sections of lawful lengths, and the length of its object.
pub(crate) fn directory() -> impl Strategy<Value = (Directory, u64)> {
    (1usize..300, config())
        .prop_flat_map(|(dim, like)| directory_of(Config::new(dim, like.metric()), like))
}

/// Of these vectors, written under an index like that.
fn directory_of(vectors: Config, like: Config) -> impl Strategy<Value = (Directory, u64)> {
    let codes = fitting(like.quantization(), vectors.dim());
    let config = vectors.with_index(like.index()).with_quantization(codes);
    let config = config.of_segments();
    let (dim, norms) = (config.dim() as u64, config.metric() == Metric::Cosine);
    let kinds = proptest::sample::subsequence(&OPTIONAL[..], 0..=OPTIONAL.len());
    let codes = match config.index() {
        Index::Flat => Vec::new(),
        _ => vec![SectionKind::Space, SectionKind::UpperCodes],
    };
    let index = prop_oneof![Just(Vec::new()), Just(codes), Just(index_of(&config))];
    let shape = (0u32..100_000, kinds, index, vec(0u64..1_000_000, 8));
    (shape, any::<bool>()).prop_map(move |((rows, optional, index, lengths), required)| {
        let mut kinds = vec![SectionKind::Vectors, SectionKind::Ids, SectionKind::Lookup];
        kinds.extend(norms.then_some(SectionKind::Norms));
        kinds.extend(optional.concat());
        kinds.extend(index);
        let n = u64::from(rows);
        let mut at = SEGMENT_HEADER_BYTES;
        let mut sections: Vec<_> = kinds
            .into_iter()
            .zip(lengths.into_iter().cycle())
            .map(|(kind, free)| {
                let length = match kind {
                    SectionKind::Vectors => n * dim * 4,
                    SectionKind::Norms => n * 4,
                    SectionKind::Ids => n * 8,
                    SectionKind::IdKinds => n.div_ceil(8),
                    SectionKind::DocumentSpans | SectionKind::PayloadSpans => (n + 1) * 8,
                    SectionKind::Lookup => n * 12 + 16,
                    SectionKind::UpperFactors
                    | SectionKind::LowerFactors
                    | SectionKind::FullFactors => n * 8,
                    _ => free,
                };
                let offset = at;
                at = (at + length).next_multiple_of(SECTION_ALIGN);
                let required = required && !matches!(kind, SectionKind::Other(_));
                let block_bytes = if kind == SectionKind::Vectors { 4000 } else { BLOCK_BYTES };
                Section {
                    kind,
                    required,
                    offset,
                    length,
                    block_bytes,
                    table_offset: 0,
                    table_checksum: at,
                }
            })
            .collect();
        for section in &mut sections {
            section.table_offset = at;
            at += section.blocks() * 8;
        }
        (Directory { rows, config, sections }, at)
    })
}

/// A segment of a collection with this configuration. Its number is that of the one before and
/// these more.
fn segment(config: Config) -> impl Strategy<Value = SegmentRef> {
    let directory = self::config().prop_flat_map(move |like| directory_of(config, like));
    let (deletes, numbers) = (proptest::option::of(object()), 0..u64::MAX / 8);
    let point = (1u32..200, 1u32..200, 0u16..=10_000)
        .prop_map(|(k, effort, recall)| CalibrationPoint { k, effort, recall });
    let measured = (vec(point, 0..20), 0u64..1000);
    let more = (numbers, any::<u32>(), any::<u128>(), extensions());
    (more, object(), directory, deletes, measured).prop_map(
        |(more, mut object, (directory, length), deletes, (points, beyond))| {
            let (number, dead, made_in, extensions) = more;
            object.length = length + beyond;
            object.checksum = directory.checksum();
            let deletes = deletes.filter(|_| directory.rows > 0);
            let dead_rows = deletes.map_or(0, |_| 1 + dead % directory.rows);
            let points = if directory.has_index() { points } else { Vec::new() };
            let calibration = Calibration::new(points);
            let made_in = Identity(made_in);
            SegmentRef {
                number,
                made_in,
                object,
                directory,
                deletes,
                dead_rows,
                calibration,
                extensions,
            }
        },
    )
}

fn log_range() -> impl Strategy<Value = LogRange> {
    let logs = prop_oneof![(1..=u64::MAX, 0u64..5), any::<(u64, u64)>()];
    (logs, position()).prop_map(|((first, more), end)| {
        let last = first.saturating_sub(1).saturating_add(more).min(u64::MAX - 1);
        LogRange { first: first.max(1), last, epoch: 0, end, flushed: 0 }
    })
}

pub(crate) fn manifest() -> impl Strategy<Value = Manifest> {
    let head = (any::<u128>(), 1..=u64::MAX, any::<(u64, u64, u64, u64, u64, u64)>());
    let of = |config| (Just(config), vec(segment(config), 0..5));
    let row = (any::<(u64, u64)>(), btree_map(text(64), any::<u64>(), 0..4), extensions());
    (head, row, config().prop_flat_map(of), schema(), log_range(), 0..u64::MAX / 8).prop_map(
        |(
            (collection, number, rest),
            ((before, sum), tags, extensions),
            (config, mut segments),
            schema,
            log,
            unused,
        )| {
            let (epoch, nonce, created_ms, sequence, oldest, flushed) = rest;
            let (number, epoch) = (number.min(u64::MAX - 1), epoch.min(u64::MAX - 1));
            let sequence = sequence.min(u64::MAX - 1);
            let mut next_segment = 0;
            for segment in &mut segments {
                segment.number += next_segment;
                next_segment = segment.number + 1;
            }
            Manifest {
                collection: Identity(collection),
                number,
                epoch,
                epoch_began: 1 + created_ms % number,
                nonce,
                parent: Parent { number: before % number, checksum: sum },
                created_ms,
                sequence,
                oldest: 1 + oldest % number,
                tags: tags.into_iter().map(|(name, tagged)| (name, tagged % number)).collect(),
                next_segment: next_segment + unused,
                config,
                schema,
                log: LogRange { epoch: sum % (epoch + 1), flushed: flushed.min(sequence), ..log },
                own_log: sum % 3,
                segments,
                extensions,
            }
        },
    )
}

fn extensions() -> impl Strategy<Value = Extensions> {
    vec((any::<u16>(), vec(any::<u8>(), 0..20)), 0..3).prop_map(|said| said.into_iter().collect())
}

fn entry() -> impl Strategy<Value = Entry> {
    (any::<u128>(), config(), schema(), any::<u64>(), extensions()).prop_map(
        |(id, config, schema, created_ms, extensions)| Entry {
            identity: Identity(id),
            config,
            schema,
            created_ms,
            extensions,
        },
    )
}

pub(crate) fn inventory() -> impl Strategy<Value = Inventory> {
    let manifest = proptest::option::of(vec(any::<u8>(), 0..100));
    let collections = btree_map(text(64), (entry(), any::<u64>(), manifest), 0..5);
    let name = any::<(u64, u64)>().prop_map(|(epoch, random)| ObjectName { epoch, random });
    let log = (any::<(u64, u64)>(), position());
    let original = prop_oneof![
        name.clone().prop_map(Original::Segment),
        name.prop_map(Original::Deletes),
        log.prop_map(|((number, from), end)| Original::Log { number, from, end }),
    ];
    let copy = (any::<(u128, u128, u64, u64)>(), original).prop_map(
        |((collection, data, length, checksum), original)| StoredCopy {
            collection: Identity(collection),
            original,
            data,
            length,
            checksum,
        },
    );
    let times = (any::<(u64, u64)>(), any::<Option<u64>>());
    (times, collections, vec(copy, 0..10), extensions()).prop_map(
        |(((id, created_ms), expires_ms), collections, copies, extensions)| Inventory {
            extensions,
            id,
            created_ms,
            expires_ms,
            collections: collections
                .into_iter()
                .map(|(name, (entry, records, manifest))| BackedUp {
                    name,
                    entry,
                    records,
                    manifest,
                })
                .collect(),
            copies,
        },
    )
}

pub(crate) fn prune_plan() -> impl Strategy<Value = PrunePlan> {
    let pairs = || vec(any::<(u64, u64)>(), 0..10);
    (pairs(), pairs()).prop_map(|(backups, unfinished)| PrunePlan { backups, unfinished })
}

pub(crate) fn catalogue() -> impl Strategy<Value = Catalogue> {
    let entry = entry();
    let dropped = vec(any::<u128>().prop_map(Identity), 0..20);
    let arriving = vec((any::<u128>().prop_map(Identity), any::<u64>()), 0..5);
    let gone = (dropped, arriving, extensions());
    (any::<(u64, u64, u64, u64)>(), btree_map(text(64), entry, 0..20), gone).prop_map(
        |((number, nonce, before, sum), collections, (dropped, arriving, extensions))| Catalogue {
            number,
            nonce,
            parent: Parent { number: before, checksum: sum },
            oldest: sum % number.saturating_add(1),
            collections,
            newer: Default::default(),
            dropped,
            arriving,
            extensions,
        },
    )
}

/// Rows few and far between, in runs, and in numbers: every kind of bitmap container.
fn rows() -> impl Strategy<Value = RoaringBitmap> {
    let runs = vec((any::<u32>(), 0u32..70_000), 0..4);
    (btree_set(any::<u32>(), 0..50), runs, any::<bool>()).prop_map(|(single, runs, odd)| {
        let mut rows: RoaringBitmap = single.into_iter().collect();
        for (start, length) in runs {
            rows.insert_range(start..start.saturating_add(length));
        }
        if odd {
            rows.extend((0..20_000).map(|row| row * 2));
        }
        rows.optimize();
        rows
    })
}

pub(crate) fn deletes() -> impl Strategy<Value = DeleteObject> {
    btree_map(any::<u64>(), rows(), 0..5).prop_map(|dead| DeleteObject { dead })
}

pub(crate) fn pin() -> impl Strategy<Value = Pin> {
    (any::<(u128, u64, u64)>(), text(100)).prop_map(
        |((collection, version, expires_ms), holder)| Pin {
            collection: Identity(collection),
            version,
            expires_ms,
            holder,
        },
    )
}

pub(crate) fn log_header() -> impl Strategy<Value = LogHeader> {
    (any::<(u128, u64, u64, u64, u64, u64)>(), position()).prop_map(|(values, end)| {
        let (collection, number, epoch, nonce, first_sequence, previous) = values;
        LogHeader {
            collection: Identity(collection),
            number,
            epoch,
            nonce,
            first_sequence,
            previous: Previous { number: previous, end },
        }
    })
}

/// Cases for tests whose one case reads an object many times.
pub(crate) fn few() -> ProptestConfig {
    ProptestConfig { cases: 12, ..ProptestConfig::default() }
}

/// Calls `read` with every proper prefix: all are refused.
pub(crate) fn assert_no_prefix_reads<T: Debug, E: Debug>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Result<T, E>,
) {
    for length in 0..bytes.len() {
        let read = read(&bytes[..length]);
        assert!(read.is_err(), "{length} of {} bytes: {read:?}", bytes.len());
    }
}

/// Calls `read` with every byte changed in turn: all are refused.
pub(crate) fn assert_no_change_reads<T: Debug, E: Debug>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Result<T, E>,
) {
    let mut changed = bytes.to_vec();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            changed[at] ^= flip;
            let read = read(&changed);
            assert!(read.is_err(), "byte {at} of {} changed: {read:?}", bytes.len());
            changed[at] = bytes[at];
        }
    }
}

/// Makes an object's checksum, its last eight bytes, fit whatever the rest is: damage that no
/// checksum shows.
pub(crate) fn reseal(bytes: &mut [u8]) {
    if let Some(covered) = bytes.len().checked_sub(8) {
        let sum = checksum(&bytes[..covered]);
        bytes[covered..].copy_from_slice(&sum.to_le_bytes());
    }
}

/// What is done to bytes at a place: another value there, bytes taken out, bytes put in.
#[derive(Debug, Clone)]
pub(crate) enum Damage {
    Set(usize, u8),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
}

pub(crate) fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let value = prop_oneof![any::<u8>(), Just(0xff), Just(0x00), Just(0x80), Just(0x7f)];
    vec(
        prop_oneof![
            4 => (any::<usize>(), value).prop_map(|(at, value)| Damage::Set(at, value)),
            1 => (any::<usize>(), 1usize..20).prop_map(|(at, n)| Damage::Remove(at, n)),
            1 => (any::<usize>(), vec(any::<u8>(), 1..20))
                .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        ],
        1..8,
    )
}

pub(crate) fn apply(damage: &[Damage], bytes: &mut Vec<u8>) {
    for damage in damage {
        let at = |at: &usize| at % (bytes.len() + 1);
        match damage {
            Damage::Set(place, value) => {
                let at = at(place);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *value;
                }
            }
            Damage::Remove(place, n) => {
                let start = at(place);
                let end = (start + n).min(bytes.len());
                bytes.drain(start..end);
            }
            Damage::Insert(place, new) => {
                let at = at(place);
                bytes.splice(at..at, new.iter().copied());
            }
        }
    }
}

/// A map's worth of dead rows, to compare with.
pub(crate) fn plain(object: &DeleteObject) -> BTreeMap<u64, Vec<u32>> {
    object.dead.iter().map(|(segment, rows)| (*segment, rows.iter().collect())).collect()
}
