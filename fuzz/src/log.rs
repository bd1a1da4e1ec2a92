use vecgo_format::{FrameBuilder, LogEnd, LogHeader, LogReader, Op, checksum, vector_of};

/// Dimensions of the vectors in the logs of the corpus.
pub(crate) const DIM: usize = 3;

/// Where a frame's header has the checksum of its body, and then its own.
const BODY_SUM: usize = 28;
const OWN_SUM: usize = 36;
const FRAME_HEADER: usize = 44;

/// Whole logs, with the writes of every frame.
pub fn log(input: &[u8]) -> bool {
    let _ = LogReader::durable_despite_header(input);
    let mut sealed = input.to_vec();
    seal(&mut sealed);
    read(&sealed) | read(input)
}

fn read(bytes: &[u8]) -> bool {
    let Ok(mut reader) = LogReader::open(bytes) else { return false };
    let (mut copy, mut position) = reader.header().encode();
    let log = position.checksum;
    while let Some(frame) = reader.next_frame() {
        let Ok(ops) = frame.ops(DIM) else { return false };
        let builder = rebuild(frame.first_sequence, &ops);
        position = builder.finish(log, position, frame.synced_through, &mut copy).expect("small");
        assert_eq!(position, reader.position());
    }
    let (whole, rest) = bytes.split_at(copy.len());
    assert_eq!(copy, whole);
    match reader.end() {
        LogEnd::Clean => assert!(rest.is_empty()),
        LogEnd::Torn { bytes } => assert_eq!(bytes, rest.len() as u64),
        LogEnd::Damaged { offset, synced_through } => {
            assert!(!rest.is_empty());
            assert_eq!(offset, whole.len() as u64);
            assert!(synced_through >= reader.next_sequence());
        }
    }
    true
}

fn rebuild(first_sequence: u64, ops: &[Op<'_>]) -> FrameBuilder {
    let mut builder = FrameBuilder::new(first_sequence);
    for op in ops {
        match op {
            Op::Put { id, kill, vector, document, payload } => {
                builder.put(id, *kill, &vector_of(vector), document, *payload);
            }
            Op::Delete { id, kill } => builder.delete(id, *kill),
        }
    }
    builder
}

/// Puts right the checksums of the header and of every frame, and the length of one cut short.
fn seal(log: &mut [u8]) {
    let Some((header, mut frames)) = log.split_at_mut_checked(LogHeader::BYTES) else { return };
    let Some((covered, log)) = header.split_last_chunk_mut() else { return };
    *log = checksum(covered).to_le_bytes();
    while let Some((header, rest)) = frames.split_at_mut_checked(FRAME_HEADER) {
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let length = rest.len().min(length as usize);
        header[4..8].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        let (body, rest) = rest.split_at_mut(length);
        header[BODY_SUM..OWN_SUM].copy_from_slice(&checksum(body).to_le_bytes());
        let own = checksum(&header[..OWN_SUM]).to_le_bytes();
        header[OWN_SUM..].copy_from_slice(&checksum([*log, own].as_flattened()).to_le_bytes());
        frames = rest;
    }
}
