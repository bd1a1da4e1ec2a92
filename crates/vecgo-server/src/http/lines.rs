//! JSON Lines that come for as long as they like.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use std::sync::Arc;

use super::ApiError;
use super::body::{broken, check_type, too_slow};
use crate::serve::State;

/// A body of lines, read as they come.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Body,
    /// What came and is not yet read.
    rest: BytesMut,
    /// How much of `rest` has no end of a line.
    searched: usize,
    ended: bool,
    longest: usize,
    idle: Duration,
    /// Of the line that was read last, from 1 on.
    pub(crate) number: u64,
}

impl FromRequest<Arc<State>> for Lines {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, ApiError> {
        check_type(request.headers(), "application/jsonl")
            .or_else(|_| check_type(request.headers(), "application/x-ndjson"))?;
        let limits = &state.settings.limits;
        Ok(Self {
            body: request.into_body(),
            rest: BytesMut::new(),
            searched: 0,
            ended: false,
            longest: limits.line,
            idle: limits.idle,
            number: 0,
        })
    }
}

impl Lines {
    /// The next line that is not blank.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            let Some(line) = self.line().await? else { return Ok(None) };
            self.number += 1;
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    async fn line(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            let end = self.rest[self.searched..].iter().position(|byte| *byte == b'\n');
            let length = end.map_or(self.rest.len(), |end| self.searched + end);
            if length > self.longest {
                let message = format!("over {} bytes (limits.line)", self.longest);
                return Err(ApiError::invalid(message).context(self.place(1)));
            }
            self.searched = 0;
            if end.is_some() {
                let line = self.rest.split_to(length).freeze();
                self.rest.advance(1);
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(Some(self.rest.split().freeze()).filter(|line| !line.is_empty()));
            }
            self.searched = length;
            let frame = tokio::time::timeout(self.idle, self.body.frame()).await;
            match frame.map_err(|_| too_slow())? {
                None => self.ended = true,
                Some(frame) => {
                    if let Ok(data) = frame.map_err(broken)?.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
            }
        }
    }

    /// The line so many after the last that was read.
    pub(crate) fn place(&self, after: u64) -> String {
        format!("line {}", self.number + after)
    }
}
