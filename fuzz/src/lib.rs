//! One function for each decoder of `vecgo-format`, and one for the engine on a simulated machine.
//!
//! Each of a decoder takes any bytes whatever and panics if a decoder breaks its promises: it never panics, and
//! what it accepts is a value that encodes, and decodes again to the same value. Where the encoding
//! of a value is unique, it encodes to the very bytes that were read.
//!
//! A checksum would turn almost every changed input away, so targets with one read the input
//! twice: as it is, and with its checksums put right.
//!
//! To `operations` every input is a plan: what clients do, where the disk fails, where the machine
//! loses power. It panics if the engine breaks a promise.

#![forbid(unsafe_code)]

mod log;
pub mod mutate;
mod operations;
mod seeds;
mod segment;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vecgo_engine::Filter;
use vecgo_format::{
    BackupNames, Catalogue, DeleteObject, Document, FormatError, Inventory, Manifest, Pin,
    PrunePlan, RawObject, RawValue, Schema, Timestamp, catalogue_key, checksum, decode_document,
    encode_document, number_of,
};

pub use log::log;
pub use operations::operations;
pub use seeds::{Seed, seeds};
pub use segment::{directory, fields, lookup, rows};

/// A target: takes any bytes, panics on a broken promise, says whether the input was accepted.
pub type Target = fn(&[u8]) -> bool;

/// Every target by name.
pub const TARGETS: [(&str, Target); 15] = [
    ("manifest", manifest),
    ("catalogue", catalogue),
    ("deletes", deletes),
    ("pin", pin),
    ("backup", backup),
    ("prune", prune),
    ("log", log),
    ("directory", directory),
    ("lookup", lookup),
    ("rows", rows),
    ("fields", fields),
    ("filter", filter),
    ("document", document),
    ("names", names),
    ("operations", operations),
];

/// The folder of a target's corpus, which is committed.
pub fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The folder of the inputs that broke a target, which is not.
pub fn artifacts(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(target)
}

/// Manifests.
pub fn manifest(input: &[u8]) -> bool {
    small_object(input, true, Manifest::decode, Manifest::encode)
}

/// Catalogues.
pub fn catalogue(input: &[u8]) -> bool {
    small_object(input, true, Catalogue::decode, Catalogue::encode)
}

/// Delete objects. A bitmap has several forms.
pub fn deletes(input: &[u8]) -> bool {
    small_object(input, false, DeleteObject::decode, DeleteObject::encode)
}

/// Pins.
pub fn pin(input: &[u8]) -> bool {
    small_object(input, true, Pin::decode, Pin::encode)
}

/// Backups: where their copies are depends on numbers alone.
pub fn backup(input: &[u8]) -> bool {
    small_object(input, true, Inventory::decode, Inventory::encode)
}

/// Plans to delete some.
pub fn prune(input: &[u8]) -> bool {
    small_object(input, true, PrunePlan::decode, PrunePlan::encode)
}

/// What has a mark, a version, a body, and a checksum over all of it; `unique` if a value has one
/// encoding.
fn small_object<T: PartialEq + Debug>(
    input: &[u8],
    unique: bool,
    decode: impl Fn(&[u8]) -> Result<(T, u64), FormatError>,
    encode: impl Fn(&T) -> (Vec<u8>, u64),
) -> bool {
    let mut accepted = false;
    let mut sealed = input.to_vec();
    if let Some((covered, sum)) = sealed.split_last_chunk_mut() {
        *sum = checksum(covered).to_le_bytes();
    }
    for bytes in [input, &sealed] {
        let Ok((value, _)) = decode(bytes) else { continue };
        accepted = true;
        let (encoded, sum) = encode(&value);
        assert_eq!(decode(&encoded), Ok((value, sum)));
        assert!(!unique || encoded == bytes);
    }
    accepted
}

/// Metadata documents.
pub fn document(input: &[u8]) -> bool {
    let Ok(document) = decode_document(input) else { return false };
    let encoded = encode_document(&document).expect("so few bytes are within the limits");
    let raw = RawObject::document(input).expect("what decodes can be read where it stands");
    let mut timestamps = 0;
    check_object(raw, &document, &mut timestamps);
    // Without a schema they are texts.
    assert_eq!(encoded == input, timestamps == 0);
    assert_eq!(encoded.len(), input.len());
    true
}

/// Holds what is read of an object where it stands against what it decodes to.
fn check_object(mut raw: RawObject<'_>, decoded: &Document, timestamps: &mut usize) {
    assert_eq!(raw.left(), decoded.len());
    while let Some((key, value)) = raw.next_field().expect("a field") {
        let key = str::from_utf8(key).expect("a key");
        check_value(value, &decoded[key], timestamps);
    }
}

fn check_value(raw: RawValue<'_>, decoded: &Value, timestamps: &mut usize) {
    match (raw, decoded) {
        (RawValue::Null, Value::Null) => {}
        (RawValue::Bool(value), decoded) => assert_eq!(*decoded, value),
        (RawValue::Int(value), decoded) => assert_eq!(*decoded, value),
        (RawValue::Float(value), decoded) => assert_eq!(*decoded, value),
        (RawValue::Text(text), Value::String(decoded)) => assert_eq!(text, decoded.as_bytes()),
        (RawValue::Timestamp(time), Value::String(decoded)) => {
            *timestamps += 1;
            assert_eq!(Timestamp::parse(decoded), Ok(time));
            assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        }
        (RawValue::Object(inner), Value::Object(decoded)) => {
            check_object(inner, decoded, timestamps);
        }
        (RawValue::List(mut list), Value::Array(decoded)) => {
            assert_eq!(list.left(), decoded.len());
            for decoded in decoded {
                let value = list.next_value().expect("a value").expect("as many");
                check_value(value, decoded, timestamps);
            }
        }
        (raw, decoded) => panic!("{raw:?} decodes to {decoded}"),
    }
}

/// Filters and schemas as JSON.
pub fn filter(input: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(input) else { return false };
    if let Ok(schema) = text.parse::<Schema>() {
        assert_eq!(schema.to_string().parse(), Ok(schema));
        return true;
    }
    let Ok(filter) = text.parse::<Filter>() else { return false };
    assert_eq!(filter.to_string().parse::<Filter>().expect("a filter"), filter);
    true
}

/// Numbers in the names of objects.
pub fn names(input: &[u8]) -> bool {
    let Ok(key) = str::from_utf8(input) else { return false };
    let backup = BackupNames::of_inventory(key)
        .map(|(created_ms, id)| BackupNames::inventory(created_ms, id))
        .or(BackupNames::of_unfinished(key).map(|(id, nth)| BackupNames::unfinished(id, nth)))
        .or(BackupNames::of_data(key).map(BackupNames::data));
    if let Some(again) = backup {
        assert_eq!(again, key);
        assert!(!key.contains("..") && key.matches('/').count() == 2);
        return true;
    }
    let Ok(number) = number_of(key) else { return false };
    let name = |key: &str| key.rsplit('/').next().map(str::to_owned);
    assert_eq!(name(&catalogue_key(number)), name(key));
    true
}
