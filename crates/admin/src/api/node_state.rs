//! The state of a node of the dependency graph, in one word.

use mainstay_model::status::InstanceState;
use serde::{Deserialize, Serialize};

/// The state of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum NodeState {
    /// A server or a service, or an external, which is `starting` before its first check, then `ready` or
    /// `unhealthy`.
    Watched(InstanceState),
    /// A volume. It holds nobody up.
    Unwatched,
}

/// The error for a word that is no state of a node.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no state")]
pub struct UnknownState(String);

// === impl NodeState ===

impl NodeState {
    const UNWATCHED: &'static str = "unwatched";

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Watched(state) => state.as_str(),
            Self::Unwatched => Self::UNWATCHED,
        }
    }

    /// Whether those who need it can use it.
    pub fn serves(self) -> bool {
        match self {
            Self::Watched(state) => state.serves(),
            Self::Unwatched => true,
        }
    }

    /// All words.
    pub(super) fn words() -> Vec<&'static str> {
        let watched = InstanceState::ALL.into_iter().map(InstanceState::as_str);
        watched.chain([Self::UNWATCHED]).collect()
    }
}

impl From<InstanceState> for NodeState {
    fn from(state: InstanceState) -> Self {
        Self::Watched(state)
    }
}

impl From<NodeState> for &'static str {
    fn from(state: NodeState) -> Self {
        state.as_str()
    }
}

impl TryFrom<String> for NodeState {
    type Error = UnknownState;

    fn try_from(word: String) -> Result<Self, UnknownState> {
        if word == Self::UNWATCHED {
            return Ok(Self::Unwatched);
        }
        let state = InstanceState::ALL.into_iter().find(|state| state.as_str() == word);
        state.map(Self::Watched).ok_or(UnknownState(word))
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::status::InstanceState;

    use super::NodeState;

    #[test]
    fn a_state_is_one_word_that_leads_back_to_it() {
        for word in NodeState::words() {
            let state: NodeState = serde_json::from_value(word.into()).unwrap();
            assert_eq!(serde_json::to_value(state).unwrap(), word);
        }
        let crashed = NodeState::Watched(InstanceState::CrashLooping);
        assert_eq!(serde_json::to_value(crashed).unwrap(), "crash-looping");
        assert!(serde_json::from_str::<NodeState>("\"lost\"").is_err());
    }
}
