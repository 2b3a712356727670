//! A configured server, as endpoints and topologies hold it.

use std::sync::Arc;

use mainstay_model::ServerId;
use mainstay_pool::Pool;

/// A server and the pool that runs it now.
#[derive(Debug, Clone)]
pub struct Server {
    pub id: ServerId,
    pub pool: Arc<Pool>,
}
