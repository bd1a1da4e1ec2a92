//! A server on loopback that speaks as much of S3's language as our client does, holds its objects in
//! memory, and can be told how to misbehave.

mod answer;
mod bucket;
mod trouble;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::RANGE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use answer::{Body, listing, plain, refused};
use bucket::Bucket;
pub use trouble::{Fault, Trouble};
use trouble::{Gate, Plan};

/// A running server with one bucket, `test`. It stops when this is dropped.
#[derive(Debug)]
pub struct Fake {
    shared: Arc<Shared>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

#[derive(Debug, Default)]
struct Shared {
    bucket: Mutex<Bucket>,
    plan: Mutex<Plan>,
    gate: Gate,
    delay_us: AtomicU64,
    asked: Mutex<Vec<Asked>>,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// The object, or the prefix that was listed.
    pub key: String,
    /// The range that was asked for, as in the header.
    pub range: Option<String>,
    /// Bytes of its body.
    pub sent: usize,
}

impl Fake {
    /// Starts one on a port that is free.
    ///
    /// # Errors
    /// The system gives no port or no threads.
    pub fn start() -> io::Result<Self> {
        Self::start_on(0)
    }

    /// Starts one on this port.
    ///
    /// # Errors
    /// As [`Fake::start`].
    pub fn start_on(port: u16) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", port)))?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, runtime: Some(runtime) })
    }

    /// What a client gives as its endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The settings with which a client reaches it.
    pub fn options(&self) -> Vec<(String, String)> {
        let endpoint = self.endpoint();
        let settings =
            [("endpoint", &*endpoint), ("access_key_id", "key"), ("secret_access_key", "secret")];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// From now on every request is answered so much later.
    pub fn set_delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.shared.delay_us.store(micros, Ordering::Relaxed);
    }

    /// From now on its clock is so much behind.
    pub fn set_clock_behind(&self, behind: Duration) {
        self.shared.bucket.lock().behind = behind;
    }

    /// From now on requests go wrong so.
    pub fn set_trouble(&self, trouble: Trouble) {
        *self.shared.plan.lock() = Plan::new(trouble);
    }

    /// How many requests have gone wrong since that was last set.
    pub fn struck(&self) -> u64 {
        self.shared.plan.lock().struck()
    }

    /// Whether puts keep to their conditions; they do until this is said.
    pub fn keep_conditions(&self, keep: bool) {
        self.shared.bucket.lock().keeps_conditions = keep;
    }

    /// Most objects on one page of a listing.
    pub fn set_page(&self, objects: usize) {
        self.shared.bucket.lock().page = objects;
    }

    /// Uploads that are neither finished nor given up.
    pub fn unfinished(&self) -> usize {
        self.shared.bucket.lock().uploads.len()
    }

    /// The keys of all objects.
    pub fn keys(&self) -> Vec<String> {
        self.shared.bucket.lock().objects.keys().cloned().collect()
    }

    /// Removes an object, as a careless operator does.
    pub fn remove(&self, key: &str) {
        self.shared.bucket.lock().objects.remove(key);
    }

    /// Forgets what came so far.
    pub fn forget(&self) {
        self.shared.asked.lock().clear();
    }

    /// What came since the last [`Fake::forget`].
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }

    /// From now on answers wait until nothing more is asked for a while, and then go out together. So each
    /// of these moments is a round trip that had to wait for the one before. 0 ends it.
    pub fn count_rounds(&self, quiet: Duration) {
        self.shared.gate.set(quiet);
    }

    /// Whether copies are made, or what asks for one is taken for an empty object, as by servers that do not
    /// know of them (they are).
    pub fn make_copies(&self, make: bool) {
        self.shared.bucket.lock().copies = make;
    }

    /// Round trips since [`Fake::count_rounds`].
    pub fn rounds(&self) -> u64 {
        self.shared.gate.rounds()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        // A real network does not wait for more either.
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { shared.answer(request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    // A connection that is cut is cut.
    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
}

/// A connection that ends without an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

impl From<Infallible> for Cut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A request that was read to its end.
struct Read {
    method: Method,
    key: String,
    query: Vec<(String, String)>,
    range: Option<String>,
    if_absent: bool,
    /// The object that is to be copied, with its bucket.
    copies: Option<String>,
    body: Bytes,
}

impl Read {
    fn argument(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether it puts an object that must not be there yet.
    fn decides(&self) -> bool {
        self.method == Method::PUT && self.if_absent
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let Some(request) = read(request).await else { return Err(Cut) };
        self.asked.lock().push(Asked {
            method: request.method.to_string(),
            key: request.argument("prefix").unwrap_or(&request.key).to_owned(),
            range: request.range.clone(),
            sent: request.body.len(),
        });
        self.gate.pass().await;
        let delay = Duration::from_micros(self.delay_us.load(Ordering::Relaxed));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let fault = self.plan.lock().next(request.decides(), request.method == Method::GET);
        match fault {
            None => Ok(self.done(&request)),
            Some(Fault::Lost) => Err(Cut),
            Some(Fault::AnswerLost) => {
                self.done(&request);
                Err(Cut)
            }
            Some(Fault::DoneButRefused) => {
                self.done(&request);
                Ok(refused(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"))
            }
            Some(Fault::Refused) => Ok(refused(StatusCode::SERVICE_UNAVAILABLE, "SlowDown")),
            Some(Fault::FalseConflict) if request.decides() => {
                Ok(refused(StatusCode::CONFLICT, "ConditionalRequestConflict"))
            }
            Some(Fault::FalseConflict) => Ok(self.done(&request)),
            Some(Fault::Unanswered { done }) => {
                if done {
                    self.done(&request);
                }
                std::future::pending().await
            }
            Some(Fault::Silent(time)) => {
                tokio::time::sleep(time).await;
                Err(Cut)
            }
            Some(Fault::Slow(time)) => {
                tokio::time::sleep(time).await;
                Ok(self.done(&request))
            }
            Some(Fault::CutShort) => Ok(answer::cut_short(self.done(&request)).await),
            Some(Fault::Flipped) => Ok(answer::flipped(self.done(&request)).await),
            Some(Fault::Shorter) => Ok(answer::shorter(self.done(&request)).await),
        }
    }

    fn done(&self, request: &Read) -> Response<Body> {
        let mut bucket = self.bucket.lock();
        let upload = request.argument("uploadId");
        match (&request.method, upload) {
            (&Method::GET, _) if request.argument("list-type").is_some() => {
                let prefix = request.argument("prefix").unwrap_or_default();
                let after = request.argument("continuation-token");
                let after = after.or(request.argument("start-after"));
                listing(&bucket, prefix, after, request.argument("delimiter"))
            }
            (&Method::GET | &Method::HEAD, _) => match bucket.objects.get(&request.key) {
                None => refused(StatusCode::NOT_FOUND, "NoSuchKey"),
                Some(object) => {
                    let (range, head) = (request.range.as_deref(), request.method == Method::HEAD);
                    // All of it was put just now.
                    #[expect(clippy::disallowed_methods, reason = "a server has a clock")]
                    let now = SystemTime::now();
                    answer::object(object, range, head, now - bucket.behind)
                }
            },
            (&Method::PUT, None) if request.copies.is_some() && bucket.copies => {
                let from = request.copies.as_deref().unwrap_or_default();
                match bucket.objects.get(from).cloned() {
                    None => refused(StatusCode::NOT_FOUND, "NoSuchKey"),
                    Some(body) => {
                        bucket.put(&request.key, body, false);
                        answer::copied()
                    }
                }
            }
            (&Method::PUT, None) => {
                match bucket.put(&request.key, request.body.clone(), request.if_absent) {
                    true => plain(&request.body),
                    false => refused(StatusCode::PRECONDITION_FAILED, "PreconditionFailed"),
                }
            }
            (&Method::PUT, Some(upload)) => {
                let number = request.argument("partNumber").and_then(|n| n.parse().ok());
                match bucket.add_part(upload, number.unwrap_or(0), request.body.clone()) {
                    true => plain(&request.body),
                    false => refused(StatusCode::NOT_FOUND, "NoSuchUpload"),
                }
            }
            (&Method::POST, None) if request.argument("uploads").is_some() => {
                answer::begun(&bucket.begin_upload(&request.key))
            }
            (&Method::POST, Some(upload)) => match bucket.finish_upload(upload) {
                true => answer::finished(),
                false => refused(StatusCode::NOT_FOUND, "NoSuchUpload"),
            },
            (&Method::DELETE, Some(upload)) => {
                bucket.uploads.remove(upload);
                answer::nothing()
            }
            (&Method::DELETE, None) => {
                bucket.objects.remove(&request.key);
                answer::nothing()
            }
            _ => refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        }
    }
}

async fn read(request: Request<Incoming>) -> Option<Read> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_start_matches('/');
    let key = key_of(path);
    let query = head.uri.query().unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let range = head.headers.get(RANGE).and_then(|range| range.to_str().ok().map(str::to_owned));
    let if_absent = head.headers.get("if-none-match").is_some_and(|condition| condition == "*");
    let copies = head.headers.get("x-amz-copy-source").and_then(|from| from.to_str().ok());
    let copies = copies.map(|from| key_of(from.trim_start_matches('/')));
    let body = body.collect().await.ok()?.to_bytes();
    Some(Read { method: head.method, key, query, range, if_absent, copies, body })
}

/// What follows the bucket in a path.
fn key_of(path: &str) -> String {
    let (_, key) = path.split_once('/').unwrap_or((path, ""));
    // In a path these three mean themselves.
    let escaped = key.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let key = form_urlencoded::parse(escaped.as_bytes()).into_owned().next();
    key.map_or(String::new(), |(key, _)| key)
}
