//! Stores the state that outlives the daemon. Knows no MCP and no sockets, and never keeps the daemon from
//! serving.
//!
//! A [`Backend`] groups all state behind traits: [`SessionStore`], [`NameStore`], [`KeyStore`],
//! [`AuditLog`], [`EventLog`], and [`Table`] for users, approvals and usage. The rest of the daemon knows only these. One
//! test suite checks the contract of every backend.
//!
//! The built-in backend is the state folder ([`Folder`]), to which only this crate writes. Sessions are
//! stored in a journal: `journal` is its file, `record` a line, and `image` the state that the lines add up
//! to. A [`Document`] is one small file with its own thread, such as `names.json`. `database` contains the
//! tables. `file` reads and replaces files, and [`formats`] lists the format of each.

mod answer;
pub mod audit;
mod backend;
mod database;
mod directory;
mod document;
mod embedded;
pub mod events;
mod file;
mod folder;
pub mod formats;
mod image;
mod journal;
mod keyfile;
mod keys;
mod lock;
mod names;
mod newer;
mod packages;
mod ranges;
mod record;
mod sessions;
mod store;
pub mod table;

pub use answer::{ANSWER_DEADLINE, Answer, CLOSE_DEADLINE, KEY_DEADLINE, Stored, Unavailable};
pub use audit::{AuditEntry, AuditLog, AuditOutcome};
pub use backend::{Backend, StoreState, Upkeep};
pub use directory::Directory;
pub use document::Document;
pub use events::{Event, EventLog, EventPage, EventsAsked, EventsOf, StoredEvent};
pub use folder::{Folder, OpenError};
pub use keys::{KEY_BYTES, KeyName, KeyStore};
pub use lock::LockError;
pub use names::{NameStore, NamesByEndpoint};
pub use newer::Newer;
pub use packages::PackagesFile;
pub use sessions::{SessionChanges, SessionStatus, SessionStore};
pub use store::Options;
pub use table::{Put, Row, Table};
