//! Rotations keep lengths and angles, and spread what lies in few coordinates over all.

use crate::random::{Random, dot, length};
use vecgo_kernels::Kernels;
use vecgo_quant::Rotation;

fn widths() -> impl Iterator<Item = usize> {
    (1..=260).chain([368, 384, 496, 512, 752, 768, 880, 1008, 1023, 1024, 1025, 1520, 1999, 2000])
}

#[test]
fn lengths_and_dot_products_stay() {
    let (kernels, mut random) = (Kernels::best(), Random(1));
    for width in widths() {
        let rotation = Rotation::new(width, 7);
        assert_eq!(rotation.width(), width);
        let (mut a, mut b) = (random.vector(width), random.vector(width));
        let (of_a, of_b, of_both) = (length(&a), length(&b), dot(&a, &b));
        rotation.apply(kernels, &mut a);
        rotation.apply(kernels, &mut b);
        let tolerance = 2e-6 * of_a * of_b;
        assert!((length(&a) - of_a).abs() <= 2e-6 * of_a, "width {width}");
        assert!((length(&b) - of_b).abs() <= 2e-6 * of_b, "width {width}");
        assert!((dot(&a, &b) - of_both).abs() <= tolerance, "width {width}");
    }
}

#[test]
fn one_coordinate_goes_everywhere() {
    let kernels = Kernels::best();
    for width in widths().filter(|width| *width >= 32) {
        for at in [0, width / 3, width / 2, width - 1] {
            for seed in 0..8 {
                let mut values = vec![0.0; width];
                values[at] = 1.0;
                Rotation::new(width, seed).apply(kernels, &mut values);
                let largest = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
                // Of normal coordinates none so large would be seen in a lifetime.
                let limit = 8.0 / (width as f32).sqrt();
                assert!(largest <= limit, "width {width}, from {at}, seed {seed}: {largest}");
            }
        }
    }
}

#[test]
fn a_seed_is_one_rotation() {
    assert_eq!(Rotation::new(112, 3), Rotation::new(112, 3));
    assert_ne!(Rotation::new(112, 3), Rotation::new(112, 4));
}
