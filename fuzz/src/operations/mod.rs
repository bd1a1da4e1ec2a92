mod seeds;

pub(crate) use seeds::seeds;

/// A few lives of the engine, one after the other, as the input decides. Takes every input.
pub fn operations(input: &[u8]) -> bool {
    if let Err(violation) = vecgo_sim::from_bytes(input) {
        panic!("{violation}");
    }
    true
}

/// Inputs of this target, written choice by choice: what a byte means is decided by who draws it,
/// in `Plan::short` and `from_bytes` of `vecgo-sim`. A test holds them against what they are for.
pub(crate) struct Input(Vec<u8>);

/// Where `from_bytes` draws what concerns the run, and not its plan.
pub(crate) struct Trouble {
    /// The call, the kind of fault, and whether it is over after that.
    pub(crate) faults: &'static [[u8; 3]],
    /// The call, the outcome, and what that leaves of each thing.
    pub(crate) crashes: &'static [[u8; 3]],
}

/// A life of the engine in which nothing goes wrong.
pub(crate) const QUIET: Trouble = Trouble { faults: &[], crashes: &[] };

/// How a life of the engine ends.
pub(crate) const CLOSE: &[u8] = &[0];
pub(crate) const KILL: &[u8] = &[1];
pub(crate) const STRICT: &[u8] = &[2, 1];
pub(crate) const LUCKY: &[u8] = &[2, 2];
pub(crate) const RANDOM: &[u8] = &[2, 5];

/// Settings: the interval of `WalSync::Interval`, the metric, the choice of `WalSync`, the rows of
/// a memtable, whether segments are merged only when asked for, whether tasks run one at a time.
pub(crate) const PLAIN: [u8; 6] = [0, 1, 0, 4, 1, 1];
pub(crate) const BUSY: [u8; 6] = [0, 1, 0, 1, 1, 0];
pub(crate) const ON_COMMIT: [u8; 6] = [0, 0, 2, 2, 0, 1];
pub(crate) const INTERVAL: [u8; 6] = [5, 2, 3, 0, 1, 0];
/// Merged segments have indexes, by what is left of the interval.
pub(crate) const INDEXED: [u8; 6] = [140, 1, 0, 1, 1, 0];

/// Clients, and what each does.
pub(crate) type Lanes = &'static [&'static [Op]];

/// An operation on `count` ids from `first` on.
#[derive(Clone, Copy)]
pub(crate) enum Op {
    Upsert(u8, u8),
    Insert(u8, u8),
    Update(u8, u8),
    Delete(u8, u8),
    Commit,
    Flush,
    Compact,
    Read,
    Wait,
    Create,
    WriteOther,
    Rename,
    SlowRead,
    Follow,
    Intrude,
    Idle,
    Drop,
    Blob(u8),
    Reopen,
    DeleteWhere(u8),
    Declare(u8),
    Configure(u8),
}

impl Op {
    fn bytes(self) -> Vec<u8> {
        match self {
            Op::Upsert(first, count) => vec![first, count - 1, 0],
            Op::Insert(first, count) => vec![0, count - 1, 8, first],
            Op::Update(first, count) => vec![first, 0, 9, count - 1, first],
            Op::Delete(first, count) => vec![first, count - 1, 11],
            Op::Commit => vec![0, 0, 14],
            Op::Flush => vec![0, 0, 16],
            Op::Compact => vec![0, 0, 30],
            Op::Read => vec![0, 0, 18],
            Op::Wait => vec![0, 0, 19],
            Op::Create => vec![0, 0, 20],
            Op::WriteOther => vec![0, 0, 21],
            Op::Rename => vec![0, 0, 22],
            Op::SlowRead => vec![0, 0, 23],
            Op::Follow => vec![0, 0, 24],
            Op::Intrude => vec![0, 0, 25],
            Op::Idle => vec![0, 0, 26],
            Op::Drop => vec![0, 0, 27],
            Op::Blob(first) => vec![first, 0, 28],
            Op::Reopen => vec![0, 0, 29],
            Op::DeleteWhere(first) => vec![first, 0, 36],
            Op::Declare(which) => vec![which, 0, 37],
            Op::Configure(which) => vec![which, 0, 38],
        }
    }
}

impl Input {
    /// A plan of lives, each with its end and its trouble. `seed` is for whose turn it is.
    pub(crate) fn new(settings: [u8; 6], seed: u8, lives: &[(Lanes, &[u8], Trouble)]) -> Self {
        let small = |length: usize| u8::try_from(length).expect("a few");
        let mut bytes = settings.to_vec();
        bytes.push(small(lives.len()) - 1);
        for (lanes, end, _) in lives {
            bytes.push(small(lanes.len()) - 1);
            for operations in *lanes {
                bytes.push(small(operations.len()));
                bytes.extend(operations.iter().flat_map(|operation| operation.bytes()));
            }
            bytes.extend_from_slice(end);
        }
        // The driver's choices, and the checker's.
        bytes.extend([seed, seed ^ 0x55]);
        for (_, _, trouble) in lives {
            match trouble.faults.len() {
                0 => bytes.push(0),
                some => bytes.push(3 + small(some)),
            }
            bytes.extend(trouble.faults.as_flattened());
            bytes.push(small(trouble.crashes.len()));
            for [call, outcome, rest] in trouble.crashes {
                bytes.extend([0, *call, *outcome, *rest]);
            }
        }
        Self(bytes)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
