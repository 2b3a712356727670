//! Error codes of JSON-RPC and of MCP. Refusals of Mainstay's own have positive codes of their own.

/// The bytes were no JSON.
pub const PARSE_ERROR: i32 = -32700;
/// JSON, but no JSON-RPC message.
pub const INVALID_REQUEST: i32 = -32600;
pub const METHOD_NOT_FOUND: i32 = -32601;
pub const INVALID_PARAMS: i32 = -32602;
pub const INTERNAL_ERROR: i32 = -32603;

/// No meaning fixed by any revision; SDKs use it for "no session", "not initialized", "connection closed".
pub const SERVER_ERROR: i32 = -32000;
/// What SDKs answer for a session they don't know.
pub const SESSION_NOT_FOUND: i32 = -32001;
/// Up to 2025-11-25. Later revisions say [`INVALID_PARAMS`].
pub const RESOURCE_NOT_FOUND: i32 = -32002;
/// Only 2025-11-25: the user has to visit a URL first.
pub const URL_ELICITATION_REQUIRED: i32 = -32042;

/// From 2026-07-28: a header is missing or does not say what the body says.
pub const HEADER_MISMATCH: i32 = -32020;
/// From 2026-07-28: the request needs a capability the client did not declare.
pub const MISSING_CLIENT_CAPABILITY: i32 = -32021;
/// From 2026-07-28: the revision asked for is not spoken here.
pub const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;

/// Whether an error can only come from a server of 2026-07-28 or later.
///
/// Telling the eras apart needs this: any other error to a modern request means nothing.
pub fn is_modern(code: i32) -> bool {
    (UNSUPPORTED_PROTOCOL_VERSION..=HEADER_MISMATCH).contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_codes_tell_a_modern_server() {
        for code in [HEADER_MISMATCH, MISSING_CLIENT_CAPABILITY, UNSUPPORTED_PROTOCOL_VERSION] {
            assert!(is_modern(code), "{code}");
        }
        for code in [METHOD_NOT_FOUND, INVALID_PARAMS, SERVER_ERROR, -32019, -32023, 0] {
            assert!(!is_modern(code), "{code}");
        }
    }
}
