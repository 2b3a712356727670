//! Do answers find their callers? Many clients use the same few ids over one shared server that
//! answers out of order; each call carries a mark that its answer must bring back.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::crew::{self, Member, Size, Team};
use super::report::Report;
use super::watched::Watched;
use crate::client::{Failure, Target};

/// Few ids, so that each is in flight many times at any moment.
const IDS: u64 = 4;
/// Delays in milliseconds are drawn from 0 up to and without this.
const DELAYS: u64 = 5;

/// After a refusal: a target that is down for a moment should not use up all calls.
const REFUSED: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
pub(crate) struct AstrayPlan {
    /// Clients, each with a session of its own.
    #[arg(long, default_value_t = 256)]
    clients: u32,
    /// Answers to check.
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 600.0)]
    limit: f64,
}

/// Numbers that only have to be uneven, another series for each client.
#[derive(Debug)]
struct Dice(u64);

// === impl AstrayPlan ===

impl AstrayPlan {
    pub(crate) fn run(&self, target: &Target, watch: &[Watched]) -> Result<Report> {
        let size = Size { clients: self.clients, seconds: self.limit, warm_up: 0.0 };
        let (share, rest) =
            (self.count / u64::from(self.clients), self.count % u64::from(self.clients));
        crew::run(&size, target, watch, async |team: Team| {
            let Team { members, window, tally, .. } = team;
            let mut clients = JoinSet::new();
            for member in members {
                let calls = share + u64::from(u64::from(member.index) < rest);
                let (tally, target) = (tally.clone(), target.clone());
                clients.spawn_local(async move {
                    call_at_random(member, calls, &target, |outcome, begun: Instant| {
                        tally.borrow_mut().count(outcome, begun.elapsed());
                    })
                    .await;
                });
            }
            tally.borrow_mut().unanswered += crew::finish(clients, window).await;
        })
    }
}

async fn call_at_random(
    member: Member,
    calls: u64,
    target: &Target,
    mut count: impl FnMut(Result<(), Failure>, Instant),
) {
    let Member { index, mut connection, session } = member;
    let mut call = session.prepare(index, true);
    let mut dice = Dice::new(index);
    for number in 0..calls {
        call.number(number as u32, IDS);
        call.delay(dice.below(DELAYS) as u8);
        let begun = Instant::now();
        let outcome = call.send(&mut connection).await;
        count(outcome, begun);
        match outcome {
            Ok(()) | Err(Failure::Astray) => {}
            Err(Failure::Refused) => tokio::time::sleep(REFUSED).await,
            Err(Failure::Broken) => crew::reconnect(&mut connection, target).await,
        }
    }
}

// === impl Dice ===

impl Dice {
    fn new(seed: u32) -> Self {
        Self((u64::from(seed) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) % bound
    }
}
