//! Open loop: calls arrive at a fixed rate and their time counts from when they should have been
//! sent, so that a target that stalls can't hide the calls it kept from being made.

mod pacer;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, ensure};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::crew::{self, Member, Size, Team};
use super::report::Report;
use super::tally::{Tally, Window};
use super::watched::Watched;
use crate::client::{Failure, Target};
use pacer::Pacer;

const IDS: u64 = 1_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct OpenPlan {
    #[command(flatten)]
    size: Size,
    /// Calls a second.
    #[arg(long)]
    rate: f64,
}

/// Calls that are due and not made yet. Never holds more than rate times window.
#[derive(Debug, Default)]
struct Arrivals {
    due: RefCell<VecDeque<Instant>>,
    /// For each client, when its call in flight was due.
    in_flight: RefCell<Vec<Option<Instant>>>,
    changed: Notify,
    closed: Cell<bool>,
}

// === impl OpenPlan ===

impl OpenPlan {
    pub(crate) fn run(&self, target: &Target, watch: &[Watched]) -> Result<Report> {
        ensure!(
            self.rate > 0.0 && self.rate <= 1e6,
            "a rate is above 0 and at most a million a second"
        );
        crew::run(&self.size, target, watch, async |team: Team| {
            let Team { members, window, tally, threads } = team;
            let arrivals = Rc::new(Arrivals::default());
            let mut clients = JoinSet::new();
            for (slot, member) in members.into_iter().enumerate() {
                arrivals.in_flight.borrow_mut().push(None);
                let (arrivals, tally, target) =
                    (Rc::clone(&arrivals), Rc::clone(&tally), target.clone());
                clients.spawn_local(async move {
                    answer_arrivals(member, slot, &arrivals, window, &target, &tally).await;
                });
            }
            let paced = pace(&arrivals, self.rate / f64::from(threads), window).await;
            arrivals.close();
            // Clients that are not finished are counted next, with the calls that were not made.
            crew::finish(clients, window).await;
            arrivals.give_up(window, &mut tally.borrow_mut());
            if paced.is_err() {
                tally.borrow_mut().broken += 1;
            }
        })
    }
}

async fn pace(arrivals: &Arrivals, rate: f64, window: Window) -> Result<()> {
    let mut pacer = Pacer::new(rate)?;
    loop {
        let (first, count) = pacer.next().await?;
        for number in 0..count {
            let at = pacer.due(first + number);
            if at >= window.to {
                return Ok(());
            }
            arrivals.push(at);
        }
    }
}

async fn answer_arrivals(
    member: Member,
    slot: usize,
    arrivals: &Arrivals,
    window: Window,
    target: &Target,
    tally: &RefCell<Tally>,
) {
    let Member { index, mut connection, session } = member;
    let mut call = session.prepare(index, false);
    for number in 0.. {
        let Some(due) = arrivals.take(slot).await else {
            return;
        };
        call.number(number, IDS);
        let outcome = call.send(&mut connection).await;
        if window.contains(due) {
            tally.borrow_mut().count(outcome, due.elapsed());
        }
        arrivals.finish(slot);
        if outcome == Err(Failure::Broken) {
            crew::reconnect(&mut connection, target).await;
        }
    }
}

// === impl Arrivals ===

impl Arrivals {
    fn push(&self, at: Instant) {
        self.due.borrow_mut().push_back(at);
        self.changed.notify_one();
    }

    fn close(&self) {
        self.closed.set(true);
        self.changed.notify_waiters();
    }

    /// The next call for the client in `slot`; none when all are made and no more will come.
    async fn take(&self, slot: usize) -> Option<Instant> {
        loop {
            let changed = self.changed.notified();
            let next = self.due.borrow_mut().pop_front();
            if next.is_some() {
                self.in_flight.borrow_mut()[slot] = next;
                return next;
            }
            if self.closed.get() {
                return None;
            }
            changed.await;
        }
    }

    fn finish(&self, slot: usize) {
        self.in_flight.borrow_mut()[slot] = None;
    }

    fn give_up(&self, window: Window, tally: &mut Tally) {
        let in_flight = self.in_flight.borrow();
        let due = self.due.borrow();
        for at in in_flight.iter().flatten().chain(due.iter()).filter(|at| window.contains(**at)) {
            tally.give_up(at.elapsed());
        }
    }
}
