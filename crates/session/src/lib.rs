//! One client's conversation: names, merging, correlation and subscriptions. Opens no socket, spawns no task.

pub mod catalogue;
pub mod names;
pub mod template;
pub mod token;

pub use catalogue::{Catalogue, Entry, Source};
pub use names::Names;
pub use token::{Claims, SealKey, Serial, Token};
