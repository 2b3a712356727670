//! The load generator: one mode of load against one target, one report.

mod astray;
mod closed;
mod crew;
mod hold;
mod open;
mod report;
mod sessions;
mod tally;

use std::str::FromStr;

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::client::Target;
pub(crate) use hold::Held;
pub(crate) use report::{CpuUse, Report};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// A process whose CPU time is measured along, as NAME=PID.
    #[arg(long)]
    watch: Vec<Watched>,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Each client calls again as soon as it has its answer.
    Closed(closed::Plan),
    /// Calls arrive at a fixed rate, whether earlier ones are answered or not.
    Open(open::Plan),
    /// Sessions are opened and ended, one after the other.
    Sessions(sessions::Plan),
    /// Clients share ids and each answer carries its caller's mark.
    Astray(astray::Plan),
    /// Opens sessions and leaves them idle until standard input ends.
    Hold(hold::Plan),
}

/// A process and what to call it.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    name: String,
    pid: u32,
}

/// Runs the load and prints the report as one line of JSON.
pub(crate) fn main(args: Args) -> Result<()> {
    let Args { target, watch, mode } = args;
    let report = match mode {
        Mode::Closed(plan) => plan.run(&target, &watch)?,
        Mode::Open(plan) => plan.run(&target, &watch)?,
        Mode::Sessions(plan) => plan.run(&target, &watch)?,
        Mode::Astray(plan) => plan.run(&target, &watch)?,
        Mode::Hold(plan) => return plan.run(&target),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

// === impl Watched ===

impl FromStr for Watched {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, pid) = text.split_once('=').context("expected NAME=PID")?;
        Ok(Self { name: name.to_owned(), pid: pid.parse().context("a process id is a number")? })
    }
}

#[cfg(test)]
mod tests;
