use std::fmt;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The checksum of everything stored: XXH3, 64 bits, seed 0.
pub fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// The same of bytes that come one after the other.
#[derive(Clone, Default)]
pub struct RunningChecksum(Box<Xxh3>);

impl fmt::Debug for RunningChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningChecksum({:#x})", self.finish())
    }
}

impl RunningChecksum {
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all so far.
    pub fn finish(&self) -> u64 {
        self.0.digest()
    }
}

/// Folds the checksum of the next frame into that of all frames before it, so that one number
/// stands for a whole log without reading it twice.
pub(crate) fn chain(so_far: u64, next: u64) -> u64 {
    let mut both = [0u8; 16];
    both[..8].copy_from_slice(&so_far.to_le_bytes());
    both[8..].copy_from_slice(&next.to_le_bytes());
    xxh3_64(&both)
}

/// Checksums of a section, one a block, taken while the section is written.
#[derive(Debug)]
pub struct BlockChecksums {
    block_bytes: usize,
    partial: Vec<u8>,
    sums: Vec<u64>,
}

impl BlockChecksums {
    /// For blocks of so many bytes.
    pub fn new(block_bytes: u32) -> Self {
        let block_bytes = (block_bytes as usize).max(1);
        Self { block_bytes, partial: Vec::new(), sums: Vec::new() }
    }

    /// Takes the section's next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.block_bytes.saturating_sub(self.partial.len());
            if self.partial.is_empty() && bytes.len() >= self.block_bytes {
                let (block, rest) = bytes.split_at(self.block_bytes);
                self.sums.push(checksum(block));
                bytes = rest;
                continue;
            }
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.partial.extend_from_slice(now);
            bytes = rest;
            if self.partial.len() == self.block_bytes {
                self.sums.push(checksum(&self.partial));
                self.partial.clear();
            }
        }
    }

    /// The table of checksums, little-endian, one for each block begun.
    pub fn finish(mut self) -> Vec<u8> {
        if !self.partial.is_empty() {
            self.sums.push(checksum(&self.partial));
        }
        self.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect()
    }
}
