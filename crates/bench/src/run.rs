//! Measures all targets side by side: starts each, drives it, ends it, and writes the results.

mod args;
pub(crate) mod behaviour;
pub(crate) mod cells;
pub(crate) mod context;
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
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use self::args::RunArgs;
use self::context::Context;
use self::hardware::Hardware;
use self::peers::Programs;
use self::results::Results;

/// Runs everything, bounded in time; ends all it started, also when interrupted.
pub(crate) fn main(args: RunArgs) -> Result<()> {
    until_interrupted(run(args))
}

/// Runs `work` to its end. An interrupt is an error, and ends everything that `work` started.
pub(crate) fn until_interrupted(work: impl Future<Output = Result<()>>) -> Result<()> {
    // One thread, because the death signal of a child depends on the thread that started it.
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

async fn run(args: RunArgs) -> Result<()> {
    check_names(&args)?;
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

/// Checks that each part of `--only` matches a name. A row that was never measured would look like
/// a row without results.
fn check_names(args: &RunArgs) -> Result<()> {
    let names: Vec<&str> =
        cells::CELLS.iter().map(|cell| cell.name).chain(behaviour::names()).collect();
    for part in args.only.iter().flat_map(|only| only.split('|')) {
        if !names.iter().any(|name| name.contains(part)) {
            bail!("--only {part:?} fits no row; there are {}", names.join(", "));
        }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{RunArgs, check_names};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: RunArgs,
    }

    fn check(only: &str) -> Result<(), String> {
        let cli = Cli::parse_from(["run", "--only", only]);
        check_names(&cli.args).map_err(|error| error.to_string())
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
