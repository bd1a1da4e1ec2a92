use vecgo_format::{Calibration, CalibrationPoint};

/// How far to go for a part of the `k` nearest, by what was measured, and how much of them is then found.
/// `None` if nothing was measured. What is not found however far is looked for as far as was tried.
pub(crate) fn effort_for(calibration: &Calibration, k: usize, target: f64) -> Option<(usize, f64)> {
    let known = calibration.points().chunk_by(|a, b| a.k == b.k).filter_map(|points| {
        let (effort, recall) = of_curve(points, target)?;
        Some((f64::from(points.first()?.k), effort, recall))
    });
    let known: Vec<_> = known.collect();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let wanted = k.max(1) as f64;
    let below = known.iter().rev().find(|(of, ..)| *of <= wanted);
    let above = known.iter().find(|(of, ..)| *of >= wanted);
    let (effort, recall) = match (below, above) {
        (None, None) => return None,
        (Some((of, effort, recall)), None) => (effort * wanted / of, *recall),
        // Fewer are found as soon as all that was measured.
        (None, Some((_, effort, recall))) => (*effort, *recall),
        (Some(low), Some(high)) if low.0 == high.0 => (low.1, low.2),
        (Some(low), Some(high)) => {
            let part = (wanted / low.0).ln() / (high.0 / low.0).ln();
            (between(low.1, high.1, part), low.2.min(high.2))
        }
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let effort = effort.ceil() as usize;
    Some((effort.max(1), recall))
}

/// Where what is found of one number of neighbours reaches a target, and how much that is.
fn of_curve(points: &[CalibrationPoint], target: f64) -> Option<(f64, f64)> {
    let mut before: Option<&CalibrationPoint> = None;
    for point in points {
        if point.recall() >= target {
            let Some(before) = before else { return Some((point.effort.into(), point.recall())) };
            // What is missed falls by about the same part with each doubling.
            let missed = |recall: f64| (1.0 - recall).max(0.0001).ln();
            let (low, high) = (missed(before.recall()), missed(point.recall()));
            let part = match high < low {
                true => ((missed(target) - low) / (high - low)).clamp(0.0, 1.0),
                false => 1.0,
            };
            return Some((between(before.effort.into(), point.effort.into(), part), target));
        }
        // Of two that differ by chance, the farther one is not the worse.
        if before.is_none_or(|before| before.recall <= point.recall) {
            before = Some(point);
        }
    }
    // Of several that found as much, the nearest.
    let best = points.iter().rev().max_by_key(|point| point.recall);
    best.map(|best| (best.effort.into(), best.recall()))
}

fn between(low: f64, high: f64, part: f64) -> f64 {
    (low.ln() + (high.ln() - low.ln()) * part).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration(points: &[(u32, u32, u16)]) -> Calibration {
        let point = |(k, effort, recall)| CalibrationPoint { k, effort, recall };
        Calibration::new(points.iter().copied().map(point).collect())
    }

    #[test]
    fn nothing_measured() {
        assert_eq!(effort_for(&Calibration::default(), 10, 0.9), None);
    }

    #[test]
    fn between_what_was_measured() {
        let measured =
            calibration(&[(10, 16, 8000), (10, 32, 9000), (10, 64, 9500), (10, 128, 9400)]);
        for (target, effort, recall) in [
            (0.5, 16, 0.8),
            (0.8, 16, 0.8),
            (0.9, 32, 0.9),
            (0.95, 64, 0.95),
            // As far as found the most, and not farther.
            (0.99, 64, 0.95),
        ] {
            assert_eq!(effort_for(&measured, 10, target), Some((effort, recall)), "{target}");
        }
        // Half of what is missed less is half of a doubling.
        let halfway = 1.0 - (0.1f64 * 0.05).sqrt();
        assert_eq!(effort_for(&measured, 10, halfway), Some((46, halfway)));
    }

    #[test]
    fn of_other_numbers() {
        let measured = calibration(&[(10, 20, 9500), (100, 80, 9600)]);
        let effort = |k| effort_for(&measured, k, 0.9).unwrap();
        assert_eq!([effort(0).0, effort(1).0, effort(10).0], [20; 3]);
        assert_eq!(effort(100), (80, 0.96));
        assert_eq!(effort(1000), (800, 0.96));
        // The root of ten on the way from ten to a hundred is half of the way.
        assert_eq!(effort(32).0, 41);
        assert_eq!(effort(32).1, 0.95);
    }
}
