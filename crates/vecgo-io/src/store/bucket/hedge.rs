//! Asking again for what takes longer than most: of two requests for one thing the slower one has no say.
//! J. Dean and L. A. Barroso, "The Tail at Scale", 2013.

#![expect(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]

use std::future::Future;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A request is slow that takes so many times as long as they do on average.
const SLOW: u32 = 4;
/// And no less than this.
const LEAST: Duration = Duration::from_millis(50);
/// Before any has ended.
const AT_FIRST: Duration = Duration::from_millis(500);
/// One more may be asked for twice for so many that were asked for.
const ONE_IN: u32 = 20;
/// Most that may be saved up.
const MOST: u32 = 10 * ONE_IN;
/// Of the average the last one is so much.
const WEIGHT: u32 = 8;

/// How long requests take, and how many may be asked for again.
#[derive(Debug, Default)]
pub(super) struct Hedges {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    average: Option<Duration>,
    saved: u32,
}

impl Default for State {
    fn default() -> Self {
        Self { average: None, saved: ONE_IN }
    }
}

impl Hedges {
    /// Asks, and if no answer comes in time asks again: the first good answer counts.
    pub(super) async fn ask<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, E> {
        let start = Instant::now();
        let slow_after = self.begin();
        let mut first = Box::pin(ask());
        let answer = match tokio::time::timeout(slow_after, &mut first).await {
            Ok(answer) => answer,
            Err(_) if !self.may_ask_again() => first.await,
            Err(_) => {
                let second = Box::pin(ask());
                match futures_util::future::select(first, second).await {
                    futures_util::future::Either::Left((Err(_), other)) => other.await,
                    futures_util::future::Either::Right((Err(_), other)) => other.await,
                    futures_util::future::Either::Left((answer, _))
                    | futures_util::future::Either::Right((answer, _)) => answer,
                }
            }
        };
        if answer.is_ok() {
            self.took(start.elapsed());
        }
        answer
    }

    /// After how long a request that begins now is slow.
    fn begin(&self) -> Duration {
        let mut state = self.state.lock();
        state.saved = (state.saved + 1).min(MOST);
        state.average.map_or(AT_FIRST, |average| (average * SLOW).max(LEAST))
    }

    fn may_ask_again(&self) -> bool {
        let mut state = self.state.lock();
        let left = state.saved.checked_sub(ONE_IN);
        state.saved = left.unwrap_or(state.saved);
        left.is_some()
    }

    fn took(&self, time: Duration) {
        let mut state = self.state.lock();
        let average = state.average.unwrap_or(time);
        state.average = Some((average * (WEIGHT - 1) + time) / WEIGHT);
    }
}
