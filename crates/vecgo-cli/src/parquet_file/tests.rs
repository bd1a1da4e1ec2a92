//! Files come back, and no damage does more than to be refused.

#![expect(clippy::disallowed_methods, reason = "files are what is tested")]

use std::path::Path;

use serde_json::json;
use vecgo::{Id, Record};

use super::{ParquetFile, ParquetWriter};
use crate::failure::Failure;

fn records(count: u64) -> Vec<Record> {
    (0..count)
        .map(|n| {
            let id = if n % 3 == 0 { Id::from(format!("id {n}")) } else { Id::from(u64::MAX - n) };
            let record = Record::new(id, [n as f32, -0.5, f32::MIN_POSITIVE]);
            let record = match n % 4 {
                0 => record,
                _ => record.metadata(json!({"n": n, "text": "ü", "list": [1, null, {"a": 2.5}]})),
            };
            if n % 5 == 0 {
                record.payload(vec![0, 255, u8::try_from(n % 256).unwrap()])
            } else {
                record
            }
        })
        .collect()
}

fn written(records: &[Record]) -> Vec<u8> {
    let mut writer = ParquetWriter::new(Vec::new()).unwrap();
    for record in records {
        writer.write(record.clone()).unwrap();
    }
    writer.finish().unwrap()
}

fn read(path: &Path) -> Result<Vec<Record>, Failure> {
    let mut file = ParquetFile::open(path)?;
    let mut found = Vec::new();
    loop {
        let some = file.next_records()?;
        if some.is_empty() {
            return Ok(found);
        }
        found.extend(some.into_iter().map(|(id, mut record)| {
            record.id = id.unwrap_or_else(|| Id::from(0u64));
            record
        }));
    }
}

#[test]
fn records_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.parquet");
    for count in [0, 1, 255, 256, 257, 3000] {
        let records = records(count);
        std::fs::write(&path, written(&records)).unwrap();
        assert_eq!(ParquetFile::open(&path).unwrap().rows(), count);
        assert_eq!(read(&path).unwrap(), records, "{count} records");
    }
}

#[test]
fn many_row_groups_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.parquet");
    // Payloads of which a few fill a row group.
    let records: Vec<Record> =
        (0..20u64).map(|n| Record::new(n, [1.0]).payload(vec![7; 5 << 20])).collect();
    std::fs::write(&path, written(&records)).unwrap();
    assert_eq!(read(&path).unwrap(), records);
}

/// Whatever becomes of the file, it is read or refused by name: nothing panics that is not caught, and nothing is
/// allocated without bound.
#[test]
fn damaged_files_are_refused_or_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.parquet");
    let whole = written(&records(40));
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut refused = 0;
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        for bytes in [&flipped[..], &whole[..at]] {
            std::fs::write(&path, bytes).unwrap();
            if let Err(failure) = read(&path) {
                assert!(failure.message().contains("damaged.parquet"), "{}", failure.message());
                refused += 1;
            }
        }
    }
    std::panic::set_hook(quiet);
    assert!(refused > whole.len(), "{refused} of {}", 2 * whole.len());
}
