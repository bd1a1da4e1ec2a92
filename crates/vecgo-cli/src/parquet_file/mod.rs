//! Records as Parquet: what `export` writes, and what of others' files `import` reads.
//!
//! | column | type | |
//! |---|---|---|
//! | `id` | optional u64 | an id that is a number |
//! | `id_text` | optional string | an id that is a text: one of the two is there |
//! | `vector` | list of f32 | |
//! | `metadata` | string | JSON |
//! | `payload` | optional bytes | |
//!
//! A file is read if it has a column of lists of floats, all of one length. Its `id` may be of any integers or
//! texts; other plain columns become fields of the metadata.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use read::ParquetFile;
pub(crate) use write::ParquetWriter;

const ID: &str = "id";
const ID_TEXT: &str = "id_text";
const VECTOR: &str = "vector";
const METADATA: &str = "metadata";
const PAYLOAD: &str = "payload";
