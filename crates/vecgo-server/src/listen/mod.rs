//! Connections: how many, how slow they may be, and how they end.

mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutWriter;
use vecgo::{Error, ErrorKind, Result};

use crate::settings::Limits;

pub(crate) use tls::Tls;

/// Bytes of the head of a request at most.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// After a connection could not be accepted, which is for want of something.
const PAUSE: Duration = Duration::from_millis(100);

/// An address that is listened on.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    /// Connections that may be accepted.
    free: Arc<Semaphore>,
}

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    idle: Duration,
}

impl From<Limits> for Patience {
    fn from(limits: Limits) -> Self {
        Self { idle: limits.idle }
    }
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
    /// answered.
    pub(crate) async fn serve(
        self,
        router: Router,
        tls: Option<Tls>,
        patience: Patience,
        mut stopping: watch::Receiver<bool>,
    ) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => break,
                accepted = self.accept() => accepted,
            };
            let Some((stream, permit)) = accepted else { continue };
            let watcher = graceful.watcher();
            let (router, tls) = (router.clone(), tls.clone());
            tokio::spawn(async move {
                let _permit = permit;
                match tls {
                    None => talk(stream, router, patience, watcher).await,
                    Some(tls) => {
                        let greeted = tokio::time::timeout(patience.idle, tls.accept(stream)).await;
                        if let Ok(Ok(stream)) = greeted {
                            talk(stream, router, patience, watcher).await;
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

/// Answers the requests of a connection.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
    patience: Patience,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(patience.idle));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // For the head of the first request, and for that of the next after an answer.
        .header_read_timeout(patience.idle)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection broke off");
    }
}
