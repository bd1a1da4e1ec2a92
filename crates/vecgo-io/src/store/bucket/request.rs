use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use object_store::Error;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::hedge::Hedges;
use crate::StoreError;
use crate::store::Requests;

/// Threads that wait for the network. Checksums of TLS and the signatures are all that they compute.
const THREADS: usize = 2;

/// The threads that make requests.
#[derive(Debug)]
pub(super) struct Network {
    /// Always there until this is dropped.
    runtime: Option<Runtime>,
    pub(super) requests: Arc<Requests>,
    pub(super) hedges: Arc<Hedges>,
    /// A part of these is taken by each request under way, and its deadline begins when it has it.
    turns: Arc<Semaphore>,
}

/// So many small requests at a time, or a fourth as many of eight megabytes.
const TURNS: usize = 64;
const MOST_TURNS: u32 = 4;
const BYTES_A_TURN: usize = 2 << 20;
/// Threads that wait for disks and for names of hosts.
const BLOCKED_THREADS: usize = 4;

impl Network {
    pub(super) fn new() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(THREADS)
            .thread_name("vecgo-net")
            .max_blocking_threads(BLOCKED_THREADS)
            .enable_all()
            .build();
        Ok(Self {
            runtime: Some(runtime?),
            requests: Arc::default(),
            hedges: Arc::default(),
            turns: Arc::new(Semaphore::new(TURNS)),
        })
    }

    /// Makes a request and waits for its end, for so long at most. Whoever stops waiting ends it.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        key: &str,
        deadline: Duration,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.start(0, deadline, request).ok_or_else(|| closed(key))?.end(key).await
    }

    /// Makes a request whose end nobody waits for.
    pub(super) fn start_and_forget<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move { drop(request.await) });
        }
    }

    /// Does something that waits for a disk, and that nobody waits for.
    pub(super) fn block(&self, work: impl FnOnce() + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn_blocking(work);
        }
    }

    /// Makes a request of so many bytes whose end is awaited elsewhere.
    pub(super) fn start<T: Send + 'static>(
        &self,
        bytes: usize,
        deadline: Duration,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Option<Request<T>> {
        let under_way = self.requests.begin();
        let turns = u32::try_from(bytes / BYTES_A_TURN).unwrap_or(MOST_TURNS).clamp(1, MOST_TURNS);
        let all = Arc::clone(&self.turns);
        self.spawn(deadline, async move {
            // Never closed; if it were, nobody would be kept waiting.
            let _turn = all.acquire_many_owned(turns).await.ok();
            let _under_way = under_way;
            tokio::time::timeout(deadline, request).await
        })
    }

    /// Waits for what requests come to, as long as they may take in all.
    pub(super) fn gather<T: Send + 'static>(
        &self,
        gather: impl Future<Output = T> + Send + 'static,
    ) -> Option<Request<T>> {
        self.spawn(Duration::ZERO, async move { Ok(gather.await) })
    }

    fn spawn<T: Send + 'static>(
        &self,
        deadline: Duration,
        task: impl Future<Output = Result<T, tokio::time::error::Elapsed>> + Send + 'static,
    ) -> Option<Request<T>> {
        let runtime = self.runtime.as_ref()?;
        Some(Request { task: runtime.spawn(task), deadline })
    }
}

/// The store was closed while somebody still asked.
pub(super) fn closed(key: &str) -> StoreError {
    no_answer(key, "the store is closed")
}

impl Drop for Network {
    fn drop(&mut self) {
        // Whoever drops the last handle may run on an executor, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A request under way, given up when this is dropped.
#[derive(Debug)]
pub(super) struct Request<T> {
    task: JoinHandle<Result<T, tokio::time::error::Elapsed>>,
    deadline: Duration,
}

impl<T> Request<T> {
    pub(super) async fn end(mut self, key: &str) -> Result<T, StoreError> {
        match (&mut self.task).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => {
                let waited = format!("no answer within {} seconds", self.deadline.as_secs());
                Err(no_answer(key, waited))
            }
            Err(error) => Err(no_answer(key, error)),
        }
    }
}

impl<T> Drop for Request<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn no_answer(key: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::no_answer(key, io::Error::new(io::ErrorKind::TimedOut, source))
}

pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. })
}

/// What a bucket's answer means for whoever asked.
pub(super) fn failed(key: &str, error: &Error) -> StoreError {
    let kind = match error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        Error::InvalidPath { .. } => io::ErrorKind::InvalidInput,
        Error::NotSupported { .. } | Error::NotImplemented { .. } => io::ErrorKind::Unsupported,
        _ => return StoreError::no_answer(key, io::Error::other(said(error))),
    };
    StoreError::new(key, io::Error::new(kind, said(error)))
}

/// Whoever asked may not write here.
pub(super) fn denied(key: &str, error: &Error) -> StoreError {
    StoreError::new(key, io::Error::new(io::ErrorKind::PermissionDenied, said(error)))
}

/// What it said, causes included, without its own repetitions.
fn said(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    // Where nothing says who asks, the machine itself is asked.
    if text.contains("169.254.169.254") {
        text.push_str("; no credentials were in the options, the environment or a profile");
    }
    text
}
