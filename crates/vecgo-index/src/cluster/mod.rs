//! Rows that lie near each other, put next to each other.

mod centres;
mod divide;

use vecgo_kernels::Kernels;

pub use centres::Centres;
use divide::{Divided, Divider, Group};

use crate::graph::Points;
use crate::parallel::Workers;
use crate::{Cancelled, Parallel, Serial};

/// A group has at most so many times as many clusters as groups have on average: many equal rows, which
/// are one group whatever is done, would otherwise take as long as all rows with all clusters.
const MOST_OF_A_GROUP: usize = 8;

/// An order of rows in which each cluster is a range.
#[derive(Debug)]
pub struct Clusters {
    /// The row, as it was, at each place.
    pub order: Vec<u32>,
    /// Where each cluster begins; they follow one another, and none is empty.
    pub starts: Vec<u32>,
    /// The place of the row nearest to each cluster's centre.
    pub nearest: Vec<u32>,
    /// The centres.
    pub centres: Centres,
}

/// How rows are clustered.
#[derive(Debug, Clone, Copy)]
pub struct ClusterParams {
    /// How many clusters at most: those that stay empty are left out, and where many rows are equal
    /// there are fewer.
    pub clusters: usize,
    /// How often each row goes to the nearest centre, as far as a look at the nearest groups tells.
    /// Between one time and the next each centre goes to the middle of its rows. Without any, centres
    /// are those of a sample of their group, and rows go to one of their own group.
    pub rounds: usize,
    /// What is drawn at random follows from it.
    pub seed: u64,
}

/// Clusters rows by k-means on two levels: about as many groups as the square root of the clusters, each
/// divided again, with centres of samples. The same for the same points and seed, however many
/// threads and at whatever level of the kernels. `go_on` is asked every million distances or so.
///
/// # Errors
/// [`Cancelled`] if `go_on` says so.
pub fn cluster(
    kernels: Kernels,
    points: Points<'_>,
    params: ClusterParams,
    parallel: &dyn Parallel,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Result<Clusters, Cancelled> {
    let ClusterParams { clusters, rounds, seed } = params;
    let count = points.rows.count();
    let clusters = clusters.clamp(1, count.max(1));
    let all: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    let divider = Divider { kernels, points, parallel, go_on };
    let coarse = divider.divide(&all, clusters.isqrt(), seed)?;
    // Each group is one task; what they find is put together in their order.
    let within = Divider { parallel: &Serial, ..divider };
    let workers = Workers::<()>::default();
    let tasks = (0..).zip(coarse.groups.iter().zip(shares(&coarse.groups, clusters)));
    let found = workers.map(parallel, tasks, |(), (number, (group, parts))| {
        within.divide(&group.rows, parts, seed ^ number)
    });
    let mut fine = Divided { groups: Vec::new(), centres: Centres::among(points) };
    let mut of_group = vec![0];
    for found in found {
        let Divided { groups, centres } = found?;
        fine.centres.extend(&centres, 0..groups.len());
        fine.groups.extend(groups);
        of_group.push(u32::try_from(fine.groups.len()).unwrap_or(u32::MAX));
    }
    let mut centres = fine.centres;
    for round in 1..=rounds {
        let nearest = divider.nearest_centres(&all, &coarse.centres, (&centres, &of_group))?;
        if round == rounds {
            return Ok(Clusters::of(divider.grouped(&all, &centres, &nearest)));
        }
        centres = divider.means(&all, &nearest, &centres)?;
    }
    Ok(Clusters::of(Divided { groups: fine.groups, centres }))
}

/// How many of so many clusters each group is divided into: one, and of the others its share by rows,
/// as far as [`MOST_OF_A_GROUP`] goes.
fn shares(groups: &[Group], clusters: usize) -> Vec<usize> {
    let all = groups.iter().map(|group| group.rows.len()).sum::<usize>().max(1) as u128;
    let others = clusters.saturating_sub(groups.len()) as u128;
    let most = clusters.isqrt().saturating_mul(MOST_OF_A_GROUP);
    let (mut rows, mut given) = (0u128, 0);
    let share = |group: &Group| {
        rows += group.rows.len() as u128;
        let so_far = rows * others / all;
        let share = usize::try_from(so_far - given).unwrap_or_default();
        given = so_far;
        (1 + share).min(most)
    };
    groups.iter().map(share).collect()
}

impl Clusters {
    fn of(Divided { groups, centres }: Divided) -> Self {
        let mut clusters =
            Self { order: Vec::new(), starts: Vec::new(), nearest: Vec::new(), centres };
        for group in groups {
            let start = u32::try_from(clusters.order.len()).unwrap_or(u32::MAX);
            clusters.starts.push(start);
            clusters.nearest.push(start + group.nearest);
            clusters.order.extend(group.rows);
        }
        clusters
    }
}
