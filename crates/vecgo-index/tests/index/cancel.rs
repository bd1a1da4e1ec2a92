//! Progress, and work that is called off.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::points::{Random, Set, params};
use vecgo_index::{Cancelled, ClusterParams, Serial, Threads, build, cluster};
use vecgo_kernels::Kernels;

#[test]
fn progress_goes_up_by_small_steps_to_all_rows() {
    let set = Set::new(Random(1).clustered(5000, 8, 10), 8);
    let mut reports = Vec::new();
    let entries = set.entries();
    build(Kernels::best(), set.points(), &entries, params(8), None, &Serial, |done| {
        reports.push(done);
        true
    })
    .unwrap();
    assert!(reports.is_sorted(), "{reports:?}");
    assert_eq!(reports.last(), Some(&5000));
    let steps = reports.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(steps.max() <= Some(50), "{reports:?}");
}

#[test]
fn a_build_ends_with_the_first_no() {
    let set = Set::new(Random(2).clustered(2000, 8, 10), 8);
    let entries = set.entries();
    let count = |most: usize| {
        let mut asked = 0;
        let built =
            build(Kernels::best(), set.points(), &entries, params(8), None, &Threads(2), |_| {
                asked += 1;
                asked < most
            });
        (built.map(|_| ()), asked)
    };
    let (built, all) = count(usize::MAX);
    assert_eq!(built, Ok(()));
    for most in (1..=all).step_by(7).chain([all]) {
        assert_eq!(count(most), (Err(Cancelled), most));
    }
}

#[test]
fn clustering_ends_when_told_to() {
    let set = Set::new(Random(3).clustered(6000, 8, 10), 8);
    let how = ClusterParams { clusters: 24, rounds: 2, seed: 3 };
    let count = |most: usize| {
        let asked = AtomicUsize::new(0);
        let go_on = || asked.fetch_add(1, Ordering::Relaxed) + 1 < most;
        let clusters = cluster(Kernels::best(), set.points(), how, &Serial, &go_on);
        (clusters.map(|_| ()), asked.into_inner())
    };
    let (clusters, all) = count(usize::MAX);
    assert_eq!(clusters, Ok(()));
    assert!(all > 6000 / 1024, "asked {all} times");
    for most in 1..=all {
        let (clusters, asked) = count(most);
        assert_eq!(clusters, Err(Cancelled));
        assert!(asked < most + 12, "asked on {asked} times after {most}");
    }
}
