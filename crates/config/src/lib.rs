//! Loads settings from text: the only reader of configuration files and of the environment.
//!
//! [`load`] is a function of its request; it starts, watches and stores nothing. Every key is
//! declared once, in [`keys`]; parsing, hints, the JSON Schema, the starter file and the reference
//! page all come from that declaration.
//!
//! ```text
//!  file ──▶ document ─┐
//!  environment ───────┼─▶ layers ─▶ read ─▶ check ─▶ assemble ─▶ Settings
//!  flags ─────────────┘      (one tree)  (typed)  (across keys)
//! ```
//!
//! A problem does not stop the loading, so that one run reports all problems.

mod assemble;
mod check;
pub mod diff;
mod disk;
mod document;
pub mod edit;
mod expand;
pub mod export;
pub mod import;
mod keys;
mod layers;
mod line_ends;
mod load;
pub mod nearest;
mod notes;
mod origin;
pub mod packages;
mod problem;
mod proxy;
mod read;
mod reference;
mod schema;
mod source;
mod stand_in;
mod syntax;
mod system;
mod template;
mod typed;
mod units;
mod url_keys;

pub use diff::{Plan, diff};
pub use disk::{Disk, NoDisk, RealDisk, SECRET_BYTES_MAX, SecretFile, open_regular};
pub use layers::Flag;
pub use load::{ConfigFile, LoadRequest, Loaded, StateDir, load};
pub use origin::{Origin, Origins, Resolved, ResolvedValue};
pub use problem::{Place, Problem, Problems, Severity};
pub use reference::reference;
pub use schema::schema;
pub use stand_in::variables;
pub use system::{Request, for_daemon, from_system, state_dir};
pub use template::template;

/// A duration such as `30s` or `1h30m`.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    units::parse_duration(text).ok()
}
