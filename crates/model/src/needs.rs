//! The nodes of the dependency graph, and how settings refer to them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Name;

/// What a node of the dependency graph is. All kinds share one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// An MCP server: `[servers.NAME]`.
    Server,
    /// What a stack needs that is no MCP server, run by Mainstay: `[services.NAME]`.
    Service,
    /// A path with data: `[volumes.NAME]`.
    Volume,
    /// Watched, never started: `[externals.NAME]`.
    External,
}

/// A node of the dependency graph, written as `service:db`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Need {
    pub kind: NodeKind,
    pub name: Name,
}

/// The error for a text that is no [`Need`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `server:NAME`, `service:NAME`, `volume:NAME` or `external:NAME`")]
pub struct InvalidNeed;

// === impl NodeKind ===

impl NodeKind {
    pub const ALL: [Self; 4] = [Self::Server, Self::Service, Self::Volume, Self::External];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Service => "service",
            Self::Volume => "volume",
            Self::External => "external",
        }
    }

    /// The kind with this word, as [`as_str`](Self::as_str) has it.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

// === impl Need ===

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.name)
    }
}

impl FromStr for Need {
    type Err = InvalidNeed;

    fn from_str(text: &str) -> Result<Self, InvalidNeed> {
        let (kind, name) = text.split_once(':').ok_or(InvalidNeed)?;
        let kind = NodeKind::from_word(kind).ok_or(InvalidNeed)?;
        let name = Name::try_new(name).map_err(|_| InvalidNeed)?;
        Ok(Self { kind, name })
    }
}

impl Serialize for Need {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Need {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidNeed, Need, NodeKind};

    #[test]
    fn what_is_written_leads_back_to_itself() {
        for text in ["server:a", "service:db", "volume:archive", "external:weather"] {
            let need = text.parse::<Need>().unwrap();
            assert_eq!(need.to_string(), text);
            let written = serde_json::to_string(&need).unwrap();
            assert_eq!(serde_json::from_str::<Need>(&written).unwrap(), need);
        }
        assert_eq!("service:db".parse::<Need>().unwrap().kind, NodeKind::Service);
        for text in ["", "db", "service", "service:", "services:db", "server:a b"] {
            assert_eq!(text.parse::<Need>(), Err(InvalidNeed), "{text}");
        }
    }
}
