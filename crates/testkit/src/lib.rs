//! Scripted servers and clients for tests, with seeded faults. Never in a release build.
//!
//! `Daemon` runs the real program, and `Client` talks to it without an SDK. `fixture` and
//! `misbehave` are servers behind it: one follows the protocol, the other has the faults that its
//! flags select. `inside` runs servers in the test itself, for tests of pools.

mod accept;
pub mod client;
pub mod daemon;
pub mod fixture;
pub mod freezer;
pub mod hung_mount;
pub mod inside;
pub mod memory_store;
pub mod misbehave;
pub mod name_server;
pub mod process;
pub mod programs;
pub mod schema;
pub mod site;
pub mod small_disk;

pub use client::{Client, SseClient};
pub use daemon::Daemon;
pub use freezer::Freezer;
pub use hung_mount::HungMount;
pub use memory_store::MemoryStore;
pub use name_server::NameServer;
pub use site::Site;
pub use small_disk::SmallDisk;
