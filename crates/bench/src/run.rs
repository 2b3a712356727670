//! Everything side by side: starts each target, drives it, ends it, and writes down what was seen.

pub(crate) mod behaviour;
pub(crate) mod cells;
mod front;
pub(crate) mod hardware;
mod judge;
pub(crate) mod kind;
pub(crate) mod peers;
pub(crate) mod process;
pub(crate) mod results;
pub(crate) mod setup;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use cells::Pace;
use hardware::Hardware;
use kind::Kind;
use peers::Programs;
use results::Results;

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
    /// Only rows whose name contains one of these parts, separated by `|`; the names are those of
    /// cells and observations.
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
    until_interrupted(run(args))
}

/// Runs `work` to its end, or to an interruption, which is an error: what `work` started ends
/// with it.
pub(crate) fn until_interrupted(work: impl Future<Output = Result<()>>) -> Result<()> {
    // One thread: the death signal of a child follows the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })
}

async fn run(args: Args) -> Result<()> {
    args.check()?;
    raise_limit_on_files();
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

/// Thousands of connections are held open, here and by who is measured, who inherits this.
pub(crate) fn raise_limit_on_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("the limit on open files stays at {:?}: {error}", limit.current);
    }
}

// === impl Args ===

impl Args {
    /// Each part of `--only` must be part of some name: a row nobody measures looks like a row
    /// with nothing to show.
    fn check(&self) -> Result<()> {
        let names: Vec<&str> =
            cells::CELLS.iter().map(|cell| cell.name).chain(behaviour::names()).collect();
        for part in self.only.iter().flat_map(|only| only.split('|')) {
            if !names.iter().any(|name| name.contains(part)) {
                bail!("--only {part:?} fits no row; there are {}", names.join(", "));
            }
        }
        Ok(())
    }
}

// === impl Context ===

impl Context {
    fn rounds(&self) -> usize {
        self.args.rounds.unwrap_or(if self.args.quick { 1 } else { 3 }).max(1)
    }

    fn seconds(&self) -> f64 {
        self.args.seconds.unwrap_or(if self.args.quick { 2.0 } else { 5.0 }).clamp(0.2, 60.0)
    }

    fn pace(&self) -> Pace {
        Pace { seconds: self.seconds(), quick: self.args.quick }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Args;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn check(only: &str) -> Result<(), String> {
        let cli = Cli::parse_from(["run", "--only", only]);
        cli.args.check().map_err(|error| error.to_string())
    }

    #[test]
    fn what_fits_no_row_is_an_error_that_names_the_rows() {
        for only in ["http-32", "http", "term|large", "hung", "idle-5000-stream"] {
            assert_eq!(check(only), Ok(()), "{only}");
        }
        for only in ["htpp", "http-32|nothing"] {
            let error = check(only).unwrap_err();
            assert!(error.contains("http-32") && error.contains("children"), "{error}");
        }
    }
}
