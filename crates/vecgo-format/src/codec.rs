//! Little-endian primitives. Every multi-byte integer of every format goes through here.

use crate::FormatError;

#[derive(Debug, Default)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn u128(&mut self, value: u128) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A length or count, seven bits a byte, low bits first.
    pub(crate) fn length(&mut self, value: usize) {
        put_length(&mut self.bytes, value);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low seven bits are what is wanted")]
pub(crate) fn put_length(out: &mut Vec<u8>, value: usize) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[derive(Debug, Clone)]
pub(crate) struct Decoder<'a> {
    what: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes, at: 0 }
    }

    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], FormatError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(FormatError::Truncated {
                what: self.what,
                offset: self.at,
                needed: length,
                found: self.left(),
            });
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut array = [0u8; N];
        array.copy_from_slice(self.raw(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FormatError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn u128(&mut self) -> Result<u128, FormatError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    /// A length of bytes that must still follow: a hostile one fails before anything is allocated.
    pub(crate) fn length(&mut self) -> Result<usize, FormatError> {
        let start = self.at;
        let mut value = 0usize;
        for shift in (0..35).step_by(7) {
            let byte = self.u8()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(self.invalid_at(start, "a length with bytes to spare".to_owned()));
                }
                if value > self.left() {
                    let found = self.left();
                    let at = self.at;
                    return Err(FormatError::Truncated {
                        what: self.what,
                        offset: at,
                        needed: value,
                        found,
                    });
                }
                return Ok(value);
            }
        }
        Err(self.invalid_at(start, "a length of more than five bytes".to_owned()))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], FormatError> {
        let length = self.length()?;
        self.raw(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, FormatError> {
        let start = self.at;
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes)
            .map_err(|error| self.invalid_at(start, format!("text is not UTF-8: {error}")))
    }

    /// For what a checksum covers and this build does not know: a newer one wrote it.
    pub(crate) fn unknown(&self, detail: impl Into<String>) -> FormatError {
        FormatError::Unknown { what: self.what, detail: detail.into() }
    }

    pub(crate) fn invalid(&self, detail: impl Into<String>) -> FormatError {
        self.invalid_at(self.at, detail.into())
    }

    fn invalid_at(&self, offset: usize, detail: String) -> FormatError {
        FormatError::Invalid { what: self.what, offset, detail }
    }

    pub(crate) fn expect_end(&self) -> Result<(), FormatError> {
        match self.left() {
            0 => Ok(()),
            left => Err(self.invalid(format!("{left} bytes after its end"))),
        }
    }
}
