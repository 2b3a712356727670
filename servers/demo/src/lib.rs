//! Demonstration servers that are built into the binary, for trying Mainstay without any configuration.
//! They store nothing on disk, need no network, and are not part of the gateway.

mod clock;
mod conversation;
mod notes;
mod serve;
mod weather;
mod wire;

use std::fmt;
use std::str::FromStr;

pub use serve::{run_stdio, serve_http};

/// A demonstration server that uses standard input and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdioDemo {
    /// Notes kept in memory: tools, resources, subscriptions, list changes.
    Notes,
    /// Time zones and a countdown: progress, cancellation, prompts, completion.
    Clock,
}

/// The error for the name of an unknown demonstration server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownDemo(String);

// === impl StdioDemo ===

impl StdioDemo {
    pub const ALL: [Self; 2] = [Self::Notes, Self::Clock];

    /// The name on the command line and in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notes => "notes",
            Self::Clock => "clock",
        }
    }
}

impl fmt::Display for StdioDemo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StdioDemo {
    type Err = UnknownDemo;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|demo| demo.name() == text)
            .ok_or_else(|| UnknownDemo(text.to_owned()))
    }
}

// === impl UnknownDemo ===

impl fmt::Display for UnknownDemo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = StdioDemo::ALL.map(StdioDemo::name).join(", ");
        write!(f, "no demonstration server is called '{}' (there are: {known})", self.0)
    }
}

impl std::error::Error for UnknownDemo {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for demo in StdioDemo::ALL {
            assert_eq!(demo.name().parse(), Ok(demo));
        }
        let refused = "nodes".parse::<StdioDemo>().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "no demonstration server is called 'nodes' (there are: notes, clock)"
        );
    }
}
