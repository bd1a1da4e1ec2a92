//! Files of vectors that a user names on the command line: `.npy`, `.fvecs` and `.bvecs`.
//!
//! Such a file may be damaged or hostile. Its size is checked against what its header claims when
//! it is opened, so that a wrong file is refused before a first row is written to the database, and
//! nothing is allocated from a claimed size alone.

mod npy;
#[cfg(test)]
mod tests;
mod vecs;

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use half::f16;

/// The most values one row of vectors may hold. It bounds the row buffer, whatever a header claims.
const MAX_DIM: u64 = 65_536;

/// Large enough that a file of short rows is not read in as many small calls.
const READ_BUFFER: usize = 256 * 1024;

/// Why a file of vectors could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VectorFileError {
    /// The operating system refused; its error is in the message and so not also the source.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The file can be read but is not one that this module accepts.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What would have been accepted.
        expected: String,
        /// What the file holds instead.
        found: String,
    },
}

/// A [`VectorFileError`] that does not know its file yet.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    Malformed { expected: String, found: String },
}

impl Fault {
    fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Malformed { expected: expected.into(), found: found.into() }
    }

    fn at(self, path: &Path) -> VectorFileError {
        let path = path.to_owned();
        match self {
            Self::Io(error) => VectorFileError::Io { path, error },
            Self::Malformed { expected, found } => {
                VectorFileError::Malformed { path, expected, found }
            }
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What one value of a row is stored as, little-endian.
#[derive(Clone, Copy, Debug)]
enum Element {
    F16,
    F32,
    F64,
    U8,
    I8,
}

impl Element {
    fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Appends the values of one row.
    fn decode(self, bytes: &[u8], row: u64, out: &mut Vec<f32>) -> Result<(), Fault> {
        match self {
            Self::U8 => out.extend(bytes.iter().map(|byte| f32::from(*byte))),
            Self::I8 => out.extend(bytes.iter().map(|byte| f32::from(byte.cast_signed()))),
            Self::F16 => {
                out.extend(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()));
            }
            Self::F32 => out.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
            Self::F64 => {
                for value in bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)) {
                    out.push(narrow(value).ok_or_else(|| {
                        Fault::new(
                            "values that fit 32-bit floats",
                            format!("{value:e} in row {row} (counting from 0)"),
                        )
                    })?);
                }
            }
        }
        Ok(())
    }
}

/// The nearest `f32`, or `None` where a finite value would become infinite.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is asked for")]
fn narrow(value: f64) -> Option<f32> {
    let narrowed = value as f32;
    (value.is_finite() == narrowed.is_finite()).then_some(narrowed)
}

/// How the rows lie in a file, known once it is open.
#[derive(Debug)]
struct Layout {
    element: Element,
    rows: u64,
    dim: usize,
    /// Whether every row repeats the dimension in front of its values.
    prefixed: bool,
}

/// A file of vectors, read in batches from front to back.
#[derive(Debug)]
pub(crate) struct VectorFile {
    path: PathBuf,
    reader: BufReader<File>,
    layout: Layout,
    next_row: u64,
    /// The bytes of one row's values.
    row: Vec<u8>,
}

impl VectorFile {
    /// Opens a file of the format its extension names: `.npy` (of two dimensions, or of one, which
    /// is a single row), `.fvecs` or `.bvecs`.
    pub(crate) fn open(path: &Path) -> Result<Self, VectorFileError> {
        let (reader, layout) = open_vectors(path).map_err(|fault| fault.at(path))?;
        // No overflow: the dimension is at most MAX_DIM.
        let row = vec![0; layout.dim * layout.element.size()];
        Ok(Self { path: path.to_owned(), reader, layout, next_row: 0, row })
    }

    /// How many values each row holds; never 0.
    pub(crate) fn dim(&self) -> usize {
        self.layout.dim
    }

    /// How many rows the whole file holds.
    pub(crate) fn rows(&self) -> u64 {
        self.layout.rows
    }

    /// Reads up to `max_rows` rows, row after row, into `out`, which is cleared first. Returns how
    /// many: 0 at the end of the file (or if `max_rows` is 0). After an error, neither `out` nor
    /// this file's position means anything.
    pub(crate) fn read_rows(
        &mut self,
        max_rows: usize,
        out: &mut Vec<f32>,
    ) -> Result<usize, VectorFileError> {
        out.clear();
        self.fill_rows(max_rows, out).map_err(|fault| fault.at(&self.path))
    }

    fn fill_rows(&mut self, max_rows: usize, out: &mut Vec<f32>) -> Result<usize, Fault> {
        let Layout { element, rows, dim, prefixed } = self.layout;
        let left = usize::try_from(rows - self.next_row).unwrap_or(usize::MAX);
        let count = left.min(max_rows);
        let values = count.checked_mul(dim).ok_or(io::Error::from(io::ErrorKind::OutOfMemory))?;
        out.try_reserve_exact(values).map_err(io::Error::from)?;
        for _ in 0..count {
            let row = self.next_row;
            if prefixed {
                vecs::check_row_dim(&mut self.reader, row, dim)?;
            }
            fill(&mut self.reader, &mut self.row, format_args!("all of row {row}"))?;
            element.decode(&self.row, row, out)?;
            self.next_row += 1;
        }
        Ok(count)
    }
}

/// Reads ground truth: an `.npy` of two dimensions and of 32- or 64-bit integers, whose rows are
/// row numbers, the nearest first. A -1 ends its row. Only the first `max_rows` rows and of each
/// the first `max_cols` columns are looked at.
pub(crate) fn read_truth(
    path: &Path,
    max_rows: usize,
    max_cols: usize,
) -> Result<Vec<Vec<i64>>, VectorFileError> {
    open_regular(path)
        .and_then(|(mut reader, len)| npy::read_truth(&mut reader, len, max_rows, max_cols))
        .map_err(|fault| fault.at(path))
}

fn open_vectors(path: &Path) -> Result<(BufReader<File>, Layout), Fault> {
    type Open = fn(&mut BufReader<File>, u64) -> Result<Layout, Fault>;
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    let open: Open = match extension.to_str() {
        Some("npy") => npy::open,
        Some("fvecs") => |reader, len| vecs::open(reader, len, Element::F32),
        Some("bvecs") => |reader, len| vecs::open(reader, len, Element::U8),
        _ => {
            let none = extension.is_empty();
            let found = if none { "none".to_owned() } else { format!("{extension:?}") };
            return Err(Fault::new("the extension .npy, .fvecs or .bvecs", found));
        }
    };
    let (mut reader, len) = open_regular(path)?;
    let layout = open(&mut reader, len)?;
    Ok((reader, layout))
}

/// Opens a file whose length is known, and returns it with that length.
#[expect(
    clippy::disallowed_methods,
    reason = "user files named on the command line, not database files"
)]
fn open_regular(path: &Path) -> Result<(BufReader<File>, u64), Fault> {
    // Looked at before it is opened: opening a named pipe would wait for a writer.
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() {
        let found = if kind.is_dir() { "a directory" } else { "a pipe, a socket or a device" };
        return Err(Fault::new("a regular file", found));
    }
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    Ok((BufReader::with_capacity(READ_BUFFER, file), len))
}

/// Fills `buf`. A file that ends too early is malformed; that is no failure to read it.
fn fill(reader: &mut impl Read, buf: &mut [u8], what: impl Display) -> Result<(), Fault> {
    reader.read_exact(buf).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::new(what.to_string(), "the end of the file"),
        _ => Fault::Io(error),
    })
}

/// As [`fill`], for a field of fixed size.
fn take<const N: usize>(reader: &mut impl Read, what: impl Display) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    fill(reader, &mut bytes, what)?;
    Ok(bytes)
}

/// A row's dimension as a size, if a row of vectors may have it.
fn checked_dim(dim: u64) -> Result<usize, Fault> {
    usize::try_from(dim).ok().filter(|_| (1..=MAX_DIM).contains(&dim)).ok_or_else(|| {
        Fault::new(format!("rows of 1 to {MAX_DIM} values"), format!("rows of {dim} values"))
    })
}
