use vecgo_format::Quantization;
use vecgo_kernels::{Bits, FACTOR_BYTES};
use vecgo_quant::{Planes, Space};

/// What codes there are for places, if any.
pub(super) fn planes_of(quantization: Quantization) -> Option<Planes> {
    match quantization {
        Quantization::None | Quantization::Pq { .. } => None,
        Quantization::Sq8 => Some(Planes::WHOLE),
        Quantization::RaBitQ { bits } => Planes::of(bits),
    }
}

/// How the codes of a plane lie in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) bits: Bits,
    /// Bytes of a row.
    pub(super) stride: usize,
    /// Whether its factors are at its end, or else beside it.
    pub(super) in_rows: bool,
}

impl Layout {
    /// Codes of four bits and more are whole cache lines, and factors take places in them that no
    /// coordinate has, if there are some. Those of fewer are as short as can be.
    pub(super) fn of(bits: Bits, space: &Space) -> Self {
        let codes = bits.bytes_of(space.places());
        match bits {
            Bits::Four | Bits::Eight => Self { bits, stride: codes, in_rows: space.has_room() },
            _ => Self { bits, stride: codes + FACTOR_BYTES, in_rows: true },
        }
    }

    /// Bytes that a row takes in all.
    pub(super) fn row_bytes(self) -> usize {
        self.stride + if self.in_rows { 0 } else { FACTOR_BYTES }
    }
}
