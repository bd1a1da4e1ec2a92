use super::Op::{
    Blob, Commit, Compact, Configure, Create, Declare, Delete, DeleteWhere, Drop, Flush, Follow,
    Idle, Insert, Intrude, Read, Rename, Reopen, SlowRead, Update, Upsert, Wait, WriteOther,
};
use super::{
    BUSY, CLOSE, INDEXED, INTERVAL, Input, KILL, LUCKY, Lanes, ON_COMMIT, PLAIN, QUIET, RANDOM,
    STRICT, Trouble,
};

const WRITES: Lanes = &[&[Upsert(0, 4), Upsert(2, 4), Delete(1, 2), Read]];
const FLUSHES: Lanes = &[&[Upsert(0, 5), Flush, Delete(1, 2), Upsert(4, 3), Flush, Read]];
const COMMITS: Lanes = &[&[Upsert(0, 3), Commit, Delete(0, 1), Upsert(2, 2), Commit, Read]];
const PARTS: Lanes = &[&[Insert(40, 3), Update(0, 2), Upsert(0, 2), Update(1, 1), Insert(0, 1)]];
const NAMES: Lanes = &[&[Create, WriteOther, Rename, Create, WriteOther, Drop]];
const TWO: Lanes = &[
    &[Upsert(0, 3), Flush, Delete(1, 1), Commit, Read],
    &[Upsert(0, 3), Upsert(1, 3), Commit, Flush],
];
const THREE: Lanes = &[
    &[Upsert(0, 8), Create, Upsert(4, 8), WriteOther, Wait, Upsert(8, 8)],
    &[Upsert(0, 1), Delete(0, 1), Upsert(0, 1), Flush, Read],
    &[Commit, Wait, Upsert(9, 2), Update(9, 1), Commit],
];
const READERS: Lanes = &[
    &[Follow, Upsert(0, 8), Flush, Intrude, Idle, Follow],
    &[SlowRead, Upsert(3, 4), SlowRead, Delete(4, 2), Commit, SlowRead],
];
const MERGES: Lanes = &[
    &[Upsert(0, 3), Flush, Upsert(2, 3), Compact, Delete(1, 2), Read],
    &[Upsert(0, 2), Flush, Delete(0, 1), Compact, Upsert(0, 2), Flush],
];
const CHANGES: Lanes =
    &[&[Upsert(0, 5), Compact, Configure(4), Delete(1, 1), Compact, Configure(0)]];
const LOOK: Lanes = &[&[Read, Blob(1), Reopen, Declare(1), DeleteWhere(1), Commit]];

const ONCE: u8 = 1;
const FOR_GOOD: u8 = 0;
const STRIKES: [Trouble; 6] = [
    fault(&[[20, 0, ONCE]]),
    fault(&[[12, 1, FOR_GOOD]]),
    fault(&[[9, 2, ONCE]]),
    fault(&[[4, 3, FOR_GOOD], [11, 0, ONCE]]),
    fault(&[[14, 4, FOR_GOOD]]),
    fault(&[[3, 5, ONCE]]),
];

const fn fault(faults: &'static [[u8; 3]]) -> Trouble {
    Trouble { faults, crashes: &[[250, 1, 0]] }
}

/// Crashes at three calls, in an outcome that tears nothing and in ones that do.
const CRASHES: Trouble = Trouble { faults: &[], crashes: &[[9, 1, 0], [30, 4, 1], [60, 5, 2]] };
const LATE: Trouble = Trouble { faults: &[], crashes: &[[90, 3, 0], [120, 5, 7], [200, 2, 0]] };

/// Inputs by name.
pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let one = |settings, seed, lanes, end, trouble| {
        Input::new(settings, seed, &[(lanes, end, trouble), (LOOK, CLOSE, QUIET)]).into_bytes()
    };
    let [io, full, denied, files, read_only, flip] = STRIKES;
    let three = |settings, seed, lives: [(Lanes, &[u8], Trouble); 3]| {
        Input::new(settings, seed, &lives).into_bytes()
    };
    vec![
        ("seed-nothing", Vec::new()),
        ("seed-writes", one(PLAIN, 1, WRITES, CLOSE, QUIET)),
        ("seed-flushes", one(PLAIN, 2, FLUSHES, CLOSE, QUIET)),
        ("seed-parts", one(PLAIN, 3, PARTS, CLOSE, QUIET)),
        ("seed-names", one(PLAIN, 4, NAMES, CLOSE, QUIET)),
        ("seed-kill", one(PLAIN, 5, COMMITS, KILL, QUIET)),
        ("seed-kill-names", one(BUSY, 6, NAMES, KILL, CRASHES)),
        ("seed-strict", one(PLAIN, 7, FLUSHES, STRICT, CRASHES)),
        ("seed-lucky", one(INTERVAL, 8, FLUSHES, LUCKY, LATE)),
        ("seed-random", one(BUSY, 9, COMMITS, RANDOM, CRASHES)),
        ("seed-on-commit", one(ON_COMMIT, 10, COMMITS, KILL, CRASHES)),
        ("seed-on-commit-strict", one(ON_COMMIT, 11, WRITES, STRICT, LATE)),
        ("seed-interval", one(INTERVAL, 12, THREE, RANDOM, CRASHES)),
        ("seed-two", one(BUSY, 13, TWO, KILL, CRASHES)),
        ("seed-three", one(BUSY, 14, THREE, CLOSE, LATE)),
        ("seed-readers", one(BUSY, 22, READERS, KILL, LATE)),
        ("seed-idle", one(PLAIN, 23, READERS, STRICT, CRASHES)),
        ("seed-merges", one(BUSY, 24, MERGES, KILL, CRASHES)),
        ("seed-merges-late", one(BUSY, 25, MERGES, STRICT, LATE)),
        ("seed-changes", one(INDEXED, 26, CHANGES, KILL, CRASHES)),
        ("seed-io", one(PLAIN, 15, FLUSHES, KILL, io)),
        ("seed-full", one(BUSY, 16, FLUSHES, CLOSE, full)),
        ("seed-denied", one(PLAIN, 17, NAMES, CLOSE, denied)),
        ("seed-files", one(ON_COMMIT, 18, TWO, STRICT, files)),
        ("seed-read-only", one(BUSY, 19, TWO, RANDOM, read_only)),
        (
            "seed-flip",
            three(
                PLAIN,
                20,
                [(FLUSHES, CLOSE, QUIET), (LOOK, CLOSE, flip), (COMMITS, KILL, QUIET)],
            ),
        ),
        (
            "seed-three-lives",
            three(
                BUSY,
                21,
                [(WRITES, KILL, CRASHES), (FLUSHES, STRICT, LATE), (TWO, RANDOM, CRASHES)],
            ),
        ),
    ]
}
