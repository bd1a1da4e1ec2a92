use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use vecgo::{Error, ErrorKind};

use super::Reply;

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    kind: String,
    message: String,
    row: Option<usize>,
}

/// The body of every answer that is a failure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorJson {
    error: Failure,
}

/// A failure.
#[derive(Debug, Serialize, ToSchema)]
struct Failure {
    /// What to do about it: a kind as the library and the command line have them, or `Unauthenticated` or
    /// `Forbidden`.
    kind: String,
    /// What was expected and what was found.
    message: String,
    /// The row of the request that is at fault, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<usize>,
}

impl ApiError {
    /// A failure that HTTP has a status of its own for.
    pub(crate) fn new(status: StatusCode, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { status, kind: kind.to_string(), message: message.into(), row: None }
    }

    pub(crate) fn of(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error::new(kind, message).into()
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn unauthenticated() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            kind: "Unauthenticated".to_owned(),
            message: "expected `Authorization: Bearer` and a key".to_owned(),
            row: None,
        }
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            kind: "Forbidden".to_owned(),
            message: message.to_owned(),
            row: None,
        }
    }

    /// The same failure seen from further up.
    pub(crate) fn context(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let status = StatusCode::from_u16(error.kind().http_status());
        Self {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            kind: error.kind().to_string(),
            message: error.message().to_owned(),
            row: error.row(),
        }
    }
}

impl From<vecgo::ConfigError> for ApiError {
    fn from(error: vecgo::ConfigError) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, kind, message, row } = self;
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), kind, reason = message, "a request failed");
        }
        let mut response =
            Reply(ErrorJson { error: Failure { kind, message, row } }).into_response();
        *response.status_mut() = status;
        if status == StatusCode::UNAUTHORIZED {
            let scheme = axum::http::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, scheme);
        }
        if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status) {
            let seconds = axum::http::HeaderValue::from_static("1");
            response.headers_mut().insert(axum::http::header::RETRY_AFTER, seconds);
        }
        response
    }
}
