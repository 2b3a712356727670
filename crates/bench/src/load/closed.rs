//! Closed loop: a client's next call begins when its last one ended.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::crew::{self, GRACE, Member, PAUSE, Size, Team};
use super::report::Report;
use super::tally::Window;
use super::watched::Watched;
use crate::client::{Failure, Target};

/// Ids of a client's calls repeat only after so many.
const IDS: u64 = 1_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct ClosedPlan {
    #[command(flatten)]
    pub(super) size: Size,
}

// === impl ClosedPlan ===

impl ClosedPlan {
    pub(crate) fn run(&self, target: &Target, watch: &[Watched]) -> Result<Report> {
        crew::run(&self.size, target, watch, async |team: Team| {
            let Team { members, window, tally, .. } = team;
            let mut clients = JoinSet::new();
            for member in members {
                let (tally, target) = (tally.clone(), target.clone());
                clients.spawn_local(async move {
                    call_until(member, window, &target, |outcome, latency| {
                        tally.borrow_mut().count(outcome, latency);
                    })
                    .await;
                });
            }
            for _ in 0..crew::finish(clients, window).await {
                tally.borrow_mut().give_up(GRACE);
            }
        })
    }
}

async fn call_until(
    member: Member,
    window: Window,
    target: &Target,
    mut count: impl FnMut(Result<(), Failure>, Duration),
) {
    let Member { index, mut connection, session } = member;
    let mut call = session.prepare(index, false);
    let mut begun = Instant::now();
    for number in 0.. {
        call.number(number, IDS);
        let outcome = call.send(&mut connection).await;
        let now = Instant::now();
        if window.contains(now) {
            count(outcome, now - begun);
        }
        if now >= window.to {
            return;
        }
        begun = now;
        match outcome {
            Ok(()) | Err(Failure::Astray) => {}
            Err(Failure::Refused) => tokio::time::sleep(PAUSE).await,
            Err(Failure::Broken) => crew::reconnect(&mut connection, target).await,
        }
        if outcome.is_err() {
            begun = Instant::now();
        }
    }
}
