use std::sync::Arc;

use super::contest::{Contest, JUDGE, LONG};
use crate::bucket::RequestFault;
use crate::random::Random;
use crate::workload::{Operation, Part, Span};
use crate::{Settings, Tally, Violation};
use vecgo_io::{Clock, SpawnExt};

const fn span(first: usize, count: usize) -> Span {
    Span { first, count }
}

/// What the first writer does, and then the one who takes over from it.
const FIRST: [Operation; 9] = [
    Operation::Upsert(span(0, 4)),
    Operation::Flush,
    Operation::Delete(span(1, 1)),
    Operation::Commit,
    Operation::Upsert(span(2, 4)),
    Operation::Read,
    Operation::Create,
    Operation::WriteOther,
    Operation::Drop,
];
const SECOND: [Operation; 5] = [
    Operation::Upsert(span(0, 2)),
    Operation::Flush,
    Operation::Update(span(0, 1), Part::Payload),
    Operation::Compact,
    Operation::Commit,
];

/// Lets the n-th put go wrong that decides whose a name is, once, while there is one writer: it is
/// asked for again, and nobody notices anything.
///
/// # Errors
/// The first promise that was not kept, with the number of the put.
pub fn unnoticed(fault: RequestFault) -> Result<Tally, Violation> {
    let mut tally = Tally::default();
    for put in 0.. {
        let mut random = Random::new(put);
        let contest = Contest::new(Settings::default(), &mut random, &Arc::default(), true);
        let ran = contest.scheduler.run(async {
            contest.create().await?;
            contest.bucket.plan_deciding(fault, put);
            contest.live(1, &FIRST, &mut random).await?;
            let struck = contest.bucket.struck();
            contest.bucket.set_trouble(0);
            contest.judge(JUDGE, &mut random).await?;
            Ok::<u64, Violation>(struck)
        });
        contest.end();
        let struck = ran.and_then(|ran| ran).map_err(|v| v.context(format!("put {put}")))?;
        tally.add(Tally { runs: 1, faults: struck, ..Tally::default() });
        if struck == 0 {
            break;
        }
    }
    Ok(tally)
}

/// Lets the n-th request go wrong, once and for good, for every n until a run is clean. One writer
/// works, another takes over, and then the first goes on, not knowing.
///
/// # Errors
/// The first promise that was not kept, with the number of the request.
pub fn requests(fault: RequestFault, lasting: bool) -> Result<Tally, Violation> {
    let mut tally = Tally::default();
    for request in 0.. {
        let struck =
            one(fault, lasting, request).map_err(|v| v.context(format!("request {request}")))?;
        tally.add(Tally { runs: 1, faults: struck, ..Tally::default() });
        if struck == 0 {
            break;
        }
    }
    Ok(tally)
}

fn one(fault: RequestFault, lasting: bool, request: u64) -> Result<u64, Violation> {
    let mut random = Random::new(request);
    let contest = Contest::new(Settings::default(), &mut random, &Arc::default(), false);
    let ran = contest.scheduler.run(async {
        contest.create().await?;
        contest.bucket.plan(fault, request, lasting);
        let first = {
            let (own, mut random) = (Arc::clone(&contest), random.fork(1));
            contest.threads(1).start(async move {
                // Once fenced it comes again, perhaps while the other still stands in its doorway.
                for _ in 0..3 {
                    own.live(1, &FIRST, &mut random).await?;
                }
                Ok(())
            })
        };
        // The other comes while the first is at work, wherever that is.
        contest.clock.sleep(std::time::Duration::from_millis(200 + random.next() % 400)).await;
        contest.live(2, &SECOND, &mut random).await?;
        first.await.unwrap_or_else(|| Err(Violation::new("I20", "the first writer is gone")))?;
        let struck = contest.bucket.struck();
        contest.bucket.set_trouble(0);
        contest.judge(JUDGE, &mut random).await?;
        contest.clock.sleep(LONG).await;
        contest.judge(JUDGE + 1, &mut random).await?;
        Ok(struck)
    });
    contest.end();
    ran?
}
