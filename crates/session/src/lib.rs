//! One client's conversation: names, merging, correlation and subscriptions. Opens no socket, spawns no task.

pub mod call_time;
pub mod catalogue;
pub mod conversation;
pub mod log_level;
pub mod names;
pub mod questions;
pub mod template;
pub mod token;

pub use call_time::CallTime;
pub use catalogue::{Catalogue, Entry, Source};
pub use conversation::{Conversation, Decision, End, Event, Terms};
pub use log_level::{LogLevel, WantedLevels};
pub use names::Names;
pub use questions::{CallNo, Question, QuestionNumbers, Questions, TooMany};
pub use token::{Claims, SealKey, Serial, Token};
