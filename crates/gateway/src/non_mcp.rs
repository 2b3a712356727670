//! The service for requests that are not MCP: health, metrics, the admin API.
//!
//! The gateway admits such requests as it does all others and hands them to one tower service. It knows the
//! paths of that service and nothing else about it.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use tower::util::BoxCloneSyncService;

/// What answers requests that are not MCP, and where.
pub struct NonMcp {
    /// The extensions of a request hold its [`Caller`](crate::Caller). A GET or HEAD has an empty body. The
    /// service bounds its own time and the bytes that it reads.
    pub service: NonMcpService,
    /// The paths that the service answers. A 404 for another path lists them.
    pub paths: Vec<String>,
    /// Beginnings of paths that are the service's, whatever follows.
    pub below: Vec<String>,
}

/// A tower service for requests that are not MCP.
pub type NonMcpService = BoxCloneSyncService<Request<NonMcpBody>, Response<NonMcpBody>, Infallible>;

/// The body of a request to the service, or of its response, which may be a stream.
pub type NonMcpBody = UnsyncBoxBody<Bytes, BodyError>;

/// Why a body broke off. The connection is cut then, so that the client sees it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BodyError(Box<dyn Error + Send + Sync>);

// === impl NonMcp ===

impl NonMcp {
    /// Whether the service answers at a path.
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
