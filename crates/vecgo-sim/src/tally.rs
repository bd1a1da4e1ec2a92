use std::fmt;

/// What was gone through.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Runs of a workload, or files damaged.
    pub runs: u64,
    /// Crashes that were recovered from and checked.
    pub crashes: u64,
    /// Faults that struck, and damage that was detected.
    pub faults: u64,
    /// Restores of backups, each held against what it should hold.
    pub backups: u64,
}

impl Tally {
    /// Both together.
    pub fn add(&mut self, other: Tally) {
        self.runs += other.runs;
        self.crashes += other.crashes;
        self.faults += other.faults;
        self.backups += other.backups;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, crashes, faults, backups } = self;
        write!(f, "{runs} runs, {crashes} crashes, {faults} faults, {backups} restores")
    }
}
