//! The long forms, with the real embedding model: `cargo xtask proof stack`. The first run fetches the model and
//! builds its server.

use rustix::process::Signal;

use super::members::MEMBERS;
use super::{Embedding, chaos, loading, one_by_one, order, programs};

#[tokio::test]
#[ignore = "takes minutes: cargo xtask proof stack"]
async fn a_the_real_stack_comes_up() {
    order::come_up(Embedding::Real).await;
    programs::refuses_while_it_loads(Embedding::Real).await;
    programs::embeds(Embedding::Real).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: cargo xtask proof stack"]
async fn b_each_is_killed_and_frozen() {
    let names: Vec<&str> = MEMBERS.iter().map(|member| member.name).collect();
    for signal in [Signal::KILL, Signal::STOP] {
        one_by_one::strike_each(Embedding::Real, &names, signal).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes: cargo xtask proof stack"]
async fn c_the_model_loads_for_ninety_seconds() {
    loading::load_slowly(Embedding::Real, 90).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: cargo xtask proof stack"]
async fn d_a_hundred_kills_and_freezes() {
    chaos::strike_at_random(Embedding::Real, 100).await;
}
