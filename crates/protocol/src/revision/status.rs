//! HTTP status codes as MCP uses them.

use super::Era;
use crate::codes;

pub const OK: u16 = 200;
/// A notification or an answer was taken; there is nothing to say.
pub const ACCEPTED: u16 = 202;
/// Not a message, no session where one is needed, a version nobody knows.
pub const BAD_REQUEST: u16 = 400;
pub const UNAUTHORIZED: u16 = 401;
/// A page that may not speak to us.
pub const FOREIGN_ORIGIN: u16 = 403;
/// The session is gone and the client has to initialize again. Legacy clients read it as nothing
/// else, so nothing else may be answered with it inside a session.
pub const SESSION_GONE: u16 = 404;
/// GET or DELETE where there is no stream to open and no session to end.
pub const METHOD_NOT_ALLOWED: u16 = 405;
pub const BODY_TOO_LARGE: u16 = 413;
pub const UNSUPPORTED_MEDIA_TYPE: u16 = 415;
/// A `Host` that is not ours.
pub const FOREIGN_HOST: u16 = 421;

impl Era {
    /// The status that goes with an error of the gateway's own about a request.
    ///
    /// Errors that servers answer with keep 200 for legacy clients. For modern ones this is right for
    /// them too, except that [`codes::INVALID_PARAMS`] about `_meta` is [`BAD_REQUEST`].
    pub fn status_of(self, code: i32) -> u16 {
        match (self, code) {
            (_, codes::PARSE_ERROR | codes::INVALID_REQUEST) => BAD_REQUEST,
            (Self::Modern, codes::METHOD_NOT_FOUND) => 404,
            (Self::Modern, code) if codes::is_modern(code) => BAD_REQUEST,
            (Self::Legacy | Self::Modern, _) => OK,
        }
    }
}
