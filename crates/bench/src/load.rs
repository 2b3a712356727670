//! The load generator: one mode of load against one target, one report.

mod astray;
mod closed;
mod crew;
mod hold;
mod open;
mod report;
mod sessions;
mod tally;
mod watched;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use self::hold::Held;
pub(crate) use self::report::{CpuUse, Report};
use self::watched::Watched;
use crate::client::Target;

#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
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
    Closed(closed::ClosedPlan),
    /// Calls arrive at a fixed rate, whether earlier ones are answered or not.
    Open(open::OpenPlan),
    /// Sessions are opened and ended, one after the other.
    Sessions(sessions::SessionsPlan),
    /// Clients share ids and each answer carries its caller's mark.
    Astray(astray::AstrayPlan),
    /// Opens sessions and leaves them idle until standard input ends.
    Hold(hold::HoldPlan),
}

/// Runs the load and prints the report as one line of JSON.
pub(crate) fn main(args: LoadArgs) -> Result<()> {
    let LoadArgs { target, watch, mode } = args;
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

#[cfg(test)]
mod tests;
