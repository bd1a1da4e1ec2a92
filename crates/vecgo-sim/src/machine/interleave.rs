use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use vecgo_io::{
    BoxFuture, Listed, Log, Logs, Object, ObjectWriter, PutOutcome, Store, StoreError, StoreLock,
};

use crate::random::Random;

/// Most times that a call gives way before it is made.
const MOST_PAUSES: usize = 3;

/// A store whose every call may let other tasks go first, as one on another thread would.
#[derive(Debug)]
pub(super) struct Interleaved<S> {
    store: Arc<S>,
    pauses: Arc<Pauses>,
}

#[derive(Debug)]
struct Pauses(Mutex<Random>);

impl Pauses {
    async fn pause(&self) {
        let times = self.0.lock().below(MOST_PAUSES + 1);
        for _ in 0..times {
            GiveWay { given: false }.await;
        }
    }
}

struct GiveWay {
    given: bool,
}

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.given {
            return Poll::Ready(());
        }
        self.given = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S> Interleaved<S> {
    pub(super) fn new(store: Arc<S>, random: Random) -> Self {
        Self { store, pauses: Arc::new(Pauses(Mutex::new(random))) }
    }
}

impl<S: Store> Store for Interleaved<S> {
    fn put_if_absent<'a>(
        &'a self,
        key: &'a str,
        body: Bytes,
    ) -> BoxFuture<'a, Result<PutOutcome, StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            let outcome = self.store.put_if_absent(key, body).await;
            self.pauses.pause().await;
            outcome
        })
    }

    fn create<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn ObjectWriter>, StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            let writer = Store::create(&*self.store, key).await?;
            let writer = PausingWriter { writer, pauses: Arc::clone(&self.pauses) };
            Ok(Box::new(writer) as Box<dyn ObjectWriter>)
        })
    }

    fn open<'a>(
        &'a self,
        key: &'a str,
        length: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Object>, StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            self.store.open(key, length).await
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            self.store.list(prefix).await
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            self.store.delete(key).await
        })
    }

    /// What it stands before, so that two of these know each other.
    fn as_any(&self) -> &dyn Any {
        self.store.as_any()
    }

    fn copy_from<'a>(
        &'a self,
        from: &'a dyn Store,
        key: &'a str,
        length: u64,
        to: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            self.store.copy_from(from, key, length, to).await
        })
    }

    fn clear_prefix<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            self.store.clear_prefix(prefix).await
        })
    }

    fn clear_unfinished<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            self.store.clear_unfinished(prefix).await
        })
    }

    fn free_space(&self) -> Option<u64> {
        self.store.free_space()
    }

    fn has_locks(&self) -> bool {
        self.store.has_locks()
    }

    fn lock<'a>(
        &'a self,
        key: &'a str,
        holder: &'a str,
    ) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            self.store.lock(key, holder).await
        })
    }
}

impl<S: Logs> Logs for Interleaved<S> {
    fn create<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Box<dyn Log>, StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            let log = Logs::create(&*self.store, key).await?;
            let log = PausingLog { log, pauses: Arc::clone(&self.pauses) };
            Ok(Box::new(log) as Box<dyn Log>)
        })
    }
}

#[derive(Debug)]
struct PausingWriter {
    writer: Box<dyn ObjectWriter>,
    pauses: Arc<Pauses>,
}

impl ObjectWriter for PausingWriter {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            self.writer.write(bytes).await
        })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            self.writer.finish().await
        })
    }
}

#[derive(Debug)]
struct PausingLog {
    log: Box<dyn Log>,
    pauses: Arc<Pauses>,
}

impl Log for PausingLog {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            self.log.append(bytes).await
        })
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.pauses.pause().await;
            self.log.sync().await
        })
    }
}
