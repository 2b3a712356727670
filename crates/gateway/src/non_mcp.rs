//! Hands requests that are not MCP to one tower service: health, metrics and the admin API.
//!
//! The gateway admits these requests like all others. It knows the paths of the service and nothing else
//! about it.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use tower::util::BoxCloneSyncService;

/// Describes the service that answers requests that are not MCP, and its paths.
pub struct NonMcp {
    /// Answers the requests. The extensions of a request contain its [`Caller`](crate::Caller); the body of
    /// a GET or HEAD is empty. The service itself limits its time and the bytes that it reads.
    pub service: NonMcpService,
    /// The paths that the service answers. The 404 for an unknown path lists them.
    pub paths: Vec<String>,
    /// The path prefixes that the service answers, with anything after them.
    pub below: Vec<String>,
}

/// Answers requests that are not MCP.
pub type NonMcpService = BoxCloneSyncService<Request<NonMcpBody>, Response<NonMcpBody>, Infallible>;

/// The body of a request to the service or of its response. A response body may be a stream.
pub type NonMcpBody = UnsyncBoxBody<Bytes, BodyError>;

/// The reason why a body broke off. The connection is then cut, so that the client notices.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BodyError(Box<dyn Error + Send + Sync>);

// === impl NonMcp ===

impl NonMcp {
    /// Returns whether the service answers requests for this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.iter().any(|own| own == path)
            || self.below.iter().any(|begin| path.starts_with(begin.as_str()))
    }
}

impl fmt::Debug for NonMcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonMcp").field("paths", &self.paths).finish_non_exhaustive()
    }
}

// === impl BodyError ===

impl BodyError {
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}
