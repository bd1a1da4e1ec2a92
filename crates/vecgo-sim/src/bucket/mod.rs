//! A bucket and the network before it.

mod object;
mod weather;

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use vecgo_io::{
    BoxFuture, Clock, Listed, Object, ObjectWriter, PutOutcome, Requests, Store, StoreError,
    StoreLock,
};

pub use weather::RequestFault;

use crate::machine::{SimClock, Trace};
use crate::random::Random;
use object::{BucketObject, Upload};
use weather::{Weather, latency, long};

/// A simulated bucket as a client sees it. Clones are the same bucket.
#[derive(Debug, Clone)]
pub struct SimBucket {
    state: Arc<Mutex<State>>,
    clock: SimClock,
    trace: Arc<Trace>,
    requests: Arc<Requests>,
}

#[derive(Debug)]
struct State {
    objects: BTreeMap<String, Bytes>,
    /// Conditional puts that are still under way, by when they arrive.
    late: BTreeMap<(Duration, u64), (String, Bytes)>,
    requests: u64,
    random: Random,
    weather: Weather,
    /// Objects that cannot be read until some time.
    hidden: BTreeMap<String, Duration>,
    /// Whether `If-None-Match` means anything.
    conditions: bool,
}

impl SimBucket {
    /// An empty bucket in good weather.
    pub fn new(clock: SimClock, random: Random, trace: Arc<Trace>) -> Self {
        let state = State {
            objects: BTreeMap::new(),
            late: BTreeMap::new(),
            hidden: BTreeMap::new(),
            requests: 0,
            random,
            weather: Weather::Random { one_in: 0 },
            conditions: true,
        };
        Self { state: Arc::new(Mutex::new(state)), clock, trace, requests: Arc::default() }
    }

    /// From now on one request in so many goes wrong; 0 for none.
    pub fn set_trouble(&self, one_in: usize) {
        let mut state = self.state.lock();
        state.weather = Weather::Random { one_in };
        if one_in == 0 {
            state.hidden.clear();
        }
    }

    /// The n-th request from now goes wrong, and all later ones if that is `lasting`.
    pub fn plan(&self, fault: RequestFault, request: u64, lasting: bool) {
        self.plan_for(fault, request, lasting, false);
    }

    /// The n-th put from now that decides whose a name is goes wrong, and no other request.
    pub fn plan_deciding(&self, fault: RequestFault, request: u64) {
        self.plan_for(fault, request, false, true);
    }

    fn plan_for(&self, fault: RequestFault, request: u64, lasting: bool, deciding: bool) {
        self.state.lock().weather =
            Weather::Planned { fault, request, lasting, deciding, seen: 0, struck: 0 };
    }

    /// How many requests went wrong as planned.
    pub fn struck(&self) -> u64 {
        match self.state.lock().weather {
            Weather::Planned { struck, .. } => struck,
            Weather::Random { .. } => 0,
        }
    }

    /// From now on puts overwrite, whatever their condition.
    pub fn ignore_conditions(&self) {
        self.state.lock().conditions = false;
    }

    /// Keys of all objects.
    pub fn keys(&self) -> Vec<String> {
        self.state.lock().objects.keys().cloned().collect()
    }

    /// Removes an object, as a careless operator does.
    pub fn remove(&self, key: &str) {
        self.state.lock().objects.remove(key);
    }

    /// Notes a request and says what happens to it, and how long it takes.
    fn request(&self, what: &str, key: &str, body: &[u8]) -> (Option<RequestFault>, Duration) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.arrive(self.clock.monotonic());
        state.requests += 1;
        let decides = what == "put" && !key.starts_with("probe/");
        let fault = state.weather.next(decides, &mut state.random);
        let takes = match fault {
            Some(RequestFault::Slow) => long(&mut state.random),
            _ => latency(&mut state.random),
        };
        self.trace.note(format_args!("{what} {key} {fault:?}"), body);
        (fault, takes)
    }

    /// A request that reads: it fails, or takes its time.
    async fn ask(&self, what: &str, key: &str) -> Result<(), StoreError> {
        let (fault, takes) = self.request(what, key, &[]);
        self.clock.sleep(takes).await;
        let now = self.clock.monotonic();
        if self.state().hidden.get(key).is_some_and(|until| now < *until) {
            return Err(no_answer(key));
        }
        match fault {
            None | Some(RequestFault::Slow | RequestFault::Duplicated | RequestFault::Hidden) => {
                Ok(())
            }
            Some(_) => Err(no_answer(key)),
        }
    }

    /// Looks after what has arrived meanwhile.
    fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        let mut state = self.state.lock();
        state.arrive(self.clock.monotonic());
        state
    }

    fn body(&self, key: &str) -> Result<Bytes, StoreError> {
        let body = self.state().objects.get(key).cloned();
        body.ok_or_else(|| StoreError::new(key, io::ErrorKind::NotFound.into()))
    }

    fn put(&self, key: &str, body: Bytes, fault: Option<RequestFault>) -> PutResult {
        let unknown = || Ok(PutOutcome::Unknown(no_answer(key)));
        let mut state = self.state();
        match fault {
            None | Some(RequestFault::Slow) => Ok(state.put(key, body)),
            Some(RequestFault::Lost) => unknown(),
            Some(RequestFault::AnswerLost | RequestFault::Reset) => {
                state.put(key, body);
                unknown()
            }
            Some(fault @ (RequestFault::Duplicated | RequestFault::Hidden)) => {
                state.put(key, body.clone());
                if fault == RequestFault::Hidden {
                    state.hidden.insert(key.to_owned(), self.clock.monotonic() + HIDDEN);
                }
                Ok(state.put(key, body))
            }
            Some(RequestFault::Late) => {
                let at = self.clock.monotonic() + long(&mut state.random);
                let number = state.requests;
                state.late.insert((at, number), (key.to_owned(), body));
                unknown()
            }
            Some(RequestFault::FalseConflict) => Ok(PutOutcome::Conflict),
            Some(RequestFault::Refused) => Err(no_answer(key)),
        }
    }
}

/// Longer than a client asks.
const HIDDEN: Duration = Duration::from_secs(60);

type PutResult = Result<PutOutcome, StoreError>;

impl State {
    fn put(&mut self, key: &str, body: Bytes) -> PutOutcome {
        if self.conditions && self.objects.contains_key(key) {
            return PutOutcome::Conflict;
        }
        self.objects.insert(key.to_owned(), body);
        PutOutcome::Committed
    }

    /// Does the late requests whose time has come.
    fn arrive(&mut self, now: Duration) {
        while let Some(entry) = self.late.first_entry().filter(|entry| entry.key().0 <= now) {
            let (key, body) = entry.remove();
            self.put(&key, body);
        }
    }
}

fn no_answer(key: &str) -> StoreError {
    StoreError::no_answer(key, io::ErrorKind::TimedOut.into())
}

impl Store for SimBucket {
    fn put_if_absent<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, PutResult> {
        Box::pin(async move {
            let (fault, takes) = self.request("put", key, &body);
            // It arrives at any time between now and the answer.
            let early = self.state.lock().random.one_in(2);
            if early {
                let outcome = self.put(key, body, fault);
                self.clock.sleep(takes).await;
                return outcome;
            }
            self.clock.sleep(takes).await;
            self.put(key, body, fault)
        })
    }

    fn create<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn ObjectWriter>, StoreError>> {
        Box::pin(async move {
            self.ask("create", key).await?;
            Ok(Box::new(Upload::new(self.clone(), key)) as Box<dyn ObjectWriter>)
        })
    }

    fn open<'a>(
        &'a self,
        key: &'a str,
        length: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Object>, StoreError>> {
        Box::pin(async move {
            let length = match length {
                Some(length) => length,
                None => {
                    self.ask("open", key).await?;
                    self.body(key)?.len() as u64
                }
            };
            Ok(Box::new(BucketObject::new(self.clone(), key, length)) as Box<dyn Object>)
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<u8>, StoreError>> {
        Box::pin(async move {
            self.ask("get", key).await?;
            Ok(self.body(key)?.to_vec())
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        Box::pin(async move {
            self.ask("list", prefix).await?;
            let state = self.state();
            let from = state.objects.range(prefix.to_owned()..);
            let under = from.take_while(|(key, _)| key.starts_with(prefix));
            Ok(under
                .map(|(key, body)| Listed { key: key.clone(), length: body.len() as u64 })
                .collect())
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let (fault, takes) = self.request("delete", key, &[]);
            self.clock.sleep(takes).await;
            use RequestFault::{AnswerLost, Duplicated, Slow};
            if matches!(fault, None | Some(AnswerLost | Duplicated | Slow)) {
                self.state().objects.remove(key);
            }
            match fault {
                None | Some(Slow | Duplicated) => Ok(()),
                Some(_) => Err(no_answer(key)),
            }
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    /// It is whole or not there, whatever becomes of the answer.
    fn copy_from<'a>(
        &'a self,
        from: &'a dyn Store,
        key: &'a str,
        _length: u64,
        to: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let Some(from) = from.as_any().downcast_ref::<Self>() else { return Ok(false) };
            let (fault, takes) = self.request("copy", to, &[]);
            self.clock.sleep(takes).await;
            use RequestFault::{AnswerLost, Duplicated, Slow};
            if matches!(fault, None | Some(AnswerLost | Duplicated | Slow)) {
                let body = from.body(key)?;
                self.state().objects.insert(to.to_owned(), body);
            }
            match fault {
                None | Some(Slow | Duplicated) => Ok(true),
                Some(_) => Err(no_answer(to)),
            }
        })
    }

    fn clear_unfinished<'a>(&'a self, _prefix: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    /// So that the engine takes it for as far away as it is.
    fn requests(&self) -> Option<&Requests> {
        Some(&self.requests)
    }

    fn has_locks(&self) -> bool {
        false
    }

    fn lock<'a>(
        &'a self,
        key: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        Box::pin(async move { Err(StoreError::new(key, io::ErrorKind::Unsupported.into())) })
    }
}
