//! How much of what is nearest searches through a segment's index were found to find.

use crate::FormatError;
use crate::codec::{Decoder, Encoder};

/// As many as a segment has at most.
const MOST_POINTS: usize = 64;
/// A recall is stored in steps of one over so many.
const STEPS: u16 = 10_000;

/// What was measured when a segment was written, ascending by `k` and then by effort. Empty if nothing
/// was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calibration {
    points: Vec<CalibrationPoint>,
}

/// What searches of one kind found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalibrationPoint {
    /// How many neighbours were looked for.
    pub k: u32,
    /// Candidates that a walk kept, or clusters that were searched.
    pub effort: u32,
    /// How much of the nearest was found, in ten-thousandths.
    pub recall: u16,
}

impl CalibrationPoint {
    /// How much of the nearest was found, of one.
    pub fn recall(&self) -> f64 {
        f64::from(self.recall) / f64::from(STEPS)
    }
}

impl Calibration {
    /// What was measured, in any order; of equal `k` and effort only one is kept.
    pub fn new(mut points: Vec<CalibrationPoint>) -> Self {
        points.sort_unstable_by_key(|point| (point.k, point.effort));
        points.dedup_by_key(|point| (point.k, point.effort));
        points.truncate(MOST_POINTS);
        Self { points }
    }

    /// All points.
    pub fn points(&self) -> &[CalibrationPoint] {
        &self.points
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.length(self.points.len());
        for point in &self.points {
            out.u32(point.k);
            out.u32(point.effort);
            out.u16(point.recall);
        }
    }

    pub(crate) fn decode(bytes: &mut Decoder<'_>) -> Result<Self, FormatError> {
        let count = bytes.length()?;
        let mut points: Vec<CalibrationPoint> = Vec::new();
        for _ in 0..count {
            let (k, effort, recall) = (bytes.u32()?, bytes.u32()?, bytes.u16()?);
            let before = points.last().map_or((0, 0), |point| (point.k, point.effort));
            if k == 0 || effort == 0 || recall > STEPS || (k, effort) <= before {
                let found = format!("{recall} of {STEPS} found of {k} with {effort}");
                return Err(bytes.invalid(format!("{found}, after {before:?}")));
            }
            points.push(CalibrationPoint { k, effort, recall });
        }
        Ok(Self { points })
    }
}
