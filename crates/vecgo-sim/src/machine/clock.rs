use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use vecgo_io::{BoxFuture, Clock};

/// Some moment of the year 2025.
const START_MS: u64 = 1_750_000_000_000;

/// Time that moves when the scheduler says so.
#[derive(Debug, Clone)]
pub struct SimClock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    now: Duration,
    wall_ms: u64,
    /// Who sleeps until when; the number keeps apart those who wake at one moment.
    sleepers: BTreeMap<(Duration, u64), Waker>,
    slept: u64,
}

impl Default for SimClock {
    fn default() -> Self {
        let state =
            State { now: Duration::ZERO, wall_ms: START_MS, sleepers: BTreeMap::new(), slept: 0 };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl SimClock {
    /// Moves on by `step` and wakes those whose time has come.
    pub(crate) fn advance(&self, step: Duration) {
        let to = self.0.lock().now + step;
        self.advance_to(to);
    }

    /// Moves on to when the next sleeper wakes; false if nobody sleeps.
    pub(crate) fn advance_to_next_sleeper(&self) -> bool {
        let next = self.0.lock().sleepers.keys().next().map(|(at, _)| *at);
        next.map(|at| self.advance_to(at)).is_some()
    }

    fn advance_to(&self, to: Duration) {
        let woken: Vec<Waker> = {
            let mut state = self.0.lock();
            state.now = state.now.max(to);
            let now = state.now;
            let later = state.sleepers.split_off(&(now, u64::MAX));
            std::mem::replace(&mut state.sleepers, later).into_values().collect()
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Sets the wall clock forward or back.
    pub fn set_wall(&self, by_ms: i64) {
        let mut state = self.0.lock();
        state.wall_ms = state.wall_ms.saturating_add_signed(by_ms);
    }
}

impl Clock for SimClock {
    fn wall_ms(&self) -> u64 {
        let state = self.0.lock();
        state.wall_ms + u64::try_from(state.now.as_millis()).unwrap_or(0)
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.0.lock();
        state.slept += 1;
        Box::pin(Sleep { until: (state.now + duration, state.slept), clock: self.clone() })
    }
}

struct Sleep {
    until: (Duration, u64),
    clock: SimClock,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.0.lock();
        if state.now >= self.until.0 {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.until, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.0.lock().sleepers.remove(&self.until);
    }
}
