use std::io::Write;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use vecgo::{Id, Record};

const SCHEMA: &str = "
message vecgo {
  OPTIONAL INT64 id (INTEGER(64,false));
  OPTIONAL BYTE_ARRAY id_text (UTF8);
  REQUIRED GROUP vector (LIST) { REPEATED GROUP list { REQUIRED FLOAT element; } }
  REQUIRED BYTE_ARRAY metadata (UTF8);
  OPTIONAL BYTE_ARRAY payload;
}";

/// Records of a row group, and about its bytes: it is held until it is full.
const GROUP_ROWS: usize = 1 << 16;
const GROUP_BYTES: usize = 32 << 20;

/// Writes records, a row group at a time.
pub(crate) struct ParquetWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    records: Vec<Record>,
    /// The metadata of each, as JSON.
    metadata: Vec<ByteArray>,
    bytes: usize,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(crate) fn new(to: W) -> Result<Self> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        // Floats hardly shrink, and no two are equal.
        let vectors = ColumnPath::from(vec!["vector".into(), "list".into(), "element".into()]);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_column_compression(vectors.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(vectors, false)
            .build();
        let file = SerializedFileWriter::new(to, schema, Arc::new(properties))?;
        Ok(Self { file, records: Vec::new(), metadata: Vec::new(), bytes: 0 })
    }

    pub(crate) fn write(&mut self, mut record: Record) -> Result<()> {
        let metadata = std::mem::take(&mut record.metadata).to_string();
        self.bytes += record.vector.len() * 4 + metadata.len();
        self.bytes += record.payload.as_ref().map_or(0, Vec::len);
        self.metadata.push(bytes(metadata.as_bytes()));
        self.records.push(record);
        match self.records.len() >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            true => self.group(),
            false => Ok(()),
        }
    }

    /// Writes what is held, and the end of the file; gives what was written to.
    pub(crate) fn finish(mut self) -> Result<W> {
        if !self.records.is_empty() {
            self.group()?;
        }
        self.file.into_inner()
    }

    fn group(&mut self) -> Result<()> {
        let records = std::mem::take(&mut self.records);
        let metadata = std::mem::take(&mut self.metadata);
        self.bytes = 0;
        let mut group = self.file.next_row_group()?;
        let number = |id: &Id| match id {
            Id::Number(number) => Some(number.cast_signed()),
            Id::Text(_) => None,
        };
        optional::<Int64Type, _>(&mut group, records.iter().map(|record| number(&record.id)))?;
        let text = |id: &Id| match id {
            Id::Number(_) => None,
            Id::Text(text) => Some(bytes(text.as_bytes())),
        };
        optional::<ByteArrayType, _>(&mut group, records.iter().map(|record| text(&record.id)))?;
        vectors(&mut group, &records)?;
        column::<ByteArrayType>(&mut group, &metadata, None, None)?;
        let payload = |record: &Record| record.payload.as_ref().map(|payload| bytes(payload));
        optional::<ByteArrayType, _>(&mut group, records.iter().map(payload))?;
        group.close().map(drop)
    }
}

fn bytes(bytes: &[u8]) -> ByteArray {
    ByteArray::from(bytes.to_vec())
}

fn vectors<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    records: &[Record],
) -> Result<()> {
    let values: Vec<f32> =
        records.iter().flat_map(|record| record.vector.iter().copied()).collect();
    // Where a list begins, and where it goes on.
    let repeats = records.iter().flat_map(|r| (0..r.vector.len()).map(|at| i16::from(at > 0)));
    let repeats: Vec<i16> = repeats.collect();
    column::<FloatType>(group, &values, Some(&vec![1; values.len()]), Some(&repeats))
}

/// A column in which some rows have no value.
fn optional<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let (mut there, mut defined) = (Vec::new(), Vec::new());
    for value in values {
        defined.push(i16::from(value.is_some()));
        there.extend(value);
    }
    column::<T>(group, &there, Some(&defined), None)
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    values: &[T::T],
    defined: Option<&[i16]>,
    repeats: Option<&[i16]>,
) -> Result<()> {
    let Some(mut column) = group.next_column()? else {
        return Err(parquet::errors::ParquetError::General("a column too many".to_owned()));
    };
    column.typed::<T>().write_batch(values, defined, repeats)?;
    column.close()
}
