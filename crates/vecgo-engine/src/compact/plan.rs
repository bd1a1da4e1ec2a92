/// A segment as the plan sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) rows: u64,
    /// Rows of it that are dead at the position through which everything is flushed.
    pub(crate) dead: u64,
    pub(crate) bytes: u64,
    /// About what merging it takes of memory.
    pub(crate) memory: u64,
    /// Whether it is no larger than what a flush makes.
    pub(crate) level_0: bool,
    pub(crate) has_index: bool,
}

/// What a plan is made by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// Bytes of the smallest of the larger segments.
    pub(crate) base: u64,
    /// How many rows are worth an index, if the collection is to have any.
    pub(crate) index_rows: Option<u64>,
    /// Memory that a merge may take.
    pub(crate) most_memory: u64,
    /// Room for what it writes.
    pub(crate) most_bytes: u64,
}

/// Segments of a memtable's size that are left alone: each costs a search.
const MOST_LEVEL_0: usize = 4;
/// So many segments of about a size become one of the next size.
const FACTOR: u64 = 4;
/// A segment is written again when more than one row in so many is dead.
const ONE_IN_DEAD: u64 = 5;
/// What one merge takes at most, so that it comes to an end. Segments that are larger together stay apart.
const MOST_INPUTS: usize = 64;
const MOST_BYTES: u64 = 8 << 30;

/// Which segments are to be merged now, by their places; none if all is well. Those stay as they are
/// for which there is no room.
pub(crate) fn plan(segments: &[Summary], policy: Policy) -> Vec<usize> {
    let fits = |place: &usize| {
        let Summary { memory, bytes, .. } = segments[*place];
        memory <= policy.most_memory && bytes <= policy.most_bytes
    };
    let places: Vec<usize> = (0..segments.len()).filter(fits).collect();
    let segments: Vec<Summary> = places.iter().map(|place| segments[*place]).collect();
    choose(&segments, policy).into_iter().map(|chosen| places[chosen]).collect()
}

fn choose(segments: &[Summary], policy: Policy) -> Vec<usize> {
    // First: the longer it waits, the less is left to go on from, and all that is smaller comes along.
    let is_worn =
        |place: &usize| segments[*place].dead.saturating_mul(ONE_IN_DEAD) > segments[*place].rows;
    let worn = (0..segments.len()).filter(is_worn).max_by_key(|place| segments[*place].bytes);
    if let Some(worn) = worn {
        return with_smaller(segments, worn, policy);
    }
    let scanned = policy.index_rows.map_or_else(Vec::new, |rows| scanned(segments, rows, policy));
    if !scanned.is_empty() {
        return scanned;
    }
    let small = smallest_alike(segments, policy);
    if !small.is_empty() {
        return small;
    }
    larger_alike(segments, policy)
}

/// All segments without an index, if they have rows enough for one, and those with one that are
/// not larger than what comes to them: so a row is written again about as often as the collection
/// doubles.
fn scanned(segments: &[Summary], index_rows: u64, policy: Policy) -> Vec<usize> {
    let (mut places, mut others): (Vec<usize>, Vec<usize>) =
        (0..segments.len()).partition(|place| !segments[*place].has_index);
    let rows = |places: &[usize]| -> u64 {
        places.iter().map(|place| segments[*place].rows - segments[*place].dead).sum()
    };
    if rows(&places) < index_rows.max(1) {
        return Vec::new();
    }
    others.sort_by_key(|place| segments[*place].bytes);
    let mut taken: u64 = places.iter().map(|place| segments[*place].bytes).sum();
    for place in others {
        if segments[place].bytes > taken {
            break;
        }
        taken = taken.saturating_add(segments[place].bytes);
        places.push(place);
    }
    // One alone gets an index only if it has the rows for it: or it would be written again for ever.
    let one = places.iter().copied().find(|place| rows(&[*place]) >= index_rows.max(1));
    let bounded = bounded(segments, places, policy);
    if bounded.is_empty() { one.into_iter().collect() } else { bounded }
}

/// A segment that is written again, and all that are not larger: their rows cost no more than they
/// would among others, and less is left to search through.
fn with_smaller(segments: &[Summary], worn: usize, policy: Policy) -> Vec<usize> {
    let joins = |place: &usize| *place != worn && segments[*place].bytes <= segments[worn].bytes;
    let mut smaller: Vec<usize> = (0..segments.len()).filter(joins).collect();
    smaller.sort_by_key(|place| segments[*place].bytes);
    let places = bounded(segments, std::iter::once(worn).chain(smaller).collect(), policy);
    if places.is_empty() { vec![worn] } else { places }
}

/// The smallest of too many small segments. A larger one joins when it is not much larger than
/// those before it together, so that what many flushes have made is not written again each time.
fn smallest_alike(segments: &[Summary], policy: Policy) -> Vec<usize> {
    let mut small: Vec<usize> = (0..segments.len()).filter(|p| segments[*p].level_0).collect();
    if small.len() <= MOST_LEVEL_0 {
        return Vec::new();
    }
    small.sort_by_key(|place| segments[*place].bytes);
    let mut taken = 0u64;
    let alike = small.iter().enumerate().take_while(|(number, place)| {
        let bytes = segments[**place].bytes;
        let joins = *number < 2 || bytes <= taken.saturating_mul(FACTOR);
        taken = taken.saturating_add(bytes);
        joins
    });
    let alike = alike.map(|(_, place)| *place).collect();
    bounded(segments, alike, policy)
}

/// Segments of one size, once there are enough of them.
fn larger_alike(segments: &[Summary], policy: Policy) -> Vec<usize> {
    let size = |bytes: u64| (bytes / policy.base.max(1)).max(1).ilog(FACTOR);
    let large: Vec<usize> = (0..segments.len()).filter(|p| !segments[*p].level_0).collect();
    let sizes = large.iter().map(|place| size(segments[*place].bytes));
    for step in sizes.collect::<std::collections::BTreeSet<_>>() {
        let alike = large.iter().copied().filter(|place| size(segments[*place].bytes) == step);
        let alike: Vec<usize> = alike.collect();
        if alike.len() as u64 >= FACTOR {
            let bounded = bounded(segments, alike, policy);
            if !bounded.is_empty() {
                return bounded;
            }
        }
    }
    Vec::new()
}

/// As many of them as one merge may take, in their order in the collection; none if that is one.
fn bounded(segments: &[Summary], places: Vec<usize>, policy: Policy) -> Vec<usize> {
    let (mut bytes, mut memory) = (0u64, 0u64);
    let within = places.into_iter().take(MOST_INPUTS).take_while(|place| {
        bytes = bytes.saturating_add(segments[*place].bytes);
        memory = memory.saturating_add(segments[*place].memory);
        bytes <= MOST_BYTES.min(policy.most_bytes) && memory <= policy.most_memory
    });
    let mut within: Vec<usize> = within.collect();
    within.sort_unstable();
    if within.len() < 2 { Vec::new() } else { within }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 1000;

    fn of(bytes: u64) -> Summary {
        let level_0 = bytes <= BASE;
        Summary { rows: 100, dead: 0, bytes, memory: bytes, level_0, has_index: false }
    }

    fn policy(index_rows: Option<u64>) -> Policy {
        Policy { base: BASE, index_rows, most_memory: u64::MAX, most_bytes: u64::MAX }
    }

    fn planned(segments: &[Summary]) -> Vec<usize> {
        plan(segments, policy(None))
    }

    #[test]
    fn merges_take_no_more_than_there_is() {
        let within = |most_memory, segments: &[Summary]| {
            plan(segments, Policy { most_memory, ..policy(Some(250)) })
        };
        assert_eq!(within(50, &[of(10); 5]), [0, 1, 2, 3, 4]);
        assert_eq!(within(35, &[of(10); 5]), [0, 1, 2]);
        let large = |rows| Summary { rows, ..of(10) };
        assert!(within(15, &[large(200), large(200)]).is_empty(), "alone it has no graph either");
        assert_eq!(within(15, &[large(200), large(260)]), [1]);
        let room = |most_bytes, segments: &[Summary]| {
            plan(segments, Policy { most_bytes, ..policy(Some(250)) })
        };
        assert_eq!(room(35, &[of(10); 5]), [0, 1, 2]);
        // What can never be merged is left out, and nothing else.
        let worn = Summary { dead: 21, ..of(50_000) };
        assert_eq!(within(49_999, &[worn, of(10), of(10), of(10)]), [1, 2, 3]);
        assert_eq!(room(49_999, &[worn, of(10), of(10), of(10)]), [1, 2, 3]);
        assert!(within(9, &[worn, of(10), Summary { rows: 300, ..of(10) }]).is_empty());
    }

    #[test]
    fn a_few_segments_are_left_alone() {
        assert!(planned(&[]).is_empty());
        assert!(planned(&[of(10); 4]).is_empty());
        assert!(planned(&[of(5_000), of(6_000), of(7_000), of(10), of(10), of(10)]).is_empty());
    }

    #[test]
    fn too_many_small_ones_become_one() {
        assert_eq!(planned(&[of(10); 5]), [0, 1, 2, 3, 4]);
        assert_eq!(planned(&[of(90_000), of(9), of(10), of(8), of(9), of(8)]), [1, 2, 3, 4, 5]);
        assert_eq!(planned(&[of(10); 100]).len(), MOST_INPUTS);
    }

    #[test]
    fn what_was_merged_is_not_merged_with_every_flush() {
        // 41 is more than four times as much as the four before it.
        assert_eq!(planned(&[of(170), of(10), of(10), of(10), of(10)]), [1, 2, 3, 4]);
        assert_eq!(planned(&[of(160), of(10), of(10), of(10), of(10)]), [0, 1, 2, 3, 4]);
        // None is like another: the two smallest, so that there are fewer.
        assert_eq!(planned(&[of(1000), of(200), of(30), of(5), of(1)]), [3, 4]);
    }

    /// What is written in all, by the bytes that came in.
    #[test]
    fn the_work_grows_with_the_logarithm() {
        let (mut segments, mut written) = (Vec::new(), 0u64);
        for _ in 0..4096 {
            segments.push(of(10));
            loop {
                let mut inputs = planned(&segments);
                if inputs.is_empty() {
                    break;
                }
                let bytes = inputs.iter().map(|place| segments[*place].bytes).sum();
                written += bytes;
                while let Some(place) = inputs.pop() {
                    segments.remove(place);
                }
                segments.push(of(bytes));
            }
        }
        assert_eq!(segments.iter().map(|s| s.bytes).sum::<u64>(), 40_960);
        assert!(segments.len() < 12, "{} segments", segments.len());
        assert!(written < 40_960 * 12, "{written} bytes were written for 40960");
    }

    #[test]
    fn four_of_a_size_become_one() {
        let large = [of(4_500), of(1_500), of(5_000), of(2_000), of(4_600), of(15_000)];
        assert_eq!(planned(&large), [0, 2, 4, 5]);
        assert!(planned(&large[..5]).is_empty());
    }

    #[test]
    fn a_segment_that_is_dead_by_a_fifth_is_written_again() {
        let worn = Summary { dead: 21, ..of(50_000) };
        assert_eq!(planned(&[of(50_001), worn]), [1]);
        assert_eq!(planned(&[of(10), of(50_001), worn, of(49_999)]), [0, 2, 3]);
        assert_eq!(planned(&[of(10), Summary { bytes: 9 << 30, ..worn }]), [1]);
        let large = Summary { bytes: 7 << 30, ..worn };
        assert_eq!(
            planned(&[of(2 << 30), of(1 << 20), large]),
            [1, 2],
            "as many as there is room for"
        );
        // The largest that is worn, before what has no graph yet and what there is too much of.
        assert_eq!(planned(&[worn, of(60_000), Summary { bytes: 55_000, ..worn }]), [0, 2]);
        let graph = Summary { has_index: true, ..worn };
        assert_eq!(plan(&[of(60_000), graph], policy(Some(50))), [1]);
        assert!(planned(&[of(10), Summary { dead: 20, ..worn }]).is_empty());
        assert_eq!(planned(&[Summary { rows: 1, dead: 1, ..of(10) }]), [0]);
    }

    #[test]
    fn rows_enough_for_a_graph_get_one() {
        let graph = |bytes| Summary { has_index: true, ..of(bytes) };
        let planned = |segments: &[Summary]| plan(segments, policy(Some(250)));
        assert!(planned(&[of(10), of(10)]).is_empty());
        assert_eq!(planned(&[of(10), of(10), of(10)]), [0, 1, 2]);
        assert_eq!(planned(&[Summary { rows: 300, ..of(10) }]), [0]);
        // One that is no larger than those joins them, and then the next.
        assert_eq!(planned(&[graph(60), of(10), of(10), graph(30), of(10)]), [0, 1, 2, 3, 4]);
        assert_eq!(planned(&[graph(61), of(10), of(10), graph(30), of(10)]), [1, 2, 3, 4]);
        assert_eq!(planned(&[of(10), of(10), graph(31), of(10)]), [0, 1, 3]);
        let dead = Summary { rows: 300, dead: 61, ..of(10) };
        assert!(plan(&[dead], policy(Some(250))).len() == 1, "written again for its dead rows");
        assert!(scanned(&[dead], 250, policy(None)).is_empty());
    }

    #[test]
    fn the_work_is_bounded() {
        let large = of(3 << 30);
        assert_eq!(planned(&[large; 4]), [0, 1]);
        assert!(planned(&[of(5 << 30); 7]).is_empty());
    }
}
