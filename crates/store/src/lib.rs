//! What outlives the daemon: what became of sessions after they were opened, and small files that are
//! replaced as a whole. Knows no MCP and no sockets, and never keeps the daemon from serving.
//!
//! A session id carries all that the session began with, so nothing is written when one is opened.
//! What changes later goes into a journal: [`record`] is a line of it, [`image`] what its lines add
//! up to, [`journal`] the file, and [`Store`] all of that for the rest of the daemon.
//!
//! A [`Document`] is one small file, such as `names.json`, with a thread of its own. [`file`] is how
//! either kind is read and replaced. A [`Database`] has the tables, such as that of the [`audit`] log.

pub mod audit;
mod backend;
mod database;
mod document;
pub mod file;
mod image;
mod journal;
mod ranges;
mod record;
mod store;

pub use audit::{AuditEntry, AuditLog, AuditOutcome};
pub use backend::{Answer, Stored, Unavailable};
pub use database::{Database, Newer};
pub use document::Document;
pub use image::{Kept, Known};
pub use store::{Options, Store, StoreState};
