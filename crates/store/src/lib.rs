//! What outlives the daemon. Knows no MCP and no sockets, and never keeps the daemon from serving.
//!
//! A [`Backend`] is a place for all state, as traits: [`SessionStore`], [`NameStore`], [`KeyStore`],
//! [`AuditLog`], and [`Table`] for users, approvals and usage. The rest of the daemon knows only these.
//! What they promise is checked by one suite that every backend passes.
//!
//! The backend that is built in is the state folder ([`Folder`]), which nobody but this crate writes to:
//! sessions are a journal (`journal` the file, `record` a line of it, `image` what its lines add up to), a
//! [`Document`] is one small file with a thread of its own, such as `names.json`, and `database` has the
//! tables. `file` is how files are read and replaced, and [`formats`] what format each has.

mod answer;
pub mod audit;
mod backend;
mod database;
mod directory;
mod document;
mod embedded;
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
pub use folder::{Folder, OpenError};
pub use keys::{KEY_BYTES, KeyName, KeyStore};
pub use lock::LockError;
pub use names::{NameStore, NamesByEndpoint};
pub use newer::Newer;
pub use packages::PackagesFile;
pub use sessions::{Kept, Known, SessionStore};
pub use store::Options;
pub use table::{Put, Row, Table};
