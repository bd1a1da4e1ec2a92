use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use vecgo_io::{BoxFuture, Spawn};

use super::SimClock;
use crate::Violation;
use crate::random::Random;

/// More polls than any run needs: beyond, something goes round in circles.
const MAX_POLLS: u64 = 2_000_000;
/// What a poll takes.
const POLL: Duration = Duration::from_micros(20);

/// Runs tasks on this thread, one at a time, the next one chosen at random.
#[derive(Debug)]
pub(crate) struct Scheduler {
    state: Mutex<State>,
    ready: Arc<Ready>,
    clock: SimClock,
}

struct State {
    tasks: BTreeMap<u64, (u32, BoxFuture<'static, ()>)>,
    /// Those that get the time that others leave: none, unless this is a machine that has it so.
    background: BTreeSet<u64>,
    has_background: bool,
    /// Processes that get no time.
    paused: BTreeSet<u32>,
    spawned: u64,
    random: Random,
    parallelism: usize,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

/// Tasks that can go on, with their processes. Task 0 is the one that [`Scheduler::run`] was
/// called with.
#[derive(Debug, Default)]
struct Ready(Mutex<Vec<(u32, u64)>>);

impl Ready {
    fn add(&self, task: (u32, u64)) {
        let mut ready = self.0.lock();
        if !ready.contains(&task) {
            ready.push(task);
        }
    }
}

struct TaskWaker {
    task: (u32, u64),
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.add(self.task);
    }
}

impl Scheduler {
    pub(crate) fn new(clock: SimClock, mut random: Random) -> Self {
        let parallelism = 1 + random.below(3);
        let has_background = random.one_in(2);
        let state = State {
            tasks: BTreeMap::new(),
            background: BTreeSet::new(),
            has_background,
            paused: BTreeSet::new(),
            spawned: 0,
            random,
            parallelism,
        };
        Self { state: Mutex::new(state), ready: Arc::default(), clock }
    }

    /// Runs `main` and all tasks until `main` is done; the tasks stay where they are.
    ///
    /// # Errors
    /// [`Violation`] if everybody waits for somebody else, or nobody ever comes to an end.
    pub(crate) fn run<T>(&self, main: impl Future<Output = T>) -> Result<T, Violation> {
        let mut main = pin!(main);
        self.ready.add(MAIN);
        for _ in 0..MAX_POLLS {
            self.clock.advance(POLL);
            let Some(task) = self.choose() else {
                if self.clock.advance_to_next_sleeper() {
                    continue;
                }
                return Err(Violation::new("I20", "everybody waits and nobody works"));
            };
            let waker = Waker::from(Arc::new(TaskWaker { task, ready: Arc::clone(&self.ready) }));
            let mut context = Context::from_waker(&waker);
            if task != MAIN {
                self.poll(task.1, &mut context);
            } else if let Poll::Ready(done) = main.as_mut().poll(&mut context) {
                return Ok(done);
            }
        }
        Err(Violation::new("I20", format!("no end after {MAX_POLLS} polls")))
    }

    fn choose(&self) -> Option<(u32, u64)> {
        let mut ready = self.ready.0.lock();
        let mut state = self.state.lock();
        let awake = |place: &usize| !state.paused.contains(&ready[*place].0);
        let mut places: Vec<usize> = (0..ready.len()).filter(awake).collect();
        let in_front = |place: &usize| !state.background.contains(&ready[*place].1);
        if places.iter().any(in_front) {
            places.retain(in_front);
        }
        match places.len() {
            0 => None,
            1 => Some(ready.remove(places[0])),
            several => Some(ready.remove(places[state.random.below(several)])),
        }
    }

    fn poll(&self, task: u64, context: &mut Context<'_>) {
        // Taken out while it runs: it may spawn others.
        let future = self.state.lock().tasks.remove(&task);
        let Some((process, mut future)) = future else { return };
        let pending = future.as_mut().poll(context).is_pending();
        let mut state = self.state.lock();
        if pending {
            state.tasks.insert(task, (process, future));
        } else {
            state.background.remove(&task);
        }
    }

    /// Ends every task of a process where it stands.
    pub(crate) fn kill(&self, process: u32) {
        let mut ended = Vec::new();
        {
            let mut state = self.state.lock();
            for (task, (of, future)) in std::mem::take(&mut state.tasks) {
                if of == process {
                    ended.push(future);
                } else {
                    state.tasks.insert(task, (of, future));
                }
            }
            state.paused.remove(&process);
        }
        self.ready.0.lock().retain(|(of, _)| *of != process);
        drop(ended);
    }

    /// Gives a process no time from now on, or time again.
    pub(crate) fn pause(&self, process: u32, paused: bool) {
        let mut state = self.state.lock();
        match paused {
            true => state.paused.insert(process),
            false => state.paused.remove(&process),
        };
    }

    /// Starts a task of a process, in the background if it may be there.
    pub(crate) fn spawn(&self, process: u32, background: bool, task: BoxFuture<'static, ()>) {
        let mut state = self.state.lock();
        state.spawned += 1;
        let number = state.spawned;
        if background && state.has_background {
            state.background.insert(number);
        }
        state.tasks.insert(number, (process, task));
        drop(state);
        self.ready.add((process, number));
    }
}

/// The future that [`Scheduler::run`] was called with, of no process.
const MAIN: (u32, u64) = (u32::MAX, 0);

/// The threads of one process.
#[derive(Debug, Clone)]
pub(crate) struct Threads {
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) process: u32,
}

impl Spawn for Threads {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.scheduler.spawn(self.process, false, task);
    }

    fn spawn_background(&self, task: BoxFuture<'static, ()>) {
        self.scheduler.spawn(self.process, true, task);
    }

    fn parallelism(&self) -> usize {
        self.scheduler.state.lock().parallelism
    }
}
