//! The fleet: all servers, services and externals of a daemon, and the dependency graph over them.
//!
//! `supervisor::graph` decides who may run. A [`Fleet`] tells it what it sees, and carries its decisions out: it
//! holds and releases the pools of servers, runs services, and watches externals with their probes.

mod by_hand;
mod change;
mod external;
mod fleet;
mod hand;
mod member;
mod needs;
mod service;
mod view;
mod words;

pub use self::change::{Beside, Leaver, Newcomer, NodeSpecs, StartSeen, with_output};
pub use self::external::External;
pub use self::fleet::{Fleet, FleetParts};
pub use self::hand::{Stopping, UnknownNode};
pub use self::member::ProbeView;
pub use self::service::Service;
pub use self::service::status::ServiceStatus;
pub use self::view::{BlockerView, NodeView, Seen};
