//! The floors inside crates.

use super::inside::Inside;

/// The crates with floors inside, lowest floor first. A module gets its floor by its name in a line.
pub(super) const INSIDE: [Inside; 1] = [Inside {
    name: "gateway",
    floors: &[
        &["admission", "caller", "non_mcp", "server", "serving"],
        &["stream"],
        &["answer"],
        &["session", "sse_streams"],
        &["endpoint", "topology"],
        &["directory"],
        &["sessions"],
        &["call"],
        &["pipeline", "stateless"],
        &["gateway"],
        &["edge"],
        &["listener"],
    ],
}];
