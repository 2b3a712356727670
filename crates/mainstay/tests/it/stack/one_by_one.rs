//! Each of the eleven is killed and frozen in turn, under load.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::judge::{Watch, leaves_somebody_helpless, pids};
use super::load::{Load, assert_nothing_lost};
use super::members::MEMBERS;
use super::{Embedding, Plan, Stack};
use crate::shared::eventually_within;

/// The longest that a process may stay frozen: two checks of the probe, or of a ping, and a restart.
const REPLACED_WITHIN: Duration = Duration::from_secs(120);

/// How long after the return of what it needs a probe may still find a service that says "error": two of its periods.
const SAYS_SO_FOR: Duration = Duration::from_millis(2500);

/// Those that are frozen in the short form: a database, a service, and a server.
const FROZEN_BRIEFLY: [&str; 3] = ["redis", "llama-cpp", "aidb"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_the_eleven_is_killed_under_load_and_only_those_that_need_it_notice() {
    let names: Vec<&str> = MEMBERS.iter().map(|member| member.name).collect();
    strike_each(Embedding::StandIn, &names, Signal::KILL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_frozen_under_load_is_replaced_and_only_those_that_need_it_notice() {
    strike_each(Embedding::StandIn, &FROZEN_BRIEFLY, Signal::STOP).await;
}

pub(super) async fn strike_each(embedding: Embedding, names: &[&str], signal: Signal) {
    let mut stack = Plan { probes_often: true, ..Plan::of(embedding) }.start().await;
    stack.all_ready().await;
    let load = Load::start(&stack).await;
    load.goes_on().await;
    for name in names {
        println!("== {name}: {signal:?}");
        strike(&mut stack, name, signal).await;
        load.goes_on().await;
    }
    let tally = load.end(&stack).await;
    assert_nothing_lost(&stack, &tally).await;
    a_row_is_there_after_a_restart_of_the_database(&mut stack).await;
}

async fn strike(stack: &mut Stack, name: &str, signal: Signal) {
    let before = pids(&stack.all_ready().await);
    let victim = stack.process(name).unwrap_or_else(|| panic!("no process of {name}"));
    let watch = Watch::start(stack);
    victim.signal(signal);
    eventually_within(REPLACED_WITHIN, &format!("the end of the old {name}"), async || {
        (!victim.lives()).then_some(())
    })
    .await;
    // The daemon may not have noticed yet.
    eventually_within(REPLACED_WITHIN, &format!("a new {name}"), async || {
        let pid = stack.node(name).await.pid;
        (pid.is_some() && pid != before[name]).then_some(())
    })
    .await;
    if leaves_somebody_helpless(name) {
        tokio::time::sleep(SAYS_SO_FOR).await;
    }
    let after = pids(&stack.all_ready().await);
    let seen = watch.end().await;
    seen.assert_only(name);
    // A restart after a kill may be faster than anybody looks.
    if signal == Signal::STOP {
        seen.assert_all_of(name);
    }
    println!("{seen:?}");
    for (member, pid) in &after {
        let same = before[member] == *pid;
        assert_eq!(same, member != name, "{member}: {:?} became {pid:?}", before[member]);
    }
    // A breaker that has opened is tried by the next check or call.
    eventually_within(Duration::from_secs(30), "health", async || {
        let (status, health) = stack.get("/health/detailed").await;
        ((status, health["status"].as_str()) == (200, Some("ok"))).then_some(())
    })
    .await;
}

async fn a_row_is_there_after_a_restart_of_the_database(stack: &mut Stack) {
    let client = stack.daemon.client("aidb").await.unwrap();
    let skill = json!({"name": "kept", "content": "how to survive a kill"});
    client.call("import_skill", skill.clone()).await.unwrap();
    strike(stack, "postgres", Signal::KILL).await;
    let found = client.call("get_skill", json!({"name": "kept"})).await.unwrap();
    assert_eq!(found["structuredContent"]["content"], skill["content"], "{found}");
}
