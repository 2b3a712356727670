//! Everything side by side: starts each target, drives it, ends it, and writes down what was seen.

mod behaviour;
mod cells;
mod hardware;
mod judge;
mod peers;
mod process;
mod results;
mod setup;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use hardware::Hardware;
use peers::Programs;
use results::Results;
use setup::Kind;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Two seconds a cell, one round, few repetitions: to see that it works, not how fast.
    #[arg(long)]
    quick: bool,
    /// Rounds of each cell; the median counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// Measured seconds a cell.
    #[arg(long)]
    seconds: Option<f64>,
    /// Wait so many seconds at most for a calm machine before each cell.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    calm: f64,
    /// Only rows whose name contains one of these parts, separated by `|`.
    #[arg(long, value_name = "PARTS")]
    only: Option<String>,
    /// Only these targets.
    #[arg(long, value_enum, value_delimiter = ',')]
    targets: Vec<Kind>,
    /// Where results go; a part of a run (`--quick`, `--only`, `--targets`) is only printed
    /// unless this is given.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What all parts of a run need to know.
#[derive(Debug)]
struct Context {
    args: Args,
    programs: Programs,
}

/// Runs everything, bounded in time; ends all it started, also when interrupted.
pub(crate) fn main(args: Args) -> Result<()> {
    // One thread: the death signal of a child follows the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            outcome = run(args) => outcome,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })
}

async fn run(args: Args) -> Result<()> {
    let programs = Programs::find(&args).await?;
    let context = Context { args, programs };
    let hardware = Hardware::read();
    eprintln!("{hardware}");
    let mut results =
        Results::new(hardware, context.rounds(), context.seconds(), context.programs.notes());
    cells::measure_all(&context, &mut results).await;
    behaviour::observe_all(&context, &mut results).await;
    results.finish();
    let text = table::render(&results);
    println!("{text}");
    if let Some(folder) = context.out() {
        write(&folder, &results, &text)?;
    }
    Ok(())
}

fn write(folder: &Path, results: &Results, text: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (extension, content) in
        [("json", serde_json::to_string_pretty(results)?), ("md", text.to_owned())]
    {
        let path = folder.join(format!("{}.{extension}", results.file_stem()));
        fs::write(&path, content + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

// === impl Context ===

impl Context {
    fn rounds(&self) -> usize {
        self.args.rounds.unwrap_or(if self.args.quick { 1 } else { 3 }).max(1)
    }

    fn seconds(&self) -> f64 {
        self.args.seconds.unwrap_or(if self.args.quick { 2.0 } else { 5.0 }).clamp(0.2, 60.0)
    }

    fn calm(&self) -> Duration {
        Duration::from_secs_f64(if self.args.quick {
            0.0
        } else {
            self.args.calm.clamp(0.0, 600.0)
        })
    }

    /// Whether the row called `name` is wanted.
    fn wants(&self, name: &str) -> bool {
        self.args.only.as_deref().is_none_or(|only| only.split('|').any(|part| name.contains(part)))
    }

    fn kinds(&self) -> Vec<Kind> {
        let wanted = |kind: &Kind| self.args.targets.is_empty() || self.args.targets.contains(kind);
        Kind::ALL.into_iter().filter(wanted).filter(|kind| self.programs.has(*kind)).collect()
    }

    fn out(&self) -> Option<PathBuf> {
        let Args { quick, only, targets, out, .. } = &self.args;
        let whole = !quick && only.is_none() && targets.is_empty();
        out.clone().or_else(|| whole.then(|| PathBuf::from("bench/results")))
    }
}
