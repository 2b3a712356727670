//! The pure core of a session: published names, merged catalogues, session tokens, open questions, call
//! deadlines and log levels. This crate opens no sockets, spawns no tasks and reads no clock.

pub mod call_state;
pub mod call_time;
pub mod catalogue;
pub mod log_level;
pub mod names;
pub mod questions;
pub mod template;
pub mod token;
pub mod validation;

pub use call_state::{CallDecision, CallEnd, CallEvent, CallState, CallTerms};
pub use call_time::CallTime;
pub use catalogue::{Entry, Listing, Source};
pub use log_level::{LogLevel, WantedLevels};
pub use names::Names;
pub use questions::{CallNo, Question, QuestionNumbers, Questions, TooMany};
pub use token::{Claims, SealKey, Serial, Token};
