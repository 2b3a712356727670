//! Opens and ends sessions, again and again.
//!
//! Connections are kept alive: the kernel's cost of opening one is the same for every target and
//! several times that of a session, which is measured here.

use std::time::Instant;

use anyhow::Result;
use tokio::task::JoinSet;

use super::crew::{self, Member, Size, Team};
use super::report::Report;
use super::watched::Watched;
use crate::client::{Connection, Failure, Session, Target};

#[derive(Debug, clap::Args)]
pub(crate) struct SessionsPlan {
    #[command(flatten)]
    size: Size,
}

// === impl SessionsPlan ===

impl SessionsPlan {
    pub(crate) fn run(&self, target: &Target, watch: &[Watched]) -> Result<Report> {
        crew::run(&self.size, target, watch, async |team: Team| {
            let Team { members, window, tally, .. } = team;
            let mut clients = JoinSet::new();
            for Member { mut connection, .. } in members {
                let (tally, target) = (tally.clone(), target.clone());
                clients.spawn_local(async move {
                    loop {
                        let begun = Instant::now();
                        let outcome = one_life(&target, &mut connection).await;
                        let now = Instant::now();
                        if window.contains(now) {
                            tally.borrow_mut().count(outcome, now - begun);
                        }
                        if now >= window.to {
                            return;
                        }
                        if outcome.is_err() {
                            crew::reconnect(&mut connection, &target).await;
                        }
                    }
                });
            }
            tally.borrow_mut().unanswered += crew::finish(clients, window).await;
        })
    }
}

/// The session is ended too: otherwise a target meets its cap on sessions instead of its limits.
async fn one_life(target: &Target, connection: &mut Connection) -> Result<(), Failure> {
    let session = Session::open(target, connection).await.map_err(|_| Failure::Refused)?;
    let status = session.close(connection).await.map_err(|_| Failure::Broken)?;
    if status < 300 { Ok(()) } else { Err(Failure::Refused) }
}
