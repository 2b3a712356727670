//! Framing of messages: newline-delimited JSON and server-sent events.
//!
//! Both decoders accept input in pieces of any size and hold at most one unfinished line or event. They
//! return [`bytes::Bytes`] that share the read buffer and keep it alive. Copy a message that is kept for
//! long.

mod buffer;
mod ends;
pub mod lines;
pub mod sse;

pub use self::ends::Ends;
