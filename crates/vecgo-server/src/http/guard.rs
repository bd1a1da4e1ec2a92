//! Who may, from where, how many at a time and for how long: decided before a body is read.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State as Extract};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::body::Body as HttpBody;
use vecgo::ErrorKind;

use super::ApiError;
use super::answer::Keeping;
use super::body::Share;
use crate::keys::Scope;
use crate::metrics::InFlight;
use crate::serve::State;

/// How long what goes on for long by nature may go on when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// An answer of so many bytes is as good as sent.
const SHORT_BYTES: u64 = 64 << 10;

/// How a group of paths is guarded.
#[derive(Debug, Clone, Copy)]
struct Guard {
    scope: Scope,
    pace: Pace,
}

/// How long requests may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Until `limits.time`.
    Timed,
    /// As long as they take, which is long by nature.
    Long,
    /// As long as the client takes. There may be fewer of them, so that they keep no others waiting.
    Streamed,
}

/// Paths that a key of this scope opens.
pub(crate) fn guarded(
    router: Router<Arc<State>>,
    state: &Arc<State>,
    scope: Scope,
    pace: Pace,
) -> Router<Arc<State>> {
    let guard = Guard { scope, pace };
    let state = Arc::clone(state);
    router.route_layer(from_fn_with_state((state, guard), check))
}

/// What all requests go through, those without a key too.
pub(crate) fn open(router: Router<Arc<State>>, state: &Arc<State>) -> Router<Arc<State>> {
    router
        .fallback(nothing_here)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(Arc::clone(state), seen))
}

async fn check(
    Extract((state, guard)): Extract<(Arc<State>, Guard)>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let scope = state.keys.scope(request.headers()).ok_or_else(ApiError::unauthenticated)?;
    if scope < guard.scope {
        return Err(ApiError::forbidden("this key may read only"));
    }
    if guard.scope == Scope::Write && state.settings.read_only {
        return Err(ApiError::of(
            ErrorKind::ReadOnly,
            "this server is a replica; write through the writer",
        ));
    }
    let turns = match guard.pace {
        Pace::Timed | Pace::Long => &state.turns,
        Pace::Streamed => &state.streams,
    };
    let Ok(turn) = Arc::clone(turns).try_acquire_owned() else {
        let message = "too many requests at a time (limits.requests; of scans and imports a sixteenth); try again";
        return Err(ApiError::of(ErrorKind::ResourceExhausted, message));
    };
    let share = Arc::new(Share::new(&state.bodies, request.body()));
    request.extensions_mut().insert(Arc::clone(&share));
    let answer = tokio::select! {
        biased;
        answer = next.run(request) => answer,
        why = over(&state, guard.pace) => {
            let kind = match guard.scope {
                // It goes on, or is done.
                Scope::Write if share.has_come() => ErrorKind::OutcomeUnknown,
                _ => ErrorKind::Unavailable,
            };
            return Err(ApiError::of(kind, why));
        }
    };
    // An answer that takes long to be sent has its turn until it is.
    Ok(match answer.body().size_hint().exact() {
        Some(bytes) if bytes <= SHORT_BYTES => answer,
        _ => answer.map(|body| Body::new(Keeping { body, _kept: turn })),
    })
}

/// Returns when a request may go on no longer, and says why.
async fn over(state: &State, pace: Pace) -> String {
    let time = state.settings.limits.time;
    match pace {
        Pace::Timed => {
            tokio::time::sleep(time).await;
            format!("took longer than {time:?} (limits.time)")
        }
        Pace::Long => {
            state.stopping().await;
            tokio::time::sleep(GRACE).await;
            "the server is stopping".to_owned()
        }
        // They see by themselves that it stops, and say how far they came.
        Pace::Streamed => std::future::pending().await,
    }
}

/// Counts and logs, and sends away who comes by way of somebody else's page.
async fn seen(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let mut asked = Asked {
        path: matched.map_or("", MatchedPath::as_str).to_owned(),
        method: request.method().clone(),
        start: Instant::now(),
        // Unless it is answered.
        status: hung_up(),
        _in_flight: state.metrics.begin(),
        state: Arc::clone(&state),
    };
    let answer = match check_host(&state, state.settings.listen, request.headers()) {
        Ok(()) => answered(request, next).await,
        Err(error) => error.into_response(),
    };
    asked.status = answer.status();
    answer
}

/// What proxies call it when a client hangs up before it is answered.
fn hung_up() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT)
}

/// A request, which is counted however it ends.
struct Asked {
    method: Method,
    path: String,
    start: Instant,
    status: StatusCode,
    state: Arc<State>,
    _in_flight: InFlight,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Self { method, path, start, status, state, .. } = self;
        let took = start.elapsed();
        state.metrics.request(method, path, *status, took);
        tracing::debug!(%method, path, status = status.as_u16(), seconds = took.as_secs_f64(), "request");
    }
}

/// What an address of its own for metrics goes through.
pub(crate) fn guarded_host(
    router: Router<Arc<State>>,
    state: &Arc<State>,
    address: SocketAddr,
) -> Router<Arc<State>> {
    let check = move |Extract(state): Extract<Arc<State>>, request: Request, next: Next| async move {
        check_host(&state, address, request.headers())?;
        Ok::<_, ApiError>(next.run(request).await)
    };
    router.layer(from_fn_with_state(Arc::clone(state), check))
}

/// Within a span, where those are built in.
async fn answered(request: Request, next: Next) -> Response {
    #[cfg(feature = "otel")]
    {
        use tracing::Instrument;
        let span = crate::traces::span(&request);
        let answer = next.run(request).instrument(span.clone()).await;
        crate::traces::answered(&span, answer.status());
        answer
    }
    #[cfg(not(feature = "otel"))]
    next.run(request).await
}

/// Without keys a page in a browser of this machine could do what its user may. It cannot if it has
/// to name this machine (which a name that somebody else made point here does not), and not as somebody else.
fn check_host(state: &State, address: SocketAddr, headers: &HeaderMap) -> Result<(), ApiError> {
    if !state.keys.is_empty() {
        return Ok(());
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    // Beyond this machine it has names that nobody knows here.
    if address.ip().is_loopback() && !is_here(host) {
        return Err(ApiError::forbidden("Host is not this machine, and no key is set"));
    }
    let origin =
        text(header::ORIGIN).map(|origin| origin.split_once("://").map_or("", |(_, host)| host));
    match origin {
        Some(origin) if origin != host => {
            Err(ApiError::forbidden("the request comes from another page"))
        }
        _ => Ok(()),
    }
}

/// Whether `host`, with or without a port, is a name of the loopback interface.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Only whoever may read learns what there is not.
async fn nothing_here(Extract(state): Extract<Arc<State>>, request: Request) -> ApiError {
    match state.keys.scope(request.headers()) {
        Some(_) => ApiError::of(
            ErrorKind::NotFound,
            format!("there is nothing at {}", request.uri().path()),
        ),
        None => ApiError::unauthenticated(),
    }
}

async fn no_such_method(
    Extract(state): Extract<Arc<State>>,
    method: Method,
    request: Request,
) -> ApiError {
    match state.keys.scope(request.headers()) {
        Some(_) => {
            let message = format!("{method} is not what can be done at {}", request.uri().path());
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorKind::InvalidArgument, message)
        }
        None => ApiError::unauthenticated(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for here in
            ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "[::1]:8080", "127.1.2.3:9"]
        {
            assert!(is_here(here), "{here}");
        }
        for other in [
            "",
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org:80",
            "10.0.0.1",
            "[::2]:1",
        ] {
            assert!(!is_here(other), "{other}");
        }
    }
}
