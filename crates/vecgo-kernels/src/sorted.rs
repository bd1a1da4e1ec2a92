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
        _mm512_cmpgt_epu64_mask, _mm512_mask_storeu_epi64, _mm512_maskz_loadu_epi64,
        _mm512_set1_epi64,
    };
    const KEYS: usize = 8;
    const ALL: u8 = 0xff;
    let wanted = _mm512_set1_epi64(new.cast_signed());
    let start = keys.as_mut_ptr();
    let mut left = keys.len() - 1;
    // SAFETY: `left` keys are left, and one place behind them.
    unsafe {
        while left >= KEYS {
            // By masks, which stay one instruction with assertions; plain loads and stores do not.
            let from = start.wrapping_add(left - KEYS).cast::<i64>();
            let block = _mm512_maskz_loadu_epi64(ALL, from);
            let greater = _mm512_cmpgt_epu64_mask(block, wanted);
            if greater != ALL {
                _mm512_mask_storeu_epi64(from.wrapping_add(1), greater, block);
                // Sorted, so the greater ones are the last ones.
                let place = left - greater.count_ones() as usize;
                *start.wrapping_add(place) = new;
                return place;
            }
            _mm512_mask_storeu_epi64(from.wrapping_add(1), ALL, block);
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
