//! Points for tests, the same on every run, and brute force over them.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests, over few rows")]

use vecgo_index::{
    BuildParams, ClusterParams, Clusters, Codes, Edges, NO_EDGE, Neighbour, OldGraph, Points,
    Reach, Scratch, Serial, build, cluster,
};
use vecgo_kernels::{Bits, CodeRows, Factors, Kernels};
use vecgo_quant::{CodeQuery, Kind, Planes, Space, encode, upper_codes};

/// The SplitMix64 generator.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// About normal: a sum of twelve uniform numbers.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..12).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32).sum::<f32>() - 6.0
    }

    /// Rows around `clusters` centres: some are close together, some reach into others.
    pub(crate) fn clustered(&mut self, rows: usize, dim: usize, clusters: usize) -> Vec<f32> {
        let centres: Vec<f32> = (0..clusters * dim).map(|_| self.normal()).collect();
        let mut out = Vec::with_capacity(rows * dim);
        for _ in 0..rows {
            let centre = self.below(clusters);
            let spread = 0.3 + 0.2 * (centre % 4) as f32;
            out.extend((0..dim).map(|at| centres[centre * dim + at] + spread * self.normal()));
        }
        out
    }
}

/// Vectors, and all that a graph over them needs.
pub(crate) struct Set {
    pub(crate) dim: usize,
    pub(crate) vectors: Vec<f32>,
    pub(crate) space: Space,
    cells: Vec<u8>,
    upper: Vec<u8>,
    factors: Vec<u8>,
    upper_factors: Vec<u8>,
}

impl Set {
    pub(crate) fn new(vectors: Vec<f32>, dim: usize) -> Set {
        let kernels = Kernels::best();
        let rows = || vectors.chunks_exact(dim);
        let space = Space::train(kernels, Kind::L2, dim, 1, rows(), 1);
        let places = space.places();
        let (mut cells, mut upper) = (Vec::new(), Vec::new());
        let (mut factors, mut upper_factors) = (Vec::new(), Vec::new());
        let mut point = vec![0.0; places];
        let (mut of_row, mut high) = (vec![0; places], vec![0; places / 2]);
        for row in rows() {
            space.row(kernels, row, &mut point);
            let of = encode(&point, space.width(), Planes::SHORT, &mut of_row);
            upper_codes(Planes::SHORT, &of_row, &mut high);
            cells.extend_from_slice(&of_row);
            upper.extend_from_slice(&high);
            for value in [of.squared, of.full] {
                factors.extend(value.to_ne_bytes());
            }
            for value in [of.squared, of.upper] {
                upper_factors.extend(value.to_ne_bytes());
            }
        }
        Set { dim, vectors, space, cells, upper, factors, upper_factors }
    }

    pub(crate) fn rows(&self) -> usize {
        self.vectors.len() / self.dim
    }

    pub(crate) fn row(&self, row: u32) -> &[f32] {
        &self.vectors[row as usize * self.dim..][..self.dim]
    }

    pub(crate) fn points(&self) -> Points<'_> {
        let rows = CodeRows::new(&self.cells, self.space.places()).unwrap();
        let factors = Factors::apart(&self.factors).unwrap();
        Points { rows, factors, width: self.space.width() }
    }

    pub(crate) fn four(&self) -> Codes<'_> {
        let rows = CodeRows::new(&self.upper, self.space.places() / 2).unwrap();
        Codes::of_places(rows, Bits::Four, Factors::apart(&self.upper_factors).unwrap())
    }

    pub(crate) fn cluster(&self, clusters: usize, rounds: usize, seed: u64) -> Clusters {
        let params = ClusterParams { clusters, rounds, seed };
        cluster(Kernels::best(), self.points(), params, &Serial, &|| true).unwrap()
    }

    /// Centres of clusters, at most 64.
    pub(crate) fn entries(&self) -> Vec<u32> {
        let clusters = self.cluster(self.rows().div_ceil(256), 0, 5);
        let mut centres: Vec<u32> =
            clusters.nearest.iter().map(|place| clusters.order[*place as usize]).collect();
        centres.truncate(64);
        centres
    }

    pub(crate) fn build(&self, entries: &[u32], params: BuildParams) -> Vec<u32> {
        self.build_on(entries, params, None)
    }

    pub(crate) fn build_on(
        &self,
        entries: &[u32],
        params: BuildParams,
        old: Option<OldGraph<'_>>,
    ) -> Vec<u32> {
        build(Kernels::best(), self.points(), entries, params, old, &Serial, |_| true)
            .unwrap()
            .edges
    }

    /// Rows that a walk over the codes finds, nearest first by the codes.
    pub(crate) fn search(
        &self,
        edges: &[u32],
        degree: usize,
        entries: &[u32],
        vector: &[f32],
        ef: usize,
    ) -> Vec<u32> {
        let (kernels, codes) = (Kernels::best(), self.four());
        let mut point = vec![0.0; self.space.places()];
        self.space.query(kernels, vector, &mut point);
        let mut query = CodeQuery::default();
        query.set(kernels, &point);
        let (mut starts, mut packed) = (Vec::new(), Vec::new());
        codes.distances(kernels, &query, entries, &mut packed, |row, distance| {
            starts.push(Neighbour::new(distance, row));
        });
        starts.sort_unstable();
        starts.truncate(4);
        let (mut scratch, edges) = (Scratch::default(), Edges::new(edges, degree));
        let found = scratch.walk(kernels, edges, (codes, &query), (&starts, None), Reach::of(ef));
        found.map(Neighbour::row).collect()
    }

    /// Squared distance of a row, exactly enough.
    pub(crate) fn distance(&self, vector: &[f32], row: u32) -> f64 {
        let pairs = vector.iter().zip(self.row(row));
        pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
    }

    /// The nearest `k` of some rows.
    pub(crate) fn nearest(
        &self,
        vector: &[f32],
        rows: impl IntoIterator<Item = u32>,
        k: usize,
    ) -> Vec<u32> {
        let mut rows: Vec<(f64, u32)> =
            rows.into_iter().map(|row| (self.distance(vector, row), row)).collect();
        rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        rows.truncate(k);
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

pub(crate) fn params(degree: usize) -> BuildParams {
    BuildParams { degree, ef: 64, alpha: 1.05, passes: 2, seed: 9 }
}

/// Every list keeps to its form, and every row is reached from the entries, as a plain search of
/// all edges sees it. No entries: from the first row.
pub(crate) fn check_graph(edges: &[u32], degree: usize, rows: usize, entries: &[u32], what: &str) {
    assert_eq!(edges.len(), rows * degree);
    assert!(Edges::new(edges, degree).lie_within(rows));
    for (row, list) in edges.chunks_exact(degree).enumerate() {
        let end = list.iter().position(|to| *to == NO_EDGE).unwrap_or(degree);
        assert!(list[end..].iter().all(|to| *to == NO_EDGE), "row {row}: {list:?}");
        let list = &list[..end];
        assert!(!list.contains(&(row as u32)), "row {row} leads to itself");
        let different: std::collections::BTreeSet<_> = list.iter().collect();
        assert_eq!(different.len(), list.len(), "row {row}: {list:?}");
    }
    let mut reached = vec![false; rows];
    let mut waiting = if entries.is_empty() && rows > 0 { vec![0] } else { entries.to_vec() };
    waiting.iter().for_each(|row| reached[*row as usize] = true);
    while let Some(row) = waiting.pop() {
        for to in edges[row as usize * degree..][..degree].iter().filter(|to| **to != NO_EDGE) {
            if !std::mem::replace(&mut reached[*to as usize], true) {
                waiting.push(*to);
            }
        }
    }
    let missed = reached.iter().filter(|reached| !**reached).count();
    assert_eq!(missed, 0, "rows not reached, of {rows} at degree {degree}: {what}");
}
