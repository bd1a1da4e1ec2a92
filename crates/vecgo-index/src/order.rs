/// The numbers below `count` in a random order that belongs to `seed`.
pub(crate) fn shuffled(count: usize, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    let mut state = seed ^ 0x5851_f42d_4c95_7f2d;
    for place in (1..order.len()).rev() {
        // Knuth's generator; the upper half of a product is spread evenly enough.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from((u128::from(state) * (place as u128 + 1)) >> 64).unwrap_or(0);
        order.swap(place, other);
    }
    order
}
