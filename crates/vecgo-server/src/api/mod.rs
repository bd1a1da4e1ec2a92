//! The paths. Each is a call of the library; what is asked and answered is described where it is served, and the
//! description of all (OpenAPI) is made from that.

mod backups;
mod collections;
mod records;
mod search;
mod streams;
mod versions;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vecgo::ErrorKind;

use crate::http::{ApiError, ErrorJson, Pace, Reply, guarded, guarded_host, open};
use crate::keys::Scope;
use crate::serve::State;
use crate::{health, metrics, page};

/// The collection that is meant where none is named.
const DEFAULT: &str = "default";

type Paths = OpenApiRouter<Arc<State>>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Vecgo",
        description = "Collections of vectors with metadata: written, searched, committed, backed up.",
    ),
    components(schemas(ErrorJson)),
    tags(
        (name = "search", description = "Finding what is near"),
        (name = "records", description = "Writing, reading, counting and deleting"),
        (name = "collections", description = "What there is, and how it is indexed"),
        (name = "versions", description = "Committing, and what is kept"),
        (name = "operation", description = "Backups, health and metrics"),
    )
)]
struct Document;

/// Paths with their scope and pace.
fn groups() -> [(Paths, Scope, Pace); 6] {
    [
        (reads(), Scope::Read, Pace::Timed),
        (Paths::new().routes(routes!(backups::list)), Scope::Read, Pace::Long),
        (Paths::new().routes(routes!(streams::scan)), Scope::Read, Pace::Streamed),
        (writes(), Scope::Write, Pace::Timed),
        (long_writes(), Scope::Write, Pace::Long),
        (Paths::new().routes(routes!(streams::import)), Scope::Write, Pace::Streamed),
    ]
}

fn reads() -> Paths {
    Paths::new()
        .routes(routes!(search::search))
        .routes(routes!(search::search_default))
        .routes(routes!(search::batch))
        .routes(routes!(search::groups))
        .routes(routes!(search::explain))
        .routes(routes!(records::get))
        .routes(routes!(records::count))
        .routes(routes!(records::facet))
        .routes(routes!(collections::list))
        .routes(routes!(collections::describe))
        .routes(routes!(collections::schema))
        .routes(routes!(collections::stats))
        .routes(routes!(versions::list))
        .routes(routes!(versions::refresh))
        .routes(routes!(document))
        .routes(routes!(metrics::get))
}

fn writes() -> Paths {
    Paths::new()
        .routes(routes!(records::upsert))
        .routes(routes!(records::insert))
        .routes(routes!(records::update))
        .routes(routes!(collections::create))
        .routes(routes!(collections::drop))
        .routes(routes!(collections::rename))
        .routes(routes!(versions::tag))
        .routes(routes!(versions::untag))
}

fn long_writes() -> Paths {
    Paths::new()
        .routes(routes!(records::delete))
        .routes(routes!(collections::configure))
        .routes(routes!(collections::set_schema))
        .routes(routes!(versions::commit))
        .routes(routes!(versions::flush))
        .routes(routes!(versions::compact))
        .routes(routes!(versions::vacuum))
        .routes(routes!(backups::snapshot))
}

/// Paths for everybody: they tell nothing of what is stored.
fn open_paths() -> Paths {
    Paths::new()
        .routes(routes!(health::get))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}

/// Everything that is served.
pub(crate) fn router(state: &Arc<State>) -> Router {
    let mut router = Router::from(open_paths()).merge(page::router());
    for (paths, scope, pace) in groups() {
        router = router.merge(guarded(Router::from(paths), state, scope, pace));
    }
    open(router, state).with_state(Arc::clone(state))
}

/// What an address of its own for metrics serves, and nothing else. Whoever reaches it needs no key.
pub(crate) fn metrics_router(state: &Arc<State>, address: SocketAddr) -> Router {
    let metrics = Paths::new().routes(routes!(metrics::get));
    guarded_host(Router::from(open_paths().merge(metrics)), state, address)
        .with_state(Arc::clone(state))
}

/// The description of all paths, as OpenAPI has it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A key of the server's settings."));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("key", SecurityScheme::Http(key.build()));
    document.security = Some(vec![SecurityRequirement::new("key", Vec::<String>::new())]);
    for (paths, _, _) in groups() {
        document.merge(paths.into_openapi());
    }
    document.merge(open_paths().into_openapi());
    document
}

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation",
    responses(
        (status = 200, description = "An OpenAPI document", body = Object),
        (status = "default", description = "Not done, and why", body = ErrorJson),
    )
)]
async fn document() -> Reply<utoipa::openapi::OpenApi> {
    Reply(openapi())
}

/// The name of a collection in a path.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

/// The name of a collection and that of a version in a path.
#[derive(Debug)]
pub(crate) struct Tagged {
    pub(crate) name: String,
    pub(crate) tag: String,
}

/// Parts of a path, by what they are.
async fn named(parts: &mut Parts, state: &Arc<State>) -> Result<HashMap<String, String>, ApiError> {
    let path = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
    path.map(|Path(named)| named).map_err(|error| ApiError::invalid(error.to_string()))
}

fn part(named: &mut HashMap<String, String>, what: &str) -> Result<String, ApiError> {
    let missing = || ApiError::of(ErrorKind::Internal, format!("no {what} in the path"));
    named.remove(what).ok_or_else(missing)
}

impl FromRequestParts<Arc<State>> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, ApiError> {
        part(&mut named(parts, state).await?, "name").map(Self)
    }
}

impl FromRequestParts<Arc<State>> for Tagged {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, ApiError> {
        let mut named = named(parts, state).await?;
        Ok(Self { name: part(&mut named, "name")?, tag: part(&mut named, "tag")? })
    }
}
