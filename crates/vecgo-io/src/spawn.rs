#![expect(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use async_executor::Executor;
use futures_channel::oneshot;
use futures_lite::future::block_on;

use crate::BoxFuture;

/// Where background tasks run.
pub trait Spawn: Debug + Send + Sync + 'static {
    /// Starts a task. It may block its thread on a disk.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Starts a task that computes for long and that nobody is to notice: it and the threads that
    /// it starts get the time that others leave, where the system can be told so.
    fn spawn_background(&self, task: BoxFuture<'static, ()>);

    /// How many tasks can compute at once.
    fn parallelism(&self) -> usize;
}

/// Tasks with a result.
pub trait SpawnExt: Spawn {
    /// Starts a task whose result is awaited elsewhere. Dropping the handle before the task has
    /// begun keeps it from running; afterwards its result is thrown away.
    fn start<T, F>(&self, task: F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (task, handle) = with_handle(task);
        self.spawn(task);
        handle
    }

    /// The same in the background.
    fn start_background<T, F>(&self, task: F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (task, handle) = with_handle(task);
        self.spawn_background(task);
        handle
    }
}

fn with_handle<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> (BoxFuture<'static, ()>, Task<T>) {
    let (send, receive) = oneshot::channel();
    let task = async move {
        if !send.is_canceled() {
            // Nobody waits any more: the result has no use.
            let _ = send.send(task.await);
        }
    };
    (Box::pin(task), Task { receive })
}

impl<S: Spawn + ?Sized> SpawnExt for S {}

/// The result of a task to come; `None` if the pool stopped before it ended.
#[derive(Debug)]
pub struct Task<T> {
    receive: oneshot::Receiver<T>,
}

impl<T> Future for Task<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.receive).poll(context).map(Result::ok)
    }
}

/// The database's own threads. They end when the pool is dropped and their task is done.
#[derive(Debug)]
pub struct ThreadPool {
    executor: Arc<Executor<'static>>,
    background: Arc<Executor<'static>>,
    parallelism: usize,
    // Closed on drop; each thread holds one receiver.
    _stop: Vec<oneshot::Sender<()>>,
}

/// A disk call blocks its thread, so there are some threads more than cores.
const THREADS_BESIDE_CORES: usize = 2;
/// What computes for long has threads of its own on all cores. More of them at a time would be done
/// no sooner and hold more memory.
const BACKGROUND_THREADS: usize = 2;

impl ThreadPool {
    /// Starts a thread for each core and two more, and some for the background.
    ///
    /// # Errors
    /// The operating system gives no more threads.
    pub fn new() -> io::Result<Self> {
        let parallelism = thread::available_parallelism().map_or(1, usize::from);
        let (executor, background) = (Arc::new(Executor::new()), Arc::new(Executor::new()));
        let mut stop = Vec::new();
        for number in 0..parallelism + THREADS_BESIDE_CORES {
            stop.push(start(format!("vecgo-{number}"), &executor, || {})?);
        }
        for number in 0..BACKGROUND_THREADS {
            stop.push(start(format!("vecgo-back-{number}"), &background, give_way)?);
        }
        Ok(Self { executor, background, parallelism, _stop: stop })
    }
}

/// Starts a thread that runs tasks until what it returns is dropped.
fn start(
    name: String,
    executor: &Arc<Executor<'static>>,
    begin: fn(),
) -> io::Result<oneshot::Sender<()>> {
    let (send, receive) = oneshot::channel::<()>();
    let executor = Arc::clone(executor);
    thread::Builder::new().name(name).spawn(move || {
        begin();
        let mut receive = receive;
        // A task that panics takes itself with it, not the thread. The other end of this is the
        // signal that the pool was dropped.
        loop {
            let run = || block_on(executor.run(&mut receive));
            if catch_unwind(AssertUnwindSafe(run)).is_ok() {
                break;
            }
        }
    })?;
    Ok(send)
}

/// Gives this thread and those that it will start the time that others leave, from which they are
/// woken without a wait: a low priority alone lets it run on for some milliseconds. Where it cannot be
/// had the thread does the same work, more to the cost of others.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use preempt_rt::sched::{Pid, Scheduler, SchedulerParams, set_scheduler};
        let params = SchedulerParams { priority: 0 };
        let _ = set_scheduler(Pid::current_thread(), Scheduler::SCHED_IDLE, params);
    }
}

impl Spawn for ThreadPool {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.executor.spawn(task).detach();
    }

    fn spawn_background(&self, task: BoxFuture<'static, ()>) {
        self.background.spawn(task).detach();
    }

    fn parallelism(&self) -> usize {
        self.parallelism
    }
}
