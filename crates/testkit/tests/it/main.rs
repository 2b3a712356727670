//! Tests of the test tools, on which all other tests rely.

mod client;
mod daemon;
mod fixture;
mod misbehave;
mod process;
mod running;
mod stubborn;
