use std::collections::BTreeSet;

use vecgo_format::{
    Directory, Fields, Id, IdColumn, KeyRange, Lookup, Spans, ValueKind, encode_spans,
};

/// Directories of segments, after eight bytes that say how long the object is; and the trailer
/// that ends in the input's last bytes.
pub fn directory(input: &[u8]) -> bool {
    let trailer = input.len().saturating_sub(usize::try_from(Directory::TRAILER_BYTES).unwrap());
    let trailer = Directory::read_trailer(&input[trailer..]).is_ok();

    let Some((object_length, bytes)) = input.split_first_chunk() else { return trailer };
    let object_length = u64::from_le_bytes(*object_length);
    let Ok(directory) = Directory::decode(bytes, object_length) else { return trailer };
    let encoded = directory.encode();
    let named = (u32::try_from(encoded.len()).unwrap(), directory.checksum());
    assert_eq!(Directory::read_trailer(&directory.trailer()), Ok(named));
    for section in &directory.sections {
        assert!(section.offset + section.length <= object_length);
        assert!(section.table_offset + section.blocks() * 8 <= object_length);
    }
    assert_eq!(encoded, bytes);
    true
}

/// Fields, after eight bytes that say how many rows the segment has and how long the fields are; their
/// data is what is left.
pub fn fields(input: &[u8]) -> bool {
    let Some((rows, rest)) = input.split_first_chunk() else { return false };
    let Some((length, rest)) = rest.split_first_chunk() else { return false };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap();
    let Some((directory, data)) = rest.split_at_checked(length) else { return false };
    let rows = u32::from_le_bytes(*rows);
    let Ok(fields) = Fields::decode(directory, rows, data.len() as u64) else { return false };
    assert_eq!(fields.encode(), directory);
    let bytes = |range: std::ops::Range<u64>| {
        let at = |at: u64| usize::try_from(at).unwrap();
        &data[at(range.start)..at(range.end)]
    };
    for field in fields.iter() {
        assert_eq!(fields.find(field.name(), field.is_of_elements()), Some(field));
        let all = field.all();
        assert_eq!(bytes(field.list_bytes(&all)).len() as u64, all.end.listed * 4);
        bytes(field.set_bytes(&all, rows));
        for step in 0..field.steps().len() {
            assert_eq!(bytes(field.step_bytes(step, rows)).len(), rows.div_ceil(64) as usize * 8);
        }
        for range in [KeyRange::all(), KeyRange::kind(ValueKind::Text), KeyRange::prefix(b"a")] {
            let pages = field
                .pages_of(&range)
                .map(|page| page.map(|page| (page, bytes(field.page_bytes(page..page + 1)))));
            let Ok(within) = field.within(&range, pages) else { continue };
            bytes(field.list_bytes(&within.sure));
            bytes(field.set_bytes(&within.sure, rows));
        }
    }
    true
}

/// Lookups, after four bytes that say how many rows the segment has.
pub fn lookup(input: &[u8]) -> bool {
    let Some((rows, bytes)) = input.split_first_chunk() else { return false };
    let rows = u32::from_le_bytes(*rows);
    let numbers = bytes.chunks_exact(8).map(|chunk| {
        let mut number = [0; 8];
        number.copy_from_slice(chunk);
        Id::Number(u64::from_le_bytes(number))
    });
    // No id is in a segment twice.
    let ids: BTreeSet<Id> = numbers.chain(text_ids(bytes)).collect();
    let decoded = Lookup::decode(bytes, rows);
    if let Ok(lookup) = &decoded {
        assert_eq!(lookup.encode(), bytes);
        for id in &ids {
            assert!(lookup.candidates(id).iter().all(|row| *row < rows));
        }
    }
    let lookup = Lookup::build(rows.into(), ids.iter());
    for (row, id) in (0u32..).zip(&ids) {
        assert!(lookup.candidates(id).contains(&row));
    }
    assert_eq!(Lookup::decode(&lookup.encode(), u32::try_from(ids.len()).unwrap()), Ok(lookup));
    decoded.is_ok()
}

/// The columns of a row's id, document and payload.
pub fn rows(input: &[u8]) -> bool {
    for entries in input.windows(Spans::BYTES).step_by(8) {
        let mut pair = [0; Spans::BYTES];
        pair.copy_from_slice(entries);
        if let Ok(Some(range)) = Spans::range(pair) {
            assert!(range.start <= range.end);
        }
        let mut entry = [0; 8];
        entry.copy_from_slice(&entries[..8]);
        let text = IdColumn::text_range(u64::from_le_bytes(entry));
        assert!(text.start <= text.end);
    }

    let lengths = || input.iter().map(|byte| (*byte > 0).then(|| usize::from(*byte) - 1));
    let spans = encode_spans(lengths());
    let mut at = 0;
    for (row, length) in lengths().enumerate() {
        let mut pair = [0; Spans::BYTES];
        pair.copy_from_slice(&spans[row * 8..][..Spans::BYTES]);
        let expected = length.map(|length| at..at + length as u64);
        at += length.unwrap_or(0) as u64;
        assert_eq!(Spans::range(pair), Ok(expected));
    }

    if let Ok(id) = IdColumn::text_id(input) {
        assert!(matches!(id, Id::Text(text) if text.as_bytes() == input));
    }
    let mut column = IdColumn::default();
    let ids: Vec<Id> = text_ids(input).collect();
    ids.iter().for_each(|id| column.push(id));
    let text = column.text().unwrap_or_default();
    for (row, id) in ids.iter().enumerate() {
        let mut entry = [0; 8];
        entry.copy_from_slice(&column.values()[row * 8..][..8]);
        let range = IdColumn::text_range(u64::from_le_bytes(entry));
        let bytes =
            &text[usize::try_from(range.start).unwrap()..][..(range.end - range.start) as _];
        assert_eq!(IdColumn::text_id(bytes).as_ref(), Ok(id));
    }
    true
}

/// Ids that the input holds one a line.
fn text_ids(input: &[u8]) -> impl Iterator<Item = Id> {
    let lines = input.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok());
    lines.map(Id::from).filter(|id| id.check().is_ok())
}
