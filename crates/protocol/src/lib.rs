//! JSON-RPC and MCP messages: lossless parsing and editing, without I/O.
//!
//! This is the only crate that knows the names of JSON-RPC and MCP members. A message keeps the bytes that
//! it arrived in. Parsing records spans into these bytes, and a change splices them. So ids, key order, big
//! numbers and unknown members pass through unchanged.

pub mod absent;
pub mod build;
pub mod capabilities;
pub mod codes;
pub mod depth;
pub mod discover;
pub mod edit;
pub mod envelope;
pub mod framing;
pub mod headers;
pub mod id;
pub mod initialize;
pub mod list;
pub mod methods;
pub mod mirror;
mod outline;
pub mod oversized;
pub mod params;
mod result;
pub mod revision;
mod scan;
pub mod scope;
pub mod subscriptions;
pub mod tolerant;

pub use edit::Edit;
pub use envelope::{Kind, Malformed, Message};
pub use id::Id;
pub use methods::{Method, Notification};
pub use params::{Field, Params};
pub use revision::{Era, Revision};
pub use scope::Scope;
