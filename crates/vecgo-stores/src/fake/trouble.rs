use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It comes to nothing, and the connection ends.
    Lost,
    /// It is done, and the connection ends.
    AnswerLost,
    /// It is done, and the answer is 503.
    DoneButRefused,
    /// It is not done, and the answer is 503.
    Refused,
    /// A put with a condition gets 409, though nothing has the name.
    FalseConflict,
    /// Nothing comes for so long, and then the connection ends.
    Silent(Duration),
    /// It takes so much longer.
    Slow(Duration),
    /// The connection ends in the middle of the body.
    CutShort,
    /// A byte of the body is another.
    Flipped,
    /// A body one byte too short, whose length says so too.
    Shorter,
    /// It is never answered, whether it is done or not.
    Unanswered {
        /// Whether it is done.
        done: bool,
    },
}

/// Which requests go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trouble {
    /// None.
    #[default]
    None,
    /// The n-th from now on that puts an object on a condition.
    Deciding(u64, Fault),
    /// All of those.
    AllDeciding(Fault),
    /// The n-th from now on that reads.
    Reading(u64, Fault),
    /// The n-th from now on that changes anything is the last that may be done; nothing is answered from there on.
    LastChange {
        /// The n-th.
        at: u64,
        /// Whether that one is done.
        done: bool,
    },
    /// One in so many, of all kinds, drawn from a seed.
    Any {
        /// One in so many.
        one_in: u64,
        /// What is drawn follows from this.
        seed: u64,
    },
}

/// What goes wrong where nothing is said of how.
const ANY: [Fault; 7] = [
    Fault::Lost,
    Fault::AnswerLost,
    Fault::DoneButRefused,
    Fault::Refused,
    Fault::FalseConflict,
    Fault::Slow(Duration::from_millis(300)),
    Fault::CutShort,
];

#[derive(Debug, Default)]
pub(super) struct Plan {
    trouble: Trouble,
    seen: u64,
    drawn: u64,
    struck: u64,
}

impl Plan {
    pub(super) fn new(trouble: Trouble) -> Self {
        let drawn = if let Trouble::Any { seed, .. } = trouble { seed } else { 0 };
        Self { trouble, seen: 0, drawn, struck: 0 }
    }

    pub(super) fn struck(&self) -> u64 {
        self.struck
    }

    fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.drawn ^ (self.drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 29)
    }

    /// What happens to the next request.
    pub(super) fn next(&mut self, decides: bool, reads: bool) -> Option<Fault> {
        let nth = |seen: &mut u64, n: u64| {
            *seen += 1;
            *seen == n + 1
        };
        let fault = match self.trouble {
            Trouble::Deciding(n, fault) if decides => nth(&mut self.seen, n).then_some(fault),
            Trouble::AllDeciding(fault) if decides => Some(fault),
            Trouble::Reading(n, fault) if reads => nth(&mut self.seen, n).then_some(fault),
            Trouble::LastChange { at, done } => {
                let is_last = !reads && nth(&mut self.seen, at);
                let over = is_last || self.struck > 0;
                over.then_some(Fault::Unanswered { done: done && is_last })
            }
            Trouble::Any { one_in, .. } if one_in > 0 => {
                let (strikes, kind) = (self.draw().is_multiple_of(one_in), self.draw());
                let kind = usize::try_from(kind % ANY.len() as u64).ok();
                kind.filter(|_| strikes).map(|kind| ANY[kind])
            }
            _ => None,
        };
        self.struck += u64::from(fault.is_some());
        fault
    }
}

/// Where requests wait for each other.
#[derive(Debug)]
pub(super) struct Gate {
    quiet_us: AtomicU64,
    rounds: watch::Sender<u64>,
    last_came: Mutex<Option<Instant>>,
}

impl Default for Gate {
    fn default() -> Self {
        let rounds = watch::Sender::new(0);
        Self { quiet_us: AtomicU64::new(0), rounds, last_came: Mutex::default() }
    }
}

impl Gate {
    pub(super) fn set(&self, quiet: Duration) {
        let micros = u64::try_from(quiet.as_micros()).unwrap_or(u64::MAX);
        self.quiet_us.store(micros, Ordering::Relaxed);
        self.rounds.send_replace(0);
    }

    pub(super) fn rounds(&self) -> u64 {
        *self.rounds.borrow()
    }

    /// Waits until nobody has come for a while. Whoever sees that first lets all others go too.
    pub(super) async fn pass(&self) {
        let quiet = Duration::from_micros(self.quiet_us.load(Ordering::Relaxed));
        if quiet.is_zero() {
            return;
        }
        let mut rounds = self.rounds.subscribe();
        let came_in = *rounds.borrow_and_update();
        *self.last_came.lock() = Some(Instant::now());
        loop {
            let last = self.last_came.lock().unwrap_or_else(Instant::now);
            tokio::select! {
                _ = rounds.changed() => return,
                () = tokio::time::sleep_until(last + quiet) => {
                    let is_quiet = self.last_came.lock().is_none_or(|came| came == last);
                    let open = |round: &mut u64| {
                        let first = *round == came_in && is_quiet;
                        *round += u64::from(first);
                        first
                    };
                    if self.rounds.send_if_modified(open) || *self.rounds.borrow() != came_in {
                        return;
                    }
                }
            }
        }
    }
}
