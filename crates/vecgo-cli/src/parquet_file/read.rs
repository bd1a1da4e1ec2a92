use std::fmt::Display;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use serde_json::{Map, Value};
use vecgo::{Id, MAX_DIM, Record};

use super::{ID, ID_TEXT, METADATA, PAYLOAD, VECTOR};
use crate::failure::Failure;

/// Rows that are read at a time.
const ROWS: usize = 256;

/// A file being read.
pub(crate) struct ParquetFile {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    kinds: Vec<Kind>,
    dim: usize,
    rows: u64,
    /// Row groups that were read to their end.
    groups: usize,
    columns: Vec<ColumnReader>,
    /// Records that were read.
    at: u64,
}

/// What the file says of a column.
struct Kind {
    role: Role,
    /// The level of a value that is there; 0 if all are.
    most: i16,
    /// Whether its integers have no sign.
    unsigned: bool,
}

/// What a column is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    Id,
    IdText,
    Vector,
    Metadata,
    Payload,
    /// A field of the metadata.
    Field(String),
}

impl ParquetFile {
    /// Opens a file whose every vector has as many values as its first, as far as its own counts say.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        #[expect(clippy::disallowed_methods, reason = "a file named on the command line")]
        let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
        let reader = guarded(path, || SerializedFileReader::new(file))?;
        let invalid = |why: String| Failure::invalid(format!("{}: {why}", path.display()));
        let metadata = reader.metadata();
        let schema = metadata.file_metadata().schema_descr();
        let columns = schema.columns();
        let vector = vector_of(columns.iter().map(AsRef::as_ref)).map_err(invalid)?;
        let mut kinds = Vec::new();
        for (place, column) in columns.iter().enumerate() {
            let role =
                if place == vector { Role::Vector } else { role_of(column).map_err(invalid)? };
            let (most, unsigned) = (column.max_def_level(), is_unsigned(column));
            kinds.push(Kind { role, most, unsigned });
        }
        let (mut rows, mut dim) = (0u64, None);
        for group in metadata.row_groups() {
            let count =
                |count: i64| u64::try_from(count).map_err(|_| invalid(format!("{count} rows")));
            let (own, values) =
                (count(group.num_rows())?, count(group.column(vector).num_values())?);
            let each = values.checked_div(own).unwrap_or(0);
            if each.checked_mul(own) != Some(values) || each > MAX_DIM as u64 {
                let why = format!("{values} values in the vectors of {own} rows");
                return Err(invalid(format!("{why}; expected as many in each, {MAX_DIM} at most")));
            }
            if own > 0 && *dim.get_or_insert(each) != each {
                return Err(invalid(format!("vectors of {each} values after others of {dim:?}")));
            }
            rows = rows.saturating_add(own);
        }
        let dim = usize::try_from(dim.unwrap_or(0)).unwrap_or(usize::MAX);
        let (path, columns) = (path.to_owned(), Vec::new());
        Ok(Self { path, reader, kinds, dim, rows, groups: 0, columns, at: 0 })
    }

    /// Records in the file.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Dimensions of the vectors; 0 if there are none.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// Row of the record that is read next.
    pub(crate) fn row(&self) -> u64 {
        self.at
    }

    /// The next records, none after the last. One without an id has `None`.
    pub(crate) fn next_records(&mut self) -> Result<Vec<(Option<Id>, Record)>, Failure> {
        loop {
            if self.columns.is_empty() {
                if self.groups == self.reader.num_row_groups() {
                    return Ok(Vec::new());
                }
                self.open_group()?;
            }
            let mut records = Vec::new();
            let (path, dim, at) = (self.path.clone(), self.dim, self.at);
            for (kind, column) in self.kinds.iter().zip(&mut self.columns) {
                let cells = guarded(&path, || cells(kind, column, dim))?;
                if records.is_empty() {
                    records.resize_with(cells.len(), || (None, Record::new(0u64, Vec::new())));
                }
                if records.len() != cells.len() {
                    let message = format!("{}: columns of different lengths", path.display());
                    return Err(Failure::invalid(message));
                }
                for (place, (cell, (id, record))) in cells.into_iter().zip(&mut records).enumerate()
                {
                    put(&kind.role, cell, id, record).map_err(|why| {
                        let row = at + place as u64;
                        Failure::invalid(format!("{} row {row}: {why}", path.display()))
                    })?;
                }
            }
            if !records.is_empty() {
                self.at += records.len() as u64;
                return Ok(records);
            }
            self.columns.clear();
        }
    }

    fn open_group(&mut self) -> Result<(), Failure> {
        let (reader, columns, group) = (&self.reader, self.kinds.len(), self.groups);
        let (kinds, dim) = (&self.kinds, self.dim as u64);
        self.columns = guarded(&self.path, || {
            let group = reader.get_row_group(group)?;
            let rows = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
            for (place, kind) in kinds.iter().enumerate() {
                let most = if kind.role == Role::Vector { rows.saturating_mul(dim) } else { rows };
                check_pages(&mut *group.get_column_page_reader(place)?, most)?;
            }
            (0..columns).map(|place| group.get_column_reader(place)).collect()
        })?;
        self.groups += 1;
        Ok(())
    }
}

/// Whether the pages of a column have no more values than there should be: a few bytes may stand for any number of
/// them, and those of a record are read all at once.
fn check_pages(pages: &mut dyn PageReader, most: u64) -> Result<(), ParquetError> {
    let mut values = 0u64;
    while let Some(page) = pages.peek_next_page()? {
        values = values.saturating_add(page.num_levels.unwrap_or(0) as u64);
        pages.skip_next_page()?;
        if values > most {
            return Err(ParquetError::General(format!("more than {most} values in a column")));
        }
    }
    Ok(())
}

/// Whatever a file may do to the library that reads it is a failure of that file.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, Failure> {
    let invalid = |why: &dyn Display| Failure::invalid(format!("{}: {why}", path.display()));
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| invalid(&error)),
        Err(_) => Err(invalid(&"it cannot be read as Parquet")),
    }
}

/// The column of vectors: that of the name, or the only one that could be.
fn vector_of<'a>(columns: impl Iterator<Item = &'a ColumnDescriptor>) -> Result<usize, String> {
    let is_list = |column: &ColumnDescriptor| {
        column.max_rep_level() == 1 && matches!(column.physical_type(), Type::FLOAT | Type::DOUBLE)
    };
    let lists: Vec<(usize, &ColumnDescriptor)> =
        columns.enumerate().filter(|(_, column)| is_list(column)).collect();
    let named = lists.iter().find(|(_, column)| top_of(column) == VECTOR);
    match (named, lists.as_slice()) {
        (Some((place, _)), _) | (None, [(place, _)]) => Ok(*place),
        (None, []) => Err("no column is of lists of floats".to_owned()),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|(_, column)| top_of(column)).collect();
            Err(format!("which column is the vector? None of {} is `{VECTOR}`", names.join(", ")))
        }
    }
}

fn top_of(column: &ColumnDescriptor) -> &str {
    column.path().parts().first().map_or("", String::as_str)
}

fn role_of(column: &ColumnDescriptor) -> Result<Role, String> {
    let name = top_of(column);
    let is_plain = column.max_rep_level() == 0 && column.path().parts().len() == 1;
    let is_known = is_itself(column)
        && !matches!(column.physical_type(), Type::INT96 | Type::FIXED_LEN_BYTE_ARRAY);
    if !is_plain || !is_known {
        let (kind, is) = (column.physical_type(), column.logical_type_ref());
        let what = is.map_or_else(|| format!("{kind}"), |is| format!("{is:?}"));
        return Err(format!("column `{}`, {what}, is none that can be read", column.path()));
    }
    Ok(match name {
        ID => Role::Id,
        ID_TEXT => Role::IdText,
        METADATA => Role::Metadata,
        PAYLOAD => Role::Payload,
        field => Role::Field(field.to_owned()),
    })
}

/// Whether values are what they are stored as: what stands for a date or a decimal is not taken for a number.
fn is_itself(column: &ColumnDescriptor) -> bool {
    use ConvertedType::{
        ENUM, INT_8, INT_16, INT_32, INT_64, JSON, NONE, UINT_8, UINT_16, UINT_32, UINT_64, UTF8,
    };
    match column.logical_type_ref() {
        None => matches!(
            column.converted_type(),
            NONE | UTF8
                | JSON
                | ENUM
                | INT_8
                | INT_16
                | INT_32
                | INT_64
                | UINT_8
                | UINT_16
                | UINT_32
                | UINT_64
        ),
        Some(logical) => matches!(
            logical,
            LogicalType::String | LogicalType::Json | LogicalType::Enum | LogicalType::Integer(_)
        ),
    }
}

/// What a row has in a column.
enum Cell {
    Absent,
    Plain(Value),
    Bytes(ByteArray),
    Vector(Vec<f32>),
}

/// The next cells of a column, none after the last.
fn cells(kind: &Kind, column: &mut ColumnReader, dim: usize) -> Result<Vec<Cell>, ParquetError> {
    let Kind { role, most, unsigned } = kind;
    let (most, unsigned) = (*most, *unsigned);
    if *role == Role::Vector {
        return match column {
            ColumnReader::FloatColumnReader(column) => vectors(column, (dim, most), |value| value),
            #[expect(clippy::cast_possible_truncation, reason = "vectors are of f32")]
            ColumnReader::DoubleColumnReader(column) => {
                vectors(column, (dim, most), |value| value as f32)
            }
            _ => Err(ParquetError::General("a vector of another type".to_owned())),
        };
    }
    match column {
        ColumnReader::BoolColumnReader(column) => plain(column, most, |value| value.into()),
        ColumnReader::Int32ColumnReader(column) => plain(column, most, |value| match unsigned {
            true => value.cast_unsigned().into(),
            false => value.into(),
        }),
        ColumnReader::Int64ColumnReader(column) => plain(column, most, |value| match unsigned {
            true => value.cast_unsigned().into(),
            false => value.into(),
        }),
        ColumnReader::FloatColumnReader(column) => plain(column, most, short),
        ColumnReader::DoubleColumnReader(column) => plain(column, most, |value| value.into()),
        ColumnReader::ByteArrayColumnReader(column) => {
            let (values, defined, _) = batch(column)?;
            Ok(spread(values.into_iter().map(Cell::Bytes), &defined, most))
        }
        _ => Err(ParquetError::General("a column of another type".to_owned())),
    }
}

type Batch<T> = (Vec<T>, Vec<i16>, Vec<i16>);

fn batch<T: DataType>(column: &mut ColumnReaderImpl<T>) -> Result<Batch<T::T>, ParquetError> {
    let (mut values, mut defined, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
    let (mut records, mut read) = (0, 1);
    // A page may end before that.
    while records < ROWS && read > 0 {
        let left = ROWS - records;
        (read, _, _) =
            column.read_records(left, Some(&mut defined), Some(&mut repeats), &mut values)?;
        records += read;
    }
    Ok((values, defined, repeats))
}

fn is_unsigned(column: &ColumnDescriptor) -> bool {
    use ConvertedType::{UINT_8, UINT_16, UINT_32, UINT_64};
    match column.logical_type_ref() {
        Some(LogicalType::Integer(integer)) => !integer.is_signed,
        _ => matches!(column.converted_type(), UINT_8 | UINT_16 | UINT_32 | UINT_64),
    }
}

fn plain<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    most: i16,
    value: impl Fn(T::T) -> Value,
) -> Result<Vec<Cell>, ParquetError> {
    let (values, defined, _) = batch(column)?;
    Ok(spread(values.into_iter().map(|one| Cell::Plain(value(one))), &defined, most))
}

/// Cells of rows that have one, and of those that do not.
fn spread(mut cells: impl Iterator<Item = Cell>, defined: &[i16], most: i16) -> Vec<Cell> {
    if most == 0 {
        return cells.collect();
    }
    let there = defined.iter().map(|defined| *defined == most);
    there.map(|is_there| is_there.then(|| cells.next()).flatten().unwrap_or(Cell::Absent)).collect()
}

fn vectors<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    (dim, most): (usize, i16),
    value: impl Fn(T::T) -> f32,
) -> Result<Vec<Cell>, ParquetError> {
    let (values, defined, repeats) = batch(column)?;
    let mut values = values.into_iter();
    let mut cells: Vec<Vec<f32>> = Vec::new();
    for (defined, repeat) in defined.iter().zip(&repeats) {
        if *repeat == 0 {
            cells.push(Vec::with_capacity(dim));
        }
        match (cells.last_mut(), values.next()) {
            (Some(cell), Some(one)) if *defined == most && cell.len() < dim => {
                cell.push(value(one));
            }
            _ => {
                let why = format!("a vector that lacks a value, or has more than {dim}");
                return Err(ParquetError::General(why));
            }
        }
    }
    Ok(cells.into_iter().map(Cell::Vector).collect())
}

/// Puts a cell where it belongs.
fn put(role: &Role, cell: Cell, id: &mut Option<Id>, record: &mut Record) -> Result<(), String> {
    match (role, cell) {
        (Role::Vector, Cell::Vector(vector)) => record.vector = vector,
        (Role::Id | Role::IdText | Role::Payload, Cell::Absent) => {}
        (Role::Metadata, Cell::Absent) => {}
        (Role::Id, Cell::Plain(value)) => {
            let number = value.as_u64();
            *id = Some(number.ok_or_else(|| format!("id {value}; expected 0 or more"))?.into());
        }
        (Role::Id | Role::IdText, Cell::Bytes(bytes)) => *id = Some(text(&bytes)?.into()),
        (Role::Payload, Cell::Bytes(bytes)) => record.payload = Some(bytes.data().to_vec()),
        (Role::Metadata, Cell::Bytes(bytes)) => {
            let fields: Map<String, Value> = serde_json::from_slice(bytes.data())
                .map_err(|error| format!("metadata is no JSON object: {error}"))?;
            for (name, value) in fields {
                field(record, &name, value);
            }
        }
        (Role::Field(_), Cell::Absent) => {}
        (Role::Field(name), Cell::Plain(value)) => field(record, name, value),
        (Role::Field(name), Cell::Bytes(bytes)) => field(record, name, text(&bytes)?.into()),
        (role, _) => return Err(format!("{role:?} is of another type")),
    }
    Ok(())
}

fn field(record: &mut Record, name: &str, value: Value) {
    if !record.metadata.is_object() {
        record.metadata = Value::Object(Map::new());
    }
    if let Some(fields) = record.metadata.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

fn text(bytes: &ByteArray) -> Result<&str, String> {
    bytes.as_utf8().map_err(|_| "a text that is not UTF-8".to_owned())
}

/// A float as short as it can be while naming the same f32.
fn short(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}
