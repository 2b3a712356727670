//! What is planned: the floors inside crates, and how much of what has to go is still there.

use super::inside::Inside;

/// The crates with floors inside, lowest floor first. A module gets its floor by its name in a line.
pub(super) const INSIDE: [Inside; 1] = [Inside {
    name: "gateway",
    floors: &[
        &["answer", "stream"],
        &["session"],
        &["endpoint", "hub", "topology"],
        &["gateway"],
        &["call"],
        &["pipeline", "stateless"],
        &["edge"],
        &["listener"],
    ],
    known: &[
        ("call", "pipeline"),
        ("gateway", "call"),
        ("gateway", "edge"),
        ("gateway", "stateless"),
        ("hub", "call"),
        ("hub", "gateway"),
        ("pipeline", "edge"),
        ("session", "call"),
        ("session", "endpoint"),
        ("session", "gateway"),
        ("session", "pipeline"),
        ("session", "topology"),
        ("stateless", "edge"),
        ("stream", "endpoint"),
        ("stream", "gateway"),
        ("stream", "session"),
    ],
}];

/// Files that stand in circles of more than four, by crate. A number may only go down.
pub(super) const IN_CIRCLES: [(&str, usize); 1] = [("gateway", 26)];

/// Names of types that stand for two things, by crate. A number may only go down.
pub(super) const TWOFOLD: [(&str, usize); 1] = [("gateway", 1)];
