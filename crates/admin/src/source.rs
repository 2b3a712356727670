//! What the answers are made from.

use mainstay_model::status::Health;

use crate::api::breakers::CircuitBreaker;
use crate::api::configuration::{AskedReload, Configuration};
use crate::api::graph::Graph;
use crate::api::pools::PoolNumbers;
use crate::api::services::Service;
use crate::api::sessions::Session;
use crate::api::status::DaemonStatus;

/// How much an answer shows of what runs servers, and of what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// For anybody who may read: of a server its program name or its scheme, host and port, and why it is
    /// not ready in words of the daemon's own. No path, query, argument, header, environment value or
    /// output: each may hold a secret, and another user or a web page may be asking.
    Open,
    /// For the operator: command lines, addresses, whole reasons and last output, too.
    Operator,
}

/// The daemon, as its health and its numbers show it. Asked on the way of a request: must not
/// wait for anything slower than memory.
pub trait Source: Send + Sync {
    fn status(&self, view: View) -> DaemonStatus;

    /// The one word alone. Strangers may ask for it as often as they like, so it should cost less
    /// than all of [`status`](Self::status).
    fn health(&self) -> Health {
        self.status(View::Open).status
    }

    /// The dependency graph.
    fn graph(&self, view: View) -> Graph;

    /// The names of all nodes of the graph.
    fn names(&self) -> Vec<String> {
        self.graph(View::Open).nodes.into_iter().map(|node| node.name.to_string()).collect()
    }

    /// The services, in the order of the configuration.
    fn services(&self, view: View) -> Vec<Service>;

    /// The circuit breakers, in the order of the configuration.
    fn breakers(&self, view: View) -> Vec<CircuitBreaker>;

    /// The configuration in force, and how reloads went.
    fn configuration(&self, view: View) -> Configuration {
        self.status(view).configuration
    }

    /// The reload of this number.
    fn reload(&self, view: View, number: u64) -> AskedReload {
        let Configuration { current, last, .. } = self.configuration(view);
        match last.filter(|last| last.number == number) {
            Some(last) => AskedReload::Ended(Box::new(last)),
            None if current.as_ref().is_some_and(|it| it.number == number) => AskedReload::UnderWay,
            None => AskedReload::Unknown,
        }
    }

    /// The sessions of clients, oldest first.
    fn sessions(&self) -> Vec<Session>;

    /// The scrape, as OpenMetrics text.
    fn metrics(&self) -> String;

    /// The numbers of one server's pool; none where there is no such server.
    fn pool(&self, server: &str) -> Option<PoolNumbers>;
}
