//! Compares two daemons in one run: the cost of a change, as ratios.
//!
//! Machines drift by a fifth within minutes. So both binaries are measured in every round, in
//! alternating order, and each ratio is of two figures of the same round.

mod budget;
mod comparison;
mod pairs;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use self::comparison::{BESIDE_HAPROXY, Comparison, Named};
use self::pairs::{Pair, PairedCell};
use crate::instructions::{CALLS, Counter};
use crate::load::Report;
use crate::run::behaviour::memory::{IDLE_REPETITIONS, WARM_UP_SESSIONS, Wire, growth, lowest};
use crate::run::cells;
use crate::run::context::Pace;
use crate::run::hardware::{self, Hardware};
use crate::run::kind::{Kind, Upstream};
use crate::run::peers::Programs;
use crate::run::setup::Setup;
use crate::run::{raise_limit_on_files, until_interrupted};

/// The comparisons, in this order. The first of them are cells of a run.
const NAMES: [&str; 9] = [
    "http-1",
    "http-32",
    "http-256",
    "stdio-32",
    "http-sessions",
    IDLE,
    IDLE_STREAM,
    "instructions-http",
    "instructions-stdio",
];
const CELLS: usize = 5;
const IDLE: &str = "idle";
const IDLE_STREAM: &str = "idle-stream";
const IDLE_SESSIONS: u32 = 5_000;

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// The `mainstay` program from before a change.
    old: PathBuf,
    /// The one with it.
    new: PathBuf,
    /// Rounds of each cell.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Measured seconds of a cell, for each binary.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Compare only these.
    #[arg(long, value_name = "CELL,…", value_delimiter = ',', value_parser = NAMES)]
    only: Vec<String>,
    /// Wait so many seconds at most for a calm machine before each round.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    calm: f64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Both binaries, and how to run them.
#[derive(Debug)]
struct Bench<'a> {
    args: &'a CompareArgs,
    old: Programs,
    new: Programs,
    haproxy: Result<Programs>,
}

/// Prints the comparison; an error when a budget is not kept.
pub(crate) fn main(args: &CompareArgs) -> Result<()> {
    until_interrupted(async {
        raise_limit_on_files();
        let comparison = Bench::new(args)?.run().await?;
        if args.json {
            println!("{}", serde_json::to_string_pretty(&comparison)?);
        } else {
            print!("{}", table::render(&comparison));
        }
        let broken = comparison.verdicts.iter().filter(|verdict| verdict.kept == Some(false));
        ensure!(broken.count() == 0, "the budget is not kept");
        Ok(())
    })
}

// === impl Bench ===

impl<'a> Bench<'a> {
    fn new(args: &'a CompareArgs) -> Result<Self> {
        ensure!((0.2..=60.0).contains(&args.seconds), "--seconds is from 0.2 to 60");
        let (old, new) = (Programs::mainstay(&args.old)?, Programs::mainstay(&args.new)?);
        Ok(Self { args, old, new, haproxy: Programs::haproxy() })
    }

    async fn run(&self) -> Result<Comparison> {
        let hardware = Hardware::read();
        eprintln!("{hardware}");
        let mut found = Comparison {
            began: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            hardware,
            old: self.args.old.clone(),
            new: self.args.new.clone(),
            rounds: self.args.rounds,
            seconds: self.args.seconds,
            cells: self.wanted(&NAMES[..CELLS]).map(PairedCell::new).collect(),
            idle: Vec::new(),
            instructions: Vec::new(),
            notes: Vec::new(),
            verdicts: Vec::new(),
        };
        if let Err(why) = &self.haproxy {
            found.notes.push(format!("HAProxy: {why:#}"));
        }
        for round in 0..self.args.rounds {
            for cell in &mut found.cells {
                eprintln!("round {}: {}", round + 1, cell.name);
                self.measure(round, cell).await?;
            }
        }
        for name in self.wanted(&[IDLE, IDLE_STREAM]) {
            eprintln!("{name}");
            found.idle.push(Named { name, pair: self.idle(name).await? });
        }
        for (name, upstream) in
            [("instructions-http", Upstream::Http), ("instructions-stdio", Upstream::Stdio)]
        {
            if self.wanted(&[name]).next().is_none() {
                continue;
            }
            eprintln!("{name}");
            match self.instructions(upstream).await {
                Ok(pair) => found.instructions.push(Named { name, pair }),
                Err(why) => found.notes.push(format!("{name}: {why:#}")),
            }
        }
        found.verdicts = budget::judge(&found);
        Ok(found)
    }

    /// The names that were asked for.
    fn wanted<'b>(&'b self, names: &'b [&'static str]) -> impl Iterator<Item = &'static str> + 'b {
        let only = &self.args.only;
        names
            .iter()
            .copied()
            .filter(|name| only.is_empty() || only.iter().any(|wanted| wanted == name))
    }

    /// Measures one round of a cell.
    async fn measure(&self, round: u32, found: &mut PairedCell) -> Result<()> {
        let cell = cells::find(found.name).context("it is a cell of a run")?;
        hardware::calm(Duration::from_secs_f64(self.args.calm.clamp(0.0, 600.0))).await;
        let mut turns = vec![(&self.old, Kind::Mainstay), (&self.new, Kind::Mainstay)];
        if let Ok(haproxy) = &self.haproxy
            && cell.name == BESIDE_HAPROXY
        {
            turns.push((haproxy, Kind::Haproxy));
        }
        let pace = Pace { seconds: self.args.seconds, quick: true };
        let backwards = !round.is_multiple_of(2);
        let mut reports: Vec<Option<Report>> = vec![None; turns.len()];
        for turn in 0..turns.len() {
            let at = if backwards { turns.len() - 1 - turn } else { turn };
            let (programs, kind) = turns[at];
            reports[at] = Some(cell.measure(programs, pace, kind).await?);
        }
        let mut reports = reports.into_iter().flatten();
        let (old, new) = reports.next().zip(reports.next()).context("both took their turn")?;
        found.rounds.push(pairs::Round { old, new, haproxy: reports.next() });
        Ok(())
    }

    /// KiB for a session that does nothing.
    async fn idle(&self, name: &str) -> Result<Pair> {
        let wire = if name == IDLE { Wire::Closed } else { Wire::Stream };
        let of = async |programs: &Programs| {
            let setup = Setup::start(programs, Kind::Mainstay, Upstream::Http).await?;
            let grown =
                growth(&programs.bench, &setup, WARM_UP_SESSIONS, IDLE_SESSIONS, wire).await;
            setup.stop().await;
            grown
        };
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for _ in 0..IDLE_REPETITIONS {
            old.push(of(&self.old).await?);
            new.push(of(&self.new).await?);
        }
        let (old, new) = lowest(old).zip(lowest(new)).context("both took their turn")?;
        Ok(Pair { old: old.kib, new: new.kib })
    }

    async fn instructions(&self, upstream: Upstream) -> Result<Pair> {
        let counter = Counter::find().await?;
        counter.can(upstream)?;
        Ok(Pair {
            old: counter.count(&self.args.old, upstream, CALLS, None).await?,
            new: counter.count(&self.args.new, upstream, CALLS, None).await?,
        })
    }
}

#[cfg(test)]
mod tests;
