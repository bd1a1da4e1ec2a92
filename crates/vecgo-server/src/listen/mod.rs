//! Connections: how many, how slow they may be, and how they end.

mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
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
        stopping: watch::Receiver<bool>,
    ) {
        let graceful = GracefulShutdown::new();
        let mut told = stopping.clone();
        loop {
            let accepted = tokio::select! {
                _ = told.wait_for(|stop| *stop) => break,
                accepted = self.accept() => accepted,
            };
            let Some((stream, permit)) = accepted else { continue };
            let talk = Talk {
                router: router.clone(),
                idle,
                watcher: graceful.watcher(),
                stopping: stopping.clone(),
            };
            let tls = tls.clone();
            tokio::spawn(async move {
                let _permit = permit;
                match tls {
                    None => talk.with(stream).await,
                    Some(tls) => {
                        let greeted = tokio::select! {
                            () = talk.told_to_stop() => return,
                            greeted = tokio::time::timeout(idle, tls.accept(stream)) => greeted,
                        };
                        if let Ok(Ok(stream)) = greeted {
                            talk.with(stream).await;
                        }
                    }
                }
            });
        }
        drop(self.socket);
        graceful.shutdown().await;
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

/// How the requests of a connection are answered.
struct Talk {
    router: Router,
    idle: Duration,
    watcher: Watcher,
    stopping: watch::Receiver<bool>,
}

impl Talk {
    fn told_to_stop(&self) -> impl Future<Output = ()> + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            // Whoever tells it is there as long as there are connections.
            let _ = stopping.wait_for(|stop| *stop).await;
        }
    }

    async fn with(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(self.idle));
        let begun = Arc::new(AtomicUsize::new(0));
        let answer = |request: Request<Incoming>| {
            let begun = Begun::new(&begun);
            let answer = self.router.clone().oneshot(request.map(Body::new));
            async move {
                let answer = answer.await?;
                Ok::<_, Infallible>(answer.map(|body| Keeping::body(body, begun)))
            }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // For the head of the first request, and for that of the next after an answer.
            .header_read_timeout(self.idle)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(Box::pin(stream)), service_fn(answer));
        let told = self.told_to_stop();
        let silent = async {
            told.await;
            // What is on its way still comes.
            tokio::time::sleep(GRACE).await;
            while begun.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            // Of a head that has begun nobody waits for the rest.
            () = silent => {}
            ended = self.watcher.watch(connection) => if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke off");
            },
        }
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
