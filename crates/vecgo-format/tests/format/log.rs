//! The log: batches come back, and a torn tail and damage are told apart.

use crate::common;
use proptest::collection::vec;
use proptest::prelude::*;
use vecgo_format::{
    FrameBuilder, Id, Identity, Kill, LogEnd, LogHeader, LogPosition, LogReader, Op, Previous,
    vector_of,
};

const DIM: usize = 3;

#[derive(Debug, Clone)]
enum Write {
    Put { id: Id, kill: Kill, vector: Vec<f32>, document: Vec<u8>, payload: Option<Vec<u8>> },
    Delete { id: Id, kill: Kill },
}

fn write() -> impl Strategy<Value = Write> {
    let kill = || {
        prop_oneof![
            Just(Kill::Nothing),
            any::<(u64, u32)>().prop_map(|(segment, row)| Kill::Segment { segment, row }),
            any::<u64>().prop_map(|number| Kill::Log { number }),
        ]
    };
    let bytes = || vec(any::<u8>(), 0..40);
    let vector = vec(proptest::num::f32::ANY, DIM);
    let put = (common::id(), kill(), vector, bytes(), proptest::option::of(bytes())).prop_map(
        |(id, kill, vector, document, payload)| Write::Put { id, kill, vector, document, payload },
    );
    let delete = (common::id(), kill()).prop_map(|(id, kill)| Write::Delete { id, kill });
    prop_oneof![3 => put, 1 => delete]
}

fn batches() -> impl Strategy<Value = Vec<Vec<Write>>> {
    vec(vec(write(), 0..5), 0..8)
}

/// A log under construction, and where its frames end.
struct Log {
    bytes: Vec<u8>,
    ends: Vec<LogPosition>,
    next: u64,
}

impl Log {
    fn new(header: &LogHeader) -> Self {
        let (bytes, position) = header.encode();
        Self { bytes, ends: vec![position], next: header.first_sequence }
    }

    fn end(&self) -> LogPosition {
        *self.ends.last().expect("the header's end")
    }

    /// The checksum of the header.
    fn sum(&self) -> u64 {
        self.ends[0].checksum
    }

    fn push(&mut self, batch: &[Write], synced_through: u64) {
        let mut frame = FrameBuilder::new(self.next);
        for write in batch {
            match write {
                Write::Put { id, kill, vector, document, payload } => {
                    frame.put(id, *kill, vector, document, payload.as_deref());
                }
                Write::Delete { id, kill } => frame.delete(id, *kill),
            }
        }
        let end =
            frame.finish(self.sum(), self.end(), synced_through, &mut self.bytes).expect("a frame");
        assert_eq!(end.length, self.bytes.len() as u64);
        self.ends.push(end);
        self.next += batch.len() as u64;
    }

    /// One number's record.
    fn push_one(&mut self, synced_through: u64) {
        let id = Id::from(self.next);
        self.push(&[Write::Delete { id, kill: Kill::Nothing }], synced_through);
    }

    /// Where frame `n`, counted from 0, begins and ends.
    fn frame(&self, n: usize) -> std::ops::Range<usize> {
        let [start, end] =
            [n, n + 1].map(|n| usize::try_from(self.ends[n].length).expect("length"));
        start..end
    }
}

fn header() -> LogHeader {
    let previous = Previous::default();
    let collection = Identity(7);
    LogHeader { collection, number: 1, epoch: 1, nonce: 99, first_sequence: 1, previous }
}

/// How many frames can be read, and how the log ends.
fn read(bytes: &[u8]) -> (usize, LogEnd) {
    let mut reader = LogReader::open(bytes).expect("a header");
    let mut frames = 0;
    while reader.next_frame().is_some() {
        frames += 1;
    }
    assert!(reader.next_frame().is_none(), "an end is an end");
    (frames, reader.end())
}

fn assert_ops(found: &[Op<'_>], batch: &[Write]) {
    assert_eq!(found.len(), batch.len());
    for (found, write) in found.iter().zip(batch) {
        match (found, write) {
            (
                Op::Put { id, kill, vector, document, payload },
                Write::Put { id: id_, kill: kill_, vector: vector_, document: doc_, payload: pay_ },
            ) => {
                assert_eq!(
                    (id, kill, *document, *payload),
                    (id_, kill_, &doc_[..], pay_.as_deref())
                );
                let bits = |vector: &[f32]| vector.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&vector_of(vector)), bits(vector_));
            }
            (Op::Delete { id, kill }, Write::Delete { id: id_, kill: kill_ }) => {
                assert_eq!((id, kill), (id_, kill_));
            }
            (found, write) => panic!("{found:?} for {write:?}"),
        }
    }
}

proptest! {
    #[test]
    fn logs_come_back(
        header in common::log_header(),
        batches in batches(),
        synced in any::<u64>(),
    ) {
        let header = LogHeader { first_sequence: header.first_sequence >> 1, ..header };
        let mut log = Log::new(&header);
        batches.iter().for_each(|batch| log.push(batch, synced));

        let mut reader = LogReader::open(&log.bytes).expect("open");
        prop_assert_eq!(reader.header(), &header);
        let mut next = header.first_sequence;
        for (batch, end) in batches.iter().zip(&log.ends[1..]) {
            prop_assert_eq!(reader.next_sequence(), next);
            let frame = reader.next_frame().expect("a frame");
            prop_assert_eq!(frame.first_sequence, next);
            prop_assert_eq!(frame.synced_through, synced);
            prop_assert_eq!(frame.end, *end);
            next += batch.len() as u64;
            prop_assert_eq!(frame.last_sequence(), next.saturating_sub(1));
            assert_ops(&frame.ops(DIM).expect("ops"), batch);
            // The writes of another dimension are not these, unless no vector is among them.
            if batch.iter().any(|write| matches!(write, Write::Put { .. })) {
                prop_assert!(frame.ops(DIM + 1).is_err());
            }
        }
        prop_assert!(reader.next_frame().is_none());
        prop_assert_eq!((reader.position(), reader.end()), (log.end(), LogEnd::Clean));
    }

    #[test]
    fn positions_stand_for_contents(batches in vec(vec(write(), 1..4), 2..4)) {
        let log_of = |batches: &[Vec<Write>]| {
            let mut log = Log::new(&header());
            batches.iter().for_each(|batch| log.push(batch, 0));
            log
        };
        let log = log_of(&batches);
        let mut sums: Vec<_> = log.ends.iter().map(|end| end.checksum).collect();
        sums.sort_unstable();
        sums.dedup();
        prop_assert_eq!(sums.len(), log.ends.len());
        let mut other = Log::new(&LogHeader { nonce: 100, ..header() });
        batches.iter().for_each(|batch| other.push(batch, 0));
        prop_assert_eq!(log.end().length, other.end().length);
        prop_assert_ne!(log.end(), other.end(), "the same batches in another log");
    }
}

proptest! {
    #![proptest_config(common::few())]

    #[test]
    fn damaged_headers_are_refused(header in common::log_header()) {
        let (bytes, position) = header.encode();
        prop_assert_eq!(bytes.len(), LogHeader::BYTES);
        prop_assert_eq!(position.length, LogHeader::BYTES as u64);
        let open = |bytes: &[u8]| LogReader::open(bytes).map(|reader| *reader.header());
        common::assert_no_prefix_reads(&bytes, open);
        common::assert_no_change_reads(&bytes, open);
    }

    /// Whatever the last frame is cut at, or whatever stands there instead, it is torn and all
    /// before it are read.
    #[test]
    fn torn_tails_are_torn(batches in vec(vec(write(), 0..5), 1..5), junk in vec(any::<u8>(), 60)) {
        let mut log = Log::new(&header());
        for batch in &batches {
            // All before it was durable.
            log.push(batch, log.next - 1);
        }
        let last = log.frame(batches.len() - 1);
        prop_assert_eq!(read(&log.bytes), (batches.len(), LogEnd::Clean));
        prop_assert_eq!(read(&log.bytes[..last.start]), (batches.len() - 1, LogEnd::Clean));
        for cut in last.start + 1..last.end {
            let bytes = (cut - last.start) as u64;
            let expected = (batches.len() - 1, LogEnd::Torn { bytes });
            prop_assert_eq!(read(&log.bytes[..cut]), expected, "cut at {}", cut);
            // The file has its length already, its blocks not yet their contents.
            for filler in [0x00, 0xff] {
                let mut zeroed = log.bytes.clone();
                zeroed[cut..].fill(filler);
                if zeroed != log.bytes {
                    let bytes = last.len() as u64;
                    let expected = (batches.len() - 1, LogEnd::Torn { bytes });
                    prop_assert_eq!(read(&zeroed), expected, "{} from {}", filler, cut);
                }
            }
        }
        let with_junk = [&log.bytes[..], &junk[..]].concat();
        let bytes = junk.len() as u64;
        prop_assert_eq!(read(&with_junk), (batches.len(), LogEnd::Torn { bytes }));
    }

    /// A changed byte in a frame that a later one knew durable is damage; in one that nothing
    /// says was durable it is a torn write, whatever whole frames follow.
    #[test]
    fn damage_and_torn_writes_are_told_apart(
        batches in vec(vec(write(), 1..3), 3..5),
        broken in 0usize..2,
        flip in 1u8..,
    ) {
        for covered in [true, false] {
            let mut log = Log::new(&header());
            let mut synced = 0;
            for (n, batch) in batches.iter().enumerate() {
                log.push(batch, synced);
                if covered || n < broken {
                    synced = log.next - 1;
                }
            }
            let frame = log.frame(broken);
            for at in frame.clone() {
                let mut bytes = log.bytes.clone();
                bytes[at] ^= flip;
                let (frames, end) = read(&bytes);
                prop_assert_eq!(frames, broken, "byte {} of {:?}", at, frame);
                let torn = LogEnd::Torn { bytes: (bytes.len() - frame.start) as u64 };
                match end {
                    LogEnd::Damaged { offset, synced_through } if covered => {
                        prop_assert_eq!(offset, frame.start as u64);
                        prop_assert!(synced_through >= broken as u64);
                    }
                    end => prop_assert!(!covered && end == torn, "byte {}: {:?}", at, end),
                }
            }
        }
    }
}

/// The last frame covers exactly the broken one, not it, and all before it.
#[test]
fn coverage_is_exact() {
    for (synced_through, damaged) in [(0, false), (1, false), (2, true), (3, true)] {
        let mut log = Log::new(&header());
        log.push_one(0);
        log.push_one(0);
        log.push_one(synced_through);
        let broken = log.frame(1).start + 40;
        log.bytes[broken] ^= 1;
        let (frames, end) = read(&log.bytes);
        assert_eq!(frames, 1);
        let is_damaged = matches!(end, LogEnd::Damaged { .. });
        assert_eq!(is_damaged, damaged, "sequence 2 broken, synced through {synced_through}");
    }
}

/// A frame that is whole but does not follow: what should stand before it is gone. It says
/// itself that this had been durable.
#[test]
fn missing_frame_is_damage() {
    for behind in [0, 1] {
        let mut log = Log::new(&header());
        log.push_one(0);
        log.push_one(1);
        for _ in 0..=behind {
            log.push_one(2);
        }
        let gone = log.frame(1);
        log.bytes.drain(gone);
        let (frames, end) = read(&log.bytes);
        assert_eq!(frames, 1);
        assert!(matches!(end, LogEnd::Damaged { .. }), "{behind} frames behind it: {end:?}");
    }
}

/// A record may hold any bytes, those of a frame among them: a backup of a log, or what a user
/// made up. They say nothing about the log that holds the record.
#[test]
fn frame_inside_a_torn_record_proves_nothing() {
    let mut inner = Log::new(&LogHeader { nonce: 1234, ..header() });
    inner.push_one(u64::MAX);
    let payload = Some(inner.bytes[inner.frame(0)].to_vec());
    let mut log = Log::new(&header());
    log.push_one(0);
    log.push(
        &[Write::Put {
            id: Id::from(1u64),
            kill: Kill::Nothing,
            vector: vec![0.0; DIM],
            document: Vec::new(),
            payload,
        }],
        1,
    );
    // All but the last bytes of the vector, which follows the payload.
    let torn = &log.bytes[..log.bytes.len() - 4];
    let (frames, end) = read(torn);
    assert_eq!(frames, 1);
    assert!(matches!(end, LogEnd::Torn { .. }), "{end:?}");
}

/// Nor do they in a whole log, where they would be found if what is before them breaks.
#[test]
fn frame_of_another_log_proves_nothing() {
    let mut other = Log::new(&LogHeader { nonce: 1234, ..header() });
    other.push_one(u64::MAX);
    let mut log = Log::new(&header());
    log.push_one(0);
    let foreign = &other.bytes[other.frame(0)];
    let bytes = [&log.bytes[..], foreign].concat();
    assert_eq!(read(&bytes), (1, LogEnd::Torn { bytes: foreign.len() as u64 }));
    let mut bytes = [&log.bytes[..LogHeader::BYTES], foreign].concat();
    assert_eq!(read(&bytes), (0, LogEnd::Torn { bytes: foreign.len() as u64 }));
    bytes[0] ^= 1;
    assert_eq!(LogReader::durable_despite_header(&bytes), None);
}

/// The header of a frame says what was durable, whatever became of its body.
#[test]
fn frame_headers_are_proof_enough() {
    let mut log = Log::new(&header());
    log.push_one(0);
    log.push_one(1);
    let (broken, later) = (log.frame(0), log.frame(1));
    log.bytes[broken.end - 1] ^= 1;
    let damaged = LogEnd::Damaged { offset: broken.start as u64, synced_through: 1 };
    for end in [later.start + 44, later.end - 1] {
        assert_eq!(read(&log.bytes[..end]), (0, damaged), "{end} bytes of {later:?}");
    }
    let torn = LogEnd::Torn { bytes: (later.start + 43 - broken.start) as u64 };
    assert_eq!(read(&log.bytes[..later.start + 43]), (0, torn));
}

/// A log whose header is broken tells what had been durable in it.
#[test]
fn broken_header_leaves_what_was_durable() {
    let mut log = Log::new(&header());
    log.push_one(0);
    log.push_one(1);
    log.push_one(2);
    for at in 0..LogHeader::BYTES {
        let mut bytes = log.bytes.clone();
        bytes[at] ^= 0x10;
        assert!(LogReader::open(&bytes).is_err(), "byte {at}");
        assert_eq!(LogReader::durable_despite_header(&bytes), Some(2), "byte {at}");
        bytes.truncate(log.frame(2).start);
        assert_eq!(LogReader::durable_despite_header(&bytes), Some(1), "byte {at}");
        bytes.truncate(log.frame(0).start + 43);
        assert_eq!(LogReader::durable_despite_header(&bytes), None, "byte {at}");
    }
    for length in 0..LogHeader::BYTES {
        assert_eq!(LogReader::durable_despite_header(&log.bytes[..length]), None);
    }
}

#[test]
fn sequence_numbers_do_not_overflow() {
    let mut log = Log::new(&LogHeader { first_sequence: u64::MAX, ..header() });
    let mut frame = FrameBuilder::new(u64::MAX);
    frame.delete(&Id::from(1u64), Kill::Nothing);
    frame.finish(log.sum(), log.end(), 0, &mut log.bytes).expect("a frame");
    assert_eq!(read(&log.bytes).0, 0, "no sequence number could follow");
}
