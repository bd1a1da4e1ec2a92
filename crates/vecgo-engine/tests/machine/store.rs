//! A store whose calls are watched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use vecgo_io::{
    BoxFuture, Env, Listed, Log, Logs, Object, ObjectWriter, PutOutcome, Store, StoreError,
    StoreLock,
};

/// A store and its logs in which a call may panic, once, and of which it may be said how much is free.
#[derive(Debug, Clone)]
struct Trapped {
    store: Arc<dyn Store>,
    logs: Arc<dyn Logs>,
    has_locks: bool,
    traps: Arc<Traps>,
}

#[derive(Debug, Default)]
pub(crate) struct Traps {
    pub(crate) new_segment: AtomicBool,
    pub(crate) sync: AtomicBool,
    /// Whether it is unknown what becomes of what is put or synced.
    pub(crate) mute: AtomicBool,
    /// Bytes that are free; 0 for what the store says.
    pub(crate) free: AtomicU64,
    pub(crate) opening: Opening,
}

/// What is done when a segment is opened, which cannot be if that gives false.
#[derive(Default)]
pub(crate) struct Opening(Mutex<Option<Opens>>);

type Opens = Box<dyn FnMut() -> bool + Send>;

impl Opening {
    pub(crate) fn set(&self, opens: impl FnMut() -> bool + Send + 'static) {
        *self.0.lock() = Some(Box::new(opens));
    }
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opening")
    }
}

fn spring(trap: &AtomicBool) {
    assert!(!trap.swap(false, Ordering::SeqCst), "a trap");
}

fn mute(key: &str) -> StoreError {
    StoreError::new(key, std::io::Error::other("mute"))
}

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Store for Trapped {
    fn put_if_absent<'a>(&'a self, key: &'a str, body: Bytes) -> Answer<'a, PutOutcome> {
        if self.traps.mute.load(Ordering::SeqCst) {
            return Box::pin(async { Ok(PutOutcome::Unknown(mute(key))) });
        }
        self.store.put_if_absent(key, body)
    }

    fn create<'a>(&'a self, key: &'a str) -> Answer<'a, Box<dyn ObjectWriter>> {
        if key.contains("/segment/") {
            spring(&self.traps.new_segment);
        }
        self.store.create(key)
    }

    fn open<'a>(&'a self, key: &'a str, length: Option<u64>) -> Answer<'a, Box<dyn Object>> {
        let mut opening = self.traps.opening.0.lock();
        let opens = opening.as_mut().filter(|_| key.contains("/segment/"));
        if opens.is_some_and(|opens| !opens()) {
            return Box::pin(async { Err(mute(key)) });
        }
        self.store.open(key, length)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<Listed>> {
        self.store.list(prefix)
    }

    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        self.store.delete(key)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self.store.as_any()
    }

    fn clear_unfinished<'a>(&'a self, prefix: &'a str) -> Answer<'a, ()> {
        self.store.clear_unfinished(prefix)
    }

    fn free_space(&self) -> Option<u64> {
        match self.traps.free.load(Ordering::SeqCst) {
            0 => self.store.free_space(),
            free => Some(free),
        }
    }

    fn has_locks(&self) -> bool {
        self.has_locks
    }

    fn lock<'a>(&'a self, key: &'a str, holder: &'a str) -> Answer<'a, StoreLock> {
        self.store.lock(key, holder)
    }
}

impl Logs for Trapped {
    fn create<'a>(&'a self, key: &'a str) -> Answer<'a, Box<dyn Log>> {
        Box::pin(async {
            let (log, traps) = (self.logs.create(key).await?, Arc::clone(&self.traps));
            Ok(Box::new(TrappedLog { log, traps }) as Box<dyn Log>)
        })
    }
}

#[derive(Debug)]
struct TrappedLog {
    log: Box<dyn Log>,
    traps: Arc<Traps>,
}

impl Log for TrappedLog {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> Answer<'a, ()> {
        self.log.append(bytes)
    }

    fn sync(&mut self) -> Answer<'_, ()> {
        spring(&self.traps.sync);
        if self.traps.mute.load(Ordering::SeqCst) {
            return Box::pin(async { Err(mute("log")) });
        }
        self.log.sync()
    }
}

/// The same machine with traps in its store.
pub(crate) fn trapped(env: Env) -> (Env, Arc<Traps>) {
    let (trapped, traps) = with_traps(&env, true);
    (Env { store: Arc::clone(&trapped) as _, logs: Some(trapped as _), ..env }, traps)
}

/// The same machine with traps in its store, which has no locks and no logs that grow, as a bucket.
pub(crate) fn trapped_bucket(env: Env) -> (Env, Arc<Traps>) {
    let (trapped, traps) = with_traps(&env, false);
    (Env { store: trapped, logs: None, ..env }, traps)
}

fn with_traps(env: &Env, has_locks: bool) -> (Arc<Trapped>, Arc<Traps>) {
    let traps = Arc::new(Traps::default());
    let (store, logs) = (Arc::clone(&env.store), env.logs.clone().unwrap());
    (Arc::new(Trapped { store, logs, has_locks, traps: Arc::clone(&traps) }), traps)
}
