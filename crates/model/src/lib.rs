//! The vocabulary of the workspace: names, settings, refusals and states.
//!
//! This crate has no I/O, no wire formats and no clock. `docs/lexicon.md` defines the words.

pub mod budget;
pub mod condition;
pub mod fate;
pub mod ids;
pub mod name;
pub mod needs;
pub mod network;
pub mod pattern;
pub mod program_file;
pub mod public_url;
pub mod redacted;
pub mod refusal;
pub mod resource;
pub mod settings;
pub mod status;

pub use budget::{Budget, BudgetExceeded, Charge, MemoryKind};
pub use condition::{ChangeKind, Condition};
pub use fate::Fate;
pub use ids::{EndpointId, Ids, ServerId};
pub use name::{InstanceId, InvalidName, Name, Principal};
pub use needs::{InvalidNeed, Need, NodeKind};
pub use network::Network;
pub use pattern::{InvalidPattern, Pattern};
pub use public_url::PublicUrl;
pub use redacted::Redacted;
pub use refusal::{Refusal, RefusalCode};
