//! Vectors of files, and numbers that look random.

use std::error::Error;
use std::fs;

pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Rows of a file of NumPy's, format version 1, 32-bit floats.
pub(crate) struct Vectors {
    pub(crate) dim: usize,
    values: Vec<f32>,
}

impl Vectors {
    pub(crate) fn read(path: &str) -> Result<Self> {
        let bytes = fs::read(path)?;
        let wrong = || format!("{path}: not a table of 32-bit floats in NumPy's format 1");
        let header = bytes.get(..10).filter(|start| start.starts_with(b"\x93NUMPY\x01"));
        let header = header.ok_or_else(wrong)?;
        let end = 10 + usize::from(u16::from_le_bytes([header[8], header[9]]));
        let text = String::from_utf8_lossy(bytes.get(10..end).ok_or_else(wrong)?).into_owned();
        let shape = text.split(['(', ')']).nth(1).ok_or_else(wrong)?;
        let dim = shape.split(',').nth(1).ok_or_else(wrong)?.trim().parse()?;
        if !text.contains("<f4") || text.contains("True") {
            return Err(wrong().into());
        }
        let values =
            bytes[end..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok(Self { dim, values: values.collect() })
    }

    pub(crate) fn rows(&self) -> u64 {
        (self.values.len() / self.dim) as u64
    }

    pub(crate) fn row(&self, row: u64) -> &[f32] {
        let start = usize::try_from(row % self.rows()).unwrap_or(0) * self.dim;
        &self.values[start..start + self.dim]
    }
}

/// Numbers that look random, the same each time.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
