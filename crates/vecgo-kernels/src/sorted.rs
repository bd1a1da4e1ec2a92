//! Insertion into a sorted list of packed distances.

use crate::{Kernels, Level};

impl Kernels {
    /// Puts `new` in its place among the sorted `keys`, all but the last of which keep their
    /// order; the last is overwritten. Returns the place: behind equal keys.
    ///
    /// # Panics
    ///
    /// If there are no keys.
    #[inline]
    pub fn insert_sorted(&self, keys: &mut [u64], new: u64) -> usize {
        assert!(!keys.is_empty(), "a place for the new key");
        match self.level() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is available, and there is a key.
            Level::Avx512 => unsafe { avx512(keys, new) },
            _ => portable(keys, new),
        }
    }
}

fn portable(keys: &mut [u64], new: u64) -> usize {
    let end = keys.len() - 1;
    let place = keys[..end].partition_point(|key| *key <= new);
    keys.copy_within(place..end, place + 1);
    keys[place] = new;
    place
}

/// Moves eight keys at a time up by one, from the end, until one is found that stays.
///
/// # Safety
///
/// There must be a key.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(keys: &mut [u64], new: u64) -> usize {
    use std::arch::x86_64::{
        _mm512_cmpgt_epu64_mask, _mm512_loadu_si512, _mm512_mask_storeu_epi64, _mm512_set1_epi64,
        _mm512_storeu_si512,
    };
    const KEYS: usize = 8;
    let wanted = _mm512_set1_epi64(new.cast_signed());
    let start = keys.as_mut_ptr();
    let mut left = keys.len() - 1;
    // SAFETY: `left` keys are left, and one place behind them.
    unsafe {
        while left >= KEYS {
            let from = start.add(left - KEYS);
            let block = _mm512_loadu_si512(from.cast());
            let greater = _mm512_cmpgt_epu64_mask(block, wanted);
            if greater != 0xff {
                // Sorted, so the greater ones are the last ones.
                let moved = greater.count_ones() as usize;
                _mm512_mask_storeu_epi64(from.add(1).cast(), greater, block);
                let place = left - moved;
                *start.add(place) = new;
                return place;
            }
            _mm512_storeu_si512(from.add(1).cast(), block);
            left -= KEYS;
        }
        while left > 0 && *start.add(left - 1) > new {
            *start.add(left) = *start.add(left - 1);
            left -= 1;
        }
        *start.add(left) = new;
    }
    left
}
