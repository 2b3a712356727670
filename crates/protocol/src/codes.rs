//! Error codes of JSON-RPC and MCP. Refusals by Mainstay have positive codes; see
//! `mainstay_model::refusal`.

/// The message is not JSON.
pub const PARSE_ERROR: i32 = -32700;
/// The message is JSON, but not a JSON-RPC message.
pub const INVALID_REQUEST: i32 = -32600;
pub const METHOD_NOT_FOUND: i32 = -32601;
pub const INVALID_PARAMS: i32 = -32602;
pub const INTERNAL_ERROR: i32 = -32603;

/// Not defined by any revision. SDKs use it for "no session", "not initialized" and "connection closed".
pub const SERVER_ERROR: i32 = -32000;
/// Not defined by any revision. SDKs answer it for an unknown session.
pub const SESSION_NOT_FOUND: i32 = -32001;
/// The resource does not exist. Up to 2025-11-25; later revisions use [`INVALID_PARAMS`].
pub const RESOURCE_NOT_FOUND: i32 = -32002;
/// The user must visit a URL first. Only in 2025-11-25.
pub const URL_ELICITATION_REQUIRED: i32 = -32042;

/// A header is missing or contradicts the body. From 2026-07-28.
pub const HEADER_MISMATCH: i32 = -32020;
/// The request needs a capability that the client did not declare. From 2026-07-28.
pub const MISSING_CLIENT_CAPABILITY: i32 = -32021;
/// The server does not support the requested revision. From 2026-07-28.
pub const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;

/// Whether only a server of 2026-07-28 or later answers with this code.
///
/// Era detection relies on these codes: any other error to a modern request tells nothing about the era.
pub fn is_modern(code: i32) -> bool {
    (UNSUPPORTED_PROTOCOL_VERSION..=HEADER_MISMATCH).contains(&code)
}

/// The name of a code, as in `data.code` of the gateway's own errors.
pub fn name(code: i32) -> &'static str {
    match code {
        PARSE_ERROR => "PARSE_ERROR",
        METHOD_NOT_FOUND => "METHOD_NOT_FOUND",
        INVALID_PARAMS => "INVALID_PARAMS",
        SESSION_NOT_FOUND => "SESSION_NOT_FOUND",
        HEADER_MISMATCH => "HEADER_MISMATCH",
        MISSING_CLIENT_CAPABILITY => "MISSING_CLIENT_CAPABILITY",
        UNSUPPORTED_PROTOCOL_VERSION => "UNSUPPORTED_PROTOCOL_VERSION",
        _ => "INVALID_REQUEST",
    }
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
