//! New sessions: connect, shake hands, say goodbye, again.

use std::time::Instant;

use anyhow::Result;
use tokio::task::JoinSet;

use super::Watched;
use super::crew::{self, PAUSE, Size, Team};
use super::report::Report;
use crate::client::{Connection, Failure, Session, Target};

#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    size: Size,
}

// === impl Plan ===

impl Plan {
    pub(crate) fn run(&self, target: &Target, watch: &[Watched]) -> Result<Report> {
        crew::run(&self.size, target, watch, async |team: Team| {
            let Team { members, window, tally, .. } = team;
            let mut clients = JoinSet::new();
            for _ in members {
                let (tally, target) = (tally.clone(), target.clone());
                clients.spawn_local(async move {
                    loop {
                        let begun = Instant::now();
                        let outcome = one_life(&target).await;
                        let now = Instant::now();
                        if window.contains(now) {
                            tally.borrow_mut().count(outcome, now - begun);
                        }
                        if now >= window.to {
                            return;
                        }
                        if outcome.is_err() {
                            tokio::time::sleep(PAUSE).await;
                        }
                    }
                });
            }
            tally.borrow_mut().unanswered += crew::finish(clients, window).await;
        })
    }
}

/// The session is ended too: otherwise a target meets its cap on sessions instead of its limits.
async fn one_life(target: &Target) -> Result<(), Failure> {
    let mut connection = Connection::open(target.address).await.map_err(|_| Failure::Broken)?;
    let session = Session::open(target, &mut connection).await.map_err(|_| Failure::Refused)?;
    let status = session.close(&mut connection).await.map_err(|_| Failure::Broken)?;
    connection.abort();
    if status < 300 { Ok(()) } else { Err(Failure::Refused) }
}
