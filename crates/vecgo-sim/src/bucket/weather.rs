use std::time::Duration;

use crate::random::Random;

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFault {
    /// It never arrives, and no answer comes.
    Lost,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is done twice, and the second answer is the one that comes.
    Duplicated,
    /// The same, and for a minute nobody can read what is there.
    Hidden,
    /// It is done long after whoever asked has given up: a zombie.
    Late,
    /// 409, which some clients take for "exists": another request was in flight.
    FalseConflict,
    /// 429 or 503: it is not done.
    Refused,
    /// The connection breaks: in the middle of what is read, or after all was sent.
    Reset,
    /// It takes very long.
    Slow,
}

impl RequestFault {
    /// Every fault.
    pub const ALL: [RequestFault; 9] = [
        RequestFault::Lost,
        RequestFault::AnswerLost,
        RequestFault::Duplicated,
        RequestFault::Hidden,
        RequestFault::Late,
        RequestFault::FalseConflict,
        RequestFault::Refused,
        RequestFault::Reset,
        RequestFault::Slow,
    ];
}

/// How well requests get through.
#[derive(Debug)]
pub(super) enum Weather {
    /// One request in so many goes wrong; 0 for none.
    Random { one_in: usize },
    /// The n-th request from now goes wrong, or all from there on; of those that decide whose a
    /// name is, or of all.
    Planned {
        fault: RequestFault,
        request: u64,
        lasting: bool,
        deciding: bool,
        seen: u64,
        struck: u64,
    },
}

impl Weather {
    /// What happens to the next request.
    pub(super) fn next(&mut self, decides: bool, random: &mut Random) -> Option<RequestFault> {
        match self {
            Weather::Random { one_in: 0 } => None,
            Weather::Random { one_in } => {
                random.one_in(*one_in).then(|| *random.pick(&RequestFault::ALL))
            }
            Weather::Planned { deciding: true, .. } if !decides => None,
            Weather::Planned { fault, request, lasting, seen, struck, .. } => {
                let strikes = *seen == *request || (*lasting && *seen > *request);
                *seen += 1;
                *struck += u64::from(strikes);
                strikes.then_some(*fault)
            }
        }
    }
}

/// What a request takes when nothing is wrong.
pub(super) fn latency(random: &mut Random) -> Duration {
    let micros = 2_000 + random.next() % 20_000;
    // The long tail of every store.
    let tail = if random.one_in(50) { 20 } else { 1 };
    Duration::from_micros(micros * tail)
}

/// What a slow one takes, and when a late one is done: within the patience of a client, or long
/// after.
pub(super) fn long(random: &mut Random) -> Duration {
    Duration::from_millis(*random.pick(&[500, 5_000, 40_000, 600_000]) + random.next() % 1000)
}
