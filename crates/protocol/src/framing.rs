//! Where one message ends and the next begins: newline-delimited JSON and event streams.
//!
//! Both decoders take bytes in whatever pieces they arrive, hold at most one unfinished line or
//! event, and hand out [`bytes::Bytes`] that share the memory they were read into. What is handed
//! out keeps that memory alive: a message that is kept for long should be copied.

mod buffer;
mod ends;
pub mod lines;
pub mod sse;

pub use self::ends::Ends;
