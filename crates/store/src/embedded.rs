//! The backend in the state folder.
//!
//! Sessions are stored in a journal, because they change often, are looked up by number only, and fit in
//! memory. Published names are one document, which is read once. Data that is queried in other ways, or
//! only grows, is stored in tables.

use std::path::Path;
use std::sync::Arc;

use crate::answer::Stored;
use crate::backend::{Backend, StoreState, Upkeep};
use crate::database::{Database, Kind};
use crate::lock::Claim;
use crate::store::Store;

mod keys;
mod names;

use self::keys::KeyFiles;
pub(crate) use self::keys::{SESSION_KEY, TOKEN_KEY};
use self::names::NamesFile;

/// Groups the parts of the state folder that form its backend.
#[derive(Debug)]
pub(crate) struct Embedded {
    sessions: Arc<Store>,
    names: Arc<NamesFile>,
    keys: Arc<KeyFiles>,
    database: Arc<Database>,
}

// === impl Embedded ===

impl Embedded {
    pub(crate) fn open(
        folder: &Path,
        claim: &Claim,
        had_sessions: bool,
        sessions: Arc<Store>,
        database: Arc<Database>,
    ) -> Self {
        let names = Arc::new(NamesFile::open(folder, claim.clone()));
        let keys = Arc::new(KeyFiles::new(folder, claim.clone(), had_sessions));
        Self { sessions, names, keys, database }
    }

    pub(crate) fn backend(self) -> Backend {
        let table = |kind| Arc::new(Database::table(&self.database, kind));
        Backend {
            sessions: self.sessions.clone(),
            names: self.names.clone(),
            keys: self.keys.clone(),
            audit: self.database.clone(),
            events: self.database.clone(),
            users: table(Kind::Users),
            approvals: table(Kind::Approvals),
            usage: table(Kind::Usage),
            stopped_by_hand: table(Kind::StoppedByHand),
            upkeep: Arc::new(self),
        }
    }
}

impl Upkeep for Embedded {
    fn state(&self) -> StoreState {
        let StoreState { failing, bytes } = self.sessions.state();
        let failing = failing.or_else(|| self.names.failing());
        StoreState { failing: failing.or_else(|| self.database.failing()), bytes }
    }

    fn close(&self) -> Stored<'_> {
        Box::pin(async {
            let (sessions, names, database) =
                tokio::join!(self.sessions.close(), self.names.close(), self.database.close());
            sessions && names && database
        })
    }
}
