//! Kills and freezes in random order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::load::{Load, assert_nothing_lost};
use super::members::MEMBERS;
use super::{Embedding, Plan};
use crate::shared::eventually_within;

/// After this long a member may be struck again: its restarts begin anew with the first, at once.
const CALM: Duration = Duration::from_secs(65);
const REPLACED_WITHIN: Duration = Duration::from_secs(120);

/// Splitmix, which returns the same numbers for the same seed.
struct Dice(u64);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_and_freezes_in_random_order_lose_no_session_and_no_answer() {
    strike_at_random(Embedding::StandIn, 8).await;
}

pub(super) async fn strike_at_random(embedding: Embedding, strikes: usize) {
    let seed = std::env::var("MAINSTAY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed: MAINSTAY_SEED={seed}");
    let mut dice = Dice(seed);
    let mut stack = Plan { probes_often: true, ..Plan::of(embedding) }.start().await;
    stack.all_ready().await;
    let load = Load::start(&stack).await;
    load.goes_on().await;
    let mut last: BTreeMap<&str, Instant> = BTreeMap::new();
    for strike in 0..strikes {
        let rested = || {
            MEMBERS
                .iter()
                .map(|member| member.name)
                .filter(|name| last.get(name).is_none_or(|struck| struck.elapsed() > CALM))
        };
        while rested().next().is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let rested: Vec<&str> = rested().collect();
        let name = rested[dice.below(rested.len())];
        let signal = if dice.below(2) == 0 { Signal::KILL } else { Signal::STOP };
        println!("{strike}: {name} {signal:?}");
        let victim = eventually_within(REPLACED_WITHIN, name, async || stack.process(name)).await;
        victim.signal(signal);
        last.insert(name, Instant::now());
        // The next one falls while this one may still be down.
        eventually_within(REPLACED_WITHIN, &format!("the end of the old {name}"), async || {
            (!victim.lives()).then_some(())
        })
        .await;
    }
    stack.all_ready().await;
    load.goes_on().await;
    let tally = load.end(&stack).await;
    assert_nothing_lost(&stack, &tally).await;
}

// === impl Dice ===

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).expect("less than a usize")
    }
}
