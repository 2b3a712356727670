//! HTTP status codes as MCP uses them.

use super::Era;
use crate::codes;

pub const OK: u16 = 200;
/// A notification or response was accepted. The HTTP response has no body.
pub const ACCEPTED: u16 = 202;
/// The body is not a message, a required session id is missing, or the revision is unknown.
pub const BAD_REQUEST: u16 = 400;
pub const UNAUTHORIZED: u16 = 401;
/// The request's `Origin` is not allowed.
pub const FOREIGN_ORIGIN: u16 = 403;
/// The session has ended and the client must initialize again. Within a session, legacy clients understand
/// 404 in no other way, so no other error may use it.
pub const SESSION_GONE: u16 = 404;
/// The address does not support GET or DELETE.
pub const METHOD_NOT_ALLOWED: u16 = 405;
pub const BODY_TOO_LARGE: u16 = 413;
pub const UNSUPPORTED_MEDIA_TYPE: u16 = 415;
/// The request's `Host` is not allowed.
pub const FOREIGN_HOST: u16 = 421;

impl Era {
    /// The HTTP status for an error that the gateway itself answers a request with.
    ///
    /// For errors of servers, legacy clients get status 200. Modern clients get the status given here,
    /// except that [`codes::INVALID_PARAMS`] about `_meta` has [`BAD_REQUEST`].
    pub fn status_of(self, code: i32) -> u16 {
        match (self, code) {
            (_, codes::PARSE_ERROR | codes::INVALID_REQUEST) => BAD_REQUEST,
            (Self::Modern, codes::METHOD_NOT_FOUND) => 404,
            (Self::Modern, code) if codes::is_modern(code) => BAD_REQUEST,
            (Self::Legacy | Self::Modern, _) => OK,
        }
    }
}
