//! What is planned: the floors inside crates, and how much of what has to go is still there.

use super::inside::Inside;

/// The crates with floors inside, lowest floor first. A module gets its floor by its name in a line.
pub(super) const INSIDE: [Inside; 1] = [Inside {
    name: "gateway",
    floors: &[
        &["admission", "caller", "server", "serving"],
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
    known: &[],
}];

/// Files that stand in circles of more than four, by crate. A number may only go down.
pub(super) const IN_CIRCLES: [(&str, usize); 0] = [];

/// Names of types that stand for two things, by crate. A number may only go down.
pub(super) const TWOFOLD: [(&str, usize); 4] =
    [("bench", 4), ("config", 2), ("mainstay", 1), ("testkit", 2)];
