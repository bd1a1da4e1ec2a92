use super::Operation;
use crate::Settings;
use crate::disk::Outcome;
use crate::random::Random;

/// All that is done to one database, from its creation on.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How it is set up.
    pub settings: Settings,
    /// The lives of the engine, one after the other.
    pub phases: Vec<Phase>,
}

/// One life of the engine.
#[derive(Debug, Clone)]
pub struct Phase {
    /// What each client does; all work at the same time.
    pub lanes: Vec<Vec<Operation>>,
    /// How it ends.
    pub end: End,
}

/// How a life of the engine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `close` of every collection.
    Close,
    /// The process is killed; the machine goes on.
    Kill,
    /// The machine loses power.
    Crash(Outcome),
}

/// Clients at the same time, at most.
const MOST_LANES: usize = 3;

impl Phase {
    /// The life of one client, and how it ends.
    pub fn of(operations: &[Operation], end: End) -> Self {
        Self { lanes: vec![operations.to_vec()], end }
    }
}

impl Plan {
    /// Any plan.
    pub fn random(random: &mut Random) -> Self {
        Self::within(4, 12, random)
    }

    /// A plan that takes about a millisecond, for a fuzzer, which wants many.
    pub fn short(random: &mut Random) -> Self {
        Self::within(3, 7, random)
    }

    /// A plan of at most so many phases, with fewer than so many operations in each of its lanes.
    fn within(phases: usize, operations: usize, random: &mut Random) -> Self {
        let settings = Settings::random(random);
        let phases = (0..1 + random.below(phases)).map(|_| {
            let lanes = (0..1 + random.below(MOST_LANES)).map(|_| {
                let operations = random.below(operations);
                (0..operations).map(|_| Operation::random(random)).collect()
            });
            let lanes = lanes.collect();
            let end = match random.below(3) {
                0 => End::Close,
                1 => End::Kill,
                _ => End::Crash(*random.pick(&Outcome::ALL)),
            };
            Phase { lanes, end }
        });
        Self { phases: phases.collect(), settings }
    }
}
