//! `.npy`: a magic string, a version, a Python dictionary that describes the array, and its values.
//!
//! The dictionary is read by a small strict parser, not as Python: the three known keys, each once.

use std::io::{self, BufReader, Read, Seek};

use super::{Element, Fault, Layout, checked_dim, fill, take};

const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// The most bytes a dictionary may take; NumPy itself writes about a hundred for such arrays.
const MAX_HEADER: u32 = 64 * 1024;

/// The most bytes of a file that a message quotes.
const MAX_QUOTE: usize = 24;

/// Learns the layout of an array of vectors, and leaves the reader at its first value.
pub(super) fn open(reader: &mut impl Read, len: u64) -> Result<Layout, Fault> {
    let header = Header::read(reader)?;
    let element = match header.descr.as_str() {
        "<f4" => Element::F32,
        "<f2" => Element::F16,
        "<f8" => Element::F64,
        "|u1" => Element::U8,
        "|i1" => Element::I8,
        _ => return Err(header.refuse_dtype("<f4, <f2, <f8, |u1 or |i1")),
    };
    let (rows, dim) = match header.shape[..] {
        [dim] => (1, dim),
        [rows, dim] => (rows, dim),
        _ => return Err(header.refuse_shape("an array of 1 or 2 dimensions")),
    };
    header.check(element.size(), len)?;
    Ok(Layout { element, rows, dim: checked_dim(dim)?, prefixed: false })
}

/// Reads the part of an array of row numbers that lies within `max_rows` and `max_cols`.
pub(super) fn read_truth<R: Read + Seek>(
    reader: &mut BufReader<R>,
    len: u64,
    max_rows: usize,
    max_cols: usize,
) -> Result<Vec<Vec<i64>>, Fault> {
    let header = Header::read(reader)?;
    let (decode, size): (fn([u8; 8]) -> i128, usize) = match header.descr.as_str() {
        "<i4" => (|[a, b, c, d, ..]| i32::from_le_bytes([a, b, c, d]).into(), 4),
        "<u4" => (|[a, b, c, d, ..]| u32::from_le_bytes([a, b, c, d]).into(), 4),
        "<i8" => (|bytes| i64::from_le_bytes(bytes).into(), 8),
        "<u8" => (|bytes| u64::from_le_bytes(bytes).into(), 8),
        _ => return Err(header.refuse_dtype("<i4, <i8, <u4 or <u8")),
    };
    let [rows, cols] = header.shape[..] else {
        return Err(header.refuse_shape("an array of 2 dimensions"));
    };
    // Without this, an array of no bytes could claim any number of rows.
    if cols == 0 {
        return Err(header.refuse_shape("at least one column"));
    }
    header.check(size, len)?;

    let mut truth = Vec::new();
    for row in (0..rows).take(max_rows) {
        let mut numbers = Vec::new();
        let mut unread = cols;
        for _ in (0..cols).take(max_cols) {
            let mut bytes = [0; 8];
            fill(reader, &mut bytes[..size], format_args!("all of row {row}"))?;
            unread -= 1;
            match decode(bytes) {
                -1 => break,
                number => match i64::try_from(number) {
                    Ok(number @ 0..) => numbers.push(number),
                    _ => {
                        return Err(Fault::new(
                            "row numbers, or -1 to end a row",
                            format!("{number} in row {row} (counting from 0)"),
                        ));
                    }
                },
            }
        }
        truth.push(numbers);
        // No overflow: these bytes are part of the file, as `check` found.
        let skip = i64::try_from(unread * size as u64).map_err(io::Error::other)?;
        reader.seek_relative(skip)?;
    }
    Ok(truth)
}

/// What stands in front of an array's values.
#[derive(Debug)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<u64>,
    /// Where the values begin.
    end: u64,
}

impl Header {
    fn read(reader: &mut impl Read) -> Result<Self, Fault> {
        let magic: [u8; 6] = take(reader, "the magic string of an .npy file")?;
        if magic != MAGIC {
            return Err(Fault::new("the magic string of an .npy file", quote(&magic)));
        }
        let (len, start) = match take(reader, "a version of the .npy format")? {
            [1, 0] => (u16::from_le_bytes(take(reader, "the header's length")?).into(), 10),
            [2 | 3, 0] => (u32::from_le_bytes(take(reader, "the header's length")?), 12),
            [major, minor] => {
                return Err(Fault::new(
                    "version 1.0, 2.0 or 3.0 of the .npy format",
                    format!("version {major}.{minor}"),
                ));
            }
        };
        if len > MAX_HEADER {
            return Err(Fault::new(
                format!("a header of at most {MAX_HEADER} bytes"),
                format!("{len} bytes"),
            ));
        }
        let mut text = Vec::new();
        reader.take(len.into()).read_to_end(&mut text)?;
        if text.len() as u64 != u64::from(len) {
            return Err(Fault::new(
                format!("a header of {len} bytes"),
                format!("the end of the file after {}", text.len()),
            ));
        }
        Parser(&text).header(start + u64::from(len))
    }

    /// Refuses an array whose values do not fill the file exactly, or lie column after column.
    fn check(&self, size: usize, len: u64) -> Result<(), Fault> {
        let Self { descr, shape, end, .. } = self;
        // Both orders are the same where all values lie in one row or in one column.
        if self.fortran_order && shape.iter().filter(|n| **n > 1).count() > 1 {
            return Err(Fault::new("an array in C order", "Fortran order"));
        }
        let values = shape.iter().try_fold(size as u64, |bytes, n| bytes.checked_mul(*n));
        let whole = values.and_then(|bytes| bytes.checked_add(*end)).ok_or_else(|| {
            self.refuse_shape("an array that fits into a file of less than 2^64 bytes")
        })?;
        if len != whole {
            return Err(Fault::new(
                format!("{whole} bytes (a header of {end}, then shape {shape:?} of {descr})"),
                format!("{len} bytes"),
            ));
        }
        Ok(())
    }

    fn refuse_dtype(&self, accepted: &str) -> Fault {
        Fault::new(format!("values of dtype {accepted}"), quote(self.descr.as_bytes()))
    }

    fn refuse_shape(&self, expected: &str) -> Fault {
        let found = match self.shape.len() {
            dims @ 0..=2 => format!("shape {:?} ({dims} dimensions)", self.shape),
            dims => format!("{dims} dimensions"),
        };
        Fault::new(expected, found)
    }
}

/// What is left to parse of a header.
struct Parser<'a>(&'a [u8]);

impl<'a> Parser<'a> {
    /// A dictionary of exactly the three keys, in any order.
    fn header(mut self, end: u64) -> Result<Header, Fault> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.need(b"{")?;
        while !self.eat(b"}") {
            let at = Parser(self.0);
            let key = self.string("a key of the header, in quotes")?;
            self.need(b":")?;
            let repeated = match key {
                b"descr" => descr.replace(self.string("a plain dtype, in quotes")?).is_some(),
                b"fortran_order" => fortran_order.replace(self.boolean()?).is_some(),
                b"shape" => shape.replace(self.tuple()?).is_some(),
                _ => return Err(at.fault("the header's keys descr, fortran_order and shape")),
            };
            if repeated {
                return Err(at.fault("each key of the header once"));
            }
            if !self.eat(b",") {
                self.need(b"}")?;
                break;
            }
        }
        self.skip_space();
        if !self.0.is_empty() {
            return Err(self.fault("nothing but space after the header's dictionary"));
        }
        let (Some(descr), Some(fortran_order), Some(shape)) = (descr, fortran_order, shape) else {
            return Err(Fault::new("the header's keys descr, fortran_order and shape", "fewer"));
        };
        // A string holds ASCII only, so nothing is lost.
        let descr = String::from_utf8_lossy(descr).into_owned();
        Ok(Header { descr, fortran_order, shape, end })
    }

    /// A string in either quote, of printable ASCII and without escapes.
    fn string(&mut self, expected: &str) -> Result<&'a [u8], Fault> {
        self.skip_space();
        let (&mark, text) = match self.0.split_first() {
            Some(split @ (b'\'' | b'"', _)) => split,
            _ => return Err(self.fault(expected)),
        };
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
        match text.iter().position(|byte| *byte == mark) {
            Some(end) if text[..end].iter().all(plain) => {
                self.0 = &text[end + 1..];
                Ok(&text[..end])
            }
            _ => Err(self.fault(expected)),
        }
    }

    fn boolean(&mut self) -> Result<bool, Fault> {
        match (self.eat(b"True"), self.eat(b"False")) {
            (true, false) => Ok(true),
            (false, true) => Ok(false),
            _ => Err(self.fault("fortran_order to be True or False")),
        }
    }

    /// A tuple of sizes. As in Python, one of a single size ends with a comma: `(3,)`.
    fn tuple(&mut self) -> Result<Vec<u64>, Fault> {
        self.need(b"(")?;
        let mut sizes = Vec::new();
        while !self.eat(b")") {
            sizes.push(self.size()?);
            if !self.eat(b",") {
                if sizes.len() == 1 {
                    return Err(self.fault("a comma in the header's shape"));
                }
                self.need(b")")?;
                break;
            }
        }
        Ok(sizes)
    }

    fn size(&mut self) -> Result<u64, Fault> {
        self.skip_space();
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        let number = str::from_utf8(number).ok().and_then(|digits| digits.parse().ok());
        let number = number.ok_or_else(|| self.fault("a size below 2^64 in the header's shape"))?;
        self.0 = rest;
        Ok(number)
    }

    fn skip_space(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    /// Steps over `token`, if it comes next.
    fn eat(&mut self, token: &[u8]) -> bool {
        self.skip_space();
        let rest = self.0.strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn need(&mut self, token: &[u8]) -> Result<(), Fault> {
        if self.eat(token) {
            return Ok(());
        }
        Err(self.fault(&format!("{} in the header", quote(token))))
    }

    fn fault(&self, expected: &str) -> Fault {
        Fault::new(expected, if self.0.is_empty() { "its end".to_owned() } else { quote(self.0) })
    }
}

/// The beginning of what a file holds, made safe to show on a terminal.
fn quote(bytes: &[u8]) -> String {
    let show = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => byte.escape_ascii().to_string(),
    };
    let text: String = bytes.iter().take(MAX_QUOTE).map(show).collect();
    let more = if bytes.len() > MAX_QUOTE { "..." } else { "" };
    format!("\"{text}{more}\"")
}
