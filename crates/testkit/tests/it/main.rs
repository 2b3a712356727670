//! The tools of the tests, tested: what is wrong here makes every other test wrong.

mod client;
mod daemon;
mod fixture;
mod misbehave;
mod process;
mod running;
mod stubborn;
