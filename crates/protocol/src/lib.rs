//! JSON-RPC and MCP on paper: bytes to envelopes and back, without loss and without I/O.
//!
//! The only crate that names a JSON-RPC or MCP field. A message is kept as the bytes it came in;
//! what we need of it is a set of spans into them, and every change is a splice. So ids, key order,
//! big numbers and members nobody here has heard of pass through untouched.

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
pub mod oversized;
pub mod params;
mod result;
pub mod revision;
mod scan;
pub mod scope;
pub mod subscriptions;

pub use edit::Edit;
pub use envelope::{Kind, Malformed, Message};
pub use id::Id;
pub use methods::{Method, Notification};
pub use params::{Field, Params};
pub use revision::{Era, Revision};
pub use scope::Scope;
