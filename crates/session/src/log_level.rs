//! Log levels of MCP, and the level that a shared server is set to.

use std::collections::HashMap;
use std::hash::Hash;

/// The severities of RFC 5424 as MCP names them, most verbose first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

/// The levels that the clients of a shared server have requested. The server logs at the lowest of them.
#[derive(Debug)]
pub struct WantedLevels<O> {
    by_owner: HashMap<O, LogLevel>,
    /// The number of clients per level, indexed as [`LogLevel::ALL`].
    counts: [usize; LogLevel::ALL.len()],
}

// === impl LogLevel ===

impl LogLevel {
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// Parses a level name, with or without JSON quotes.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.trim_matches('"') {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "notice" => Self::Notice,
            "warning" => Self::Warning,
            "error" => Self::Error,
            "critical" => Self::Critical,
            "alert" => Self::Alert,
            "emergency" => Self::Emergency,
            _ => return None,
        })
    }

    /// The level name as a JSON string.
    pub fn to_json(self) -> String {
        format!("\"{}\"", format!("{self:?}").to_ascii_lowercase())
    }
}

// === impl WantedLevels ===

impl<O> Default for WantedLevels<O> {
    fn default() -> Self {
        Self { by_owner: HashMap::new(), counts: [0; LogLevel::ALL.len()] }
    }
}

impl<O: Eq + Hash> WantedLevels<O> {
    /// Sets the level that a client requests.
    pub fn set(&mut self, owner: O, level: LogLevel) {
        if let Some(before) = self.by_owner.insert(owner, level) {
            self.counts[before as usize] -= 1;
        }
        self.counts[level as usize] += 1;
    }

    /// Removes a client. Returns whether it had requested a level.
    pub fn remove(&mut self, owner: &O) -> bool {
        let Some(before) = self.by_owner.remove(owner) else { return false };
        self.counts[before as usize] -= 1;
        true
    }

    /// The clients that want messages of this level. Messages without a level are for all of them.
    pub fn wanting(&self, level: Option<LogLevel>) -> impl Iterator<Item = &O> {
        let wants = move |wanted: LogLevel| level.is_none_or(|level| level >= wanted);
        self.by_owner.iter().filter(move |(_, wanted)| wants(**wanted)).map(|(owner, _)| owner)
    }

    /// Whether a client wants messages of this level.
    pub fn wants(&self, owner: &O, level: Option<LogLevel>) -> bool {
        let wanted = self.by_owner.get(owner);
        wanted.is_some_and(|wanted| level.is_none_or(|level| level >= *wanted))
    }

    /// The number of clients that have requested a level.
    pub fn owners(&self) -> usize {
        self.by_owner.len()
    }

    /// The most verbose requested level. `None` if no client has requested one.
    pub fn lowest(&self) -> Option<LogLevel> {
        LogLevel::ALL.into_iter().find(|level| self.counts[*level as usize] > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{LogLevel, WantedLevels};

    #[test]
    fn a_message_is_for_those_who_want_its_level() {
        let mut wanted = WantedLevels::default();
        for (owner, level) in [(1, LogLevel::Debug), (2, LogLevel::Warning), (3, LogLevel::Error)] {
            wanted.set(owner, level);
        }
        for (level, expected) in [
            (Some(LogLevel::Debug), vec![1]),
            (Some(LogLevel::Warning), vec![1, 2]),
            (Some(LogLevel::Emergency), vec![1, 2, 3]),
            (None, vec![1, 2, 3]),
        ] {
            let mut owners: Vec<_> = wanted.wanting(level).copied().collect();
            owners.sort_unstable();
            assert_eq!(owners, expected, "{level:?}");
            owners.retain(|owner| !wanted.wants(owner, level));
            assert!(owners.is_empty() && !wanted.wants(&4, level));
        }
    }

    #[test]
    fn the_most_talkative_of_those_who_are_there_counts() {
        let mut levels = WantedLevels::default();
        assert_eq!(levels.lowest(), None);
        levels.set("one", LogLevel::Error);
        levels.set("two", LogLevel::Debug);
        assert_eq!(levels.lowest(), Some(LogLevel::Debug));
        levels.set("two", LogLevel::Alert);
        assert_eq!(levels.lowest(), Some(LogLevel::Error));
        assert!(levels.remove(&"one"));
        assert_eq!(levels.lowest(), Some(LogLevel::Alert));
        assert!(levels.remove(&"two") && !levels.remove(&"two"));
        assert_eq!(levels.lowest(), None);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for level in LogLevel::ALL {
            assert_eq!(LogLevel::parse(&level.to_json()), Some(level));
        }
        assert_eq!(LogLevel::parse("INFO"), None);
    }

    proptest! {
        #[test]
        fn the_lowest_is_that_of_a_plain_list(
            steps in prop::collection::vec((0..5u8, prop::option::of(0..8usize)), 0..60),
        ) {
            let (mut levels, mut list) = (WantedLevels::default(), BTreeMap::new());
            for (owner, level) in steps {
                match level.map(|at| LogLevel::ALL[at]) {
                    Some(level) => {
                        levels.set(owner, level);
                        list.insert(owner, level);
                    }
                    None => prop_assert_eq!(levels.remove(&owner), list.remove(&owner).is_some()),
                }
                prop_assert_eq!(levels.lowest(), list.values().min().copied());
            }
        }
    }
}
