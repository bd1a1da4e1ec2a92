//! Connections: how many, how slow they may be, and how they end.

mod tls;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio_io_timeout::TimeoutWriter;
use tower::ServiceExt;
use vecgo::{Error, ErrorKind, Result};

use crate::http::Keeping;

pub(crate) use tls::Tls;

/// Bytes of the head of a request at most.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// After a connection could not be accepted, which is for want of something.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a stop waits for requests that are on their way.
const GRACE: Duration = Duration::from_secs(2);

/// An address that is listened on.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    /// Connections that may be accepted.
    free: Arc<Semaphore>,
}

impl Listener {
    pub(crate) async fn bind(address: SocketAddr, connections: usize) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let kind = match error.kind() {
                std::io::ErrorKind::AddrInUse => ErrorKind::Busy,
                _ => ErrorKind::InvalidArgument,
            };
            Error::new(kind, format!("{address}: {error}"))
        };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, free: Arc::new(Semaphore::new(connections)) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections until told to stop, then returns when the requests that were begun are
    /// answered. A client may let it wait for `idle`.
    pub(crate) async fn serve(
        self,
        router: Router,
        tls: Option<Tls>,
        idle: Duration,
        mut stopping: watch::Receiver<bool>,
    ) {
        let graceful = GracefulShutdown::new();
        let talks = Arc::new(Talks::default());
        loop {
            let accepted = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => break,
                accepted = self.accept() => accepted,
            };
            let Some((stream, permit)) = accepted else { continue };
            let (watcher, router, tls) = (graceful.watcher(), router.clone(), tls.clone());
            talks.begin(|begun| async move {
                let _permit = permit;
                match tls {
                    None => talk(stream, router, idle, watcher, begun).await,
                    Some(tls) => {
                        let greeted = tokio::time::timeout(idle, tls.accept(stream)).await;
                        if let Ok(Ok(stream)) = greeted {
                            talk(stream, router, idle, watcher, begun).await;
                        }
                    }
                }
            });
        }
        drop(self.socket);
        tokio::select! {
            () = graceful.shutdown() => {}
            () = talks.end_silent() => {}
        }
    }

    /// The next connection, once there may be one more.
    async fn accept(&self) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        match self.socket.accept().await {
            Ok((stream, _)) => {
                // Answers are written whole.
                let _ = stream.set_nodelay(true);
                Some((stream, permit))
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                None
            }
        }
    }
}

/// The connections that there are.
#[derive(Debug, Default)]
struct Talks {
    last: AtomicU64,
    /// Each with how many requests of it were begun and are not answered.
    open: Mutex<BTreeMap<u64, (AbortHandle, Arc<AtomicUsize>)>>,
}

impl Talks {
    /// Begins another.
    fn begin<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        talk: impl FnOnce(Arc<AtomicUsize>) -> F,
    ) {
        let (talks, number) = (Arc::clone(self), self.last.fetch_add(1, Ordering::Relaxed));
        let begun = Arc::default();
        let talk = talk(Arc::clone(&begun));
        // It cannot have ended before it is in the list.
        let mut open = self.open.lock();
        let task = tokio::spawn(async move {
            talk.await;
            talks.open.lock().remove(&number);
        });
        open.insert(number, (task.abort_handle(), begun));
    }

    /// Ends those on which nothing is being asked, some time after a stop has begun: of the head of a request nobody
    /// waits for the rest. Does not return.
    async fn end_silent(&self) {
        // What is on its way still comes.
        tokio::time::sleep(GRACE).await;
        loop {
            self.open.lock().retain(|_, (task, begun)| {
                let is_silent = begun.load(Ordering::Relaxed) == 0;
                if is_silent {
                    task.abort();
                }
                !is_silent
            });
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Answers the requests of a connection.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
    idle: Duration,
    watcher: Watcher,
    begun: Arc<AtomicUsize>,
) {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(idle));
    let answer = |request: Request<Incoming>| {
        let begun = Begun::new(&begun);
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let answer = answer.await?;
            Ok::<_, Infallible>(answer.map(|body| Keeping { body, _kept: begun }))
        }
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // For the head of the first request, and for that of the next after an answer.
        .header_read_timeout(idle)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service_fn(answer));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Counts a request of a connection until it is answered.
#[derive(Debug)]
struct Begun(Arc<AtomicUsize>);

impl Begun {
    fn new(begun: &Arc<AtomicUsize>) -> Self {
        begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(begun))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
