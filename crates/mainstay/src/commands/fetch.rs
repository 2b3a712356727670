//! `mainstay fetch`: installs in advance what package runners would download at a server's start.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

mod error;
mod install;
mod npm;
mod pypi;
mod report;
mod tool;

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Instant;

use mainstay_config::packages::{Package, PackageCommand, Registry, Runner};
use mainstay_config::{from_system, nearest};
use mainstay_model::settings::{ProcessSpec, Runtime, ServerSpec};
use mainstay_store::Folder;

use self::error::FetchError;
use self::install::Installer;
use self::report::{Outcome, State};
use self::tool::PackageManager;
use super::daemon;
use crate::cli::{FetchArgs, Shared};
use crate::compose;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::packages::FOLDER;
use crate::packages::record::Record;

pub(super) fn run(shared: &Shared, args: &FetchArgs, out: &Output) -> Result<Exit, Failure> {
    let loaded = from_system(shared.request(None))?;
    let state_dir = &loaded.settings.state_dir;
    let servers = chosen(&loaded.settings.servers, &args.servers)?;
    let named = !args.servers.is_empty();
    Folder::check(state_dir).map_err(|error| compose::no_state(&error))?;
    let _lock = lock(state_dir)?;
    let outcomes = daemon::block_on(async {
        let mut outcomes = Vec::new();
        for server in servers {
            if let Some(outcome) = fetch(server, named, state_dir, out).await {
                if !out.json {
                    outcome.tell(out);
                }
                let is_over = matches!(outcome.state, State::Interrupted);
                outcomes.push(outcome);
                if is_over {
                    break;
                }
            }
        }
        Ok(outcomes)
    })?;
    report::close(&outcomes, out);
    let is_failure = |state: &State| match state {
        State::Failed(_) | State::Interrupted => true,
        // Somebody wanted this package installed, and it is not.
        State::Unpinned(_) => named,
        State::Fetched(_) | State::There(_) | State::Uncompared(_) | State::Skipped(_) => false,
    };
    let failed = outcomes.iter().any(|outcome| is_failure(&outcome.state));
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// The servers with these names, or all.
fn chosen<'a>(servers: &'a [ServerSpec], names: &[String]) -> Result<Vec<&'a ServerSpec>, Failure> {
    let known = || servers.iter().map(|server| server.name.as_str());
    for name in names {
        if !known().any(|known| known == name) {
            let failure = Failure::new(Exit::Usage, format!("no server is called `{name}`"));
            return Err(match nearest::nearest(name, known()) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => {
                    failure.hint(format!("there are {}", known().collect::<Vec<_>>().join(", ")))
                }
            });
        }
    }
    let is_chosen = |server: &&ServerSpec| {
        names.is_empty() || names.iter().any(|name| name == server.name.as_str())
    };
    Ok(servers.iter().filter(is_chosen).collect())
}

/// Locks the folder of packages: two fetches at once would overwrite each other.
fn lock(state_dir: &Path) -> Result<File, Failure> {
    let folder = state_dir.join(FOLDER);
    // The daemon may never have run; the folder gets the same mode as when the daemon makes it.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    let open = made.and_then(|()| File::create(folder.join("lock")));
    let file = open.map_err(|error| {
        Failure::new(Exit::Failed, format!("{} can't be used: {error}", folder.display()))
            .hint("run the command as the user the daemon runs as")
    })?;
    file.try_lock().map_err(|_| {
        Failure::new(Exit::Failed, format!("another fetch is running in {}", folder.display()))
    })?;
    Ok(file)
}

/// Fetches a server's package. None when no package runner starts the server and nobody named it.
async fn fetch(
    server: &ServerSpec,
    named: bool,
    state_dir: &Path,
    out: &Output,
) -> Option<Outcome> {
    let begun = Instant::now();
    let outcome = |packages: Vec<Package>, state| Outcome {
        server: server.name.clone(),
        packages,
        state,
        took: begun.elapsed(),
    };
    let process = match &server.runtime {
        Runtime::Process(process) => Some(process),
        Runtime::Remote(_) => None,
    };
    let run = process.and_then(|process| Some((process, PackageCommand::parse(&process.command)?)));
    let Some((process, run)) = run else {
        let why = "no package runner starts it".to_owned();
        return named.then(|| outcome(Vec::new(), State::Skipped(why)));
    };
    let run = match run {
        Ok(run) => run,
        Err(unclear) => return Some(outcome(Vec::new(), State::Skipped(unclear.to_string()))),
    };
    let packages = run.packages.clone();
    let left_to_runner = matches!(run.runner, Runner::PnpmDlx | Runner::Bunx | Runner::PipxRun);
    if left_to_runner && run.is_pinned() {
        return Some(outcome(packages, State::Skipped(unfetched(&run))));
    }
    let names: Vec<_> = packages.iter().map(|package| package.written.as_str()).collect();
    let waiting = out.waiting(format!("{}: fetching {}", server.name, names.join(", ")));
    let settled = tokio::time::timeout(server.fetch_deadline, settle(&run, process, state_dir));
    let state = waiting.during(async {
        tokio::select! {
            state = settled => state.unwrap_or(Err(FetchError::TooLong(server.fetch_deadline))),
            () = interrupted() => Ok(State::Interrupted),
        }
    });
    let state = state.await;
    let state = state.unwrap_or_else(|error| match report::words(&error) {
        // The package manager is not asked to install, only for a version.
        words if left_to_runner => {
            let pins = "which version it is now could not be found out";
            State::Skipped(format!("{}; {pins}: {words}", unfetched(&run)))
        }
        words => State::Failed(words),
    });
    Some(outcome(packages, state))
}

/// Why the package of a runner is not fetched.
fn unfetched(run: &PackageCommand) -> String {
    let instead = match run.registry() {
        Registry::Npm => "npx -y",
        Registry::Pypi => "uvx",
    };
    format!(
        "{} downloads it itself when the server first starts; with `{instead}` in its place it is fetched",
        run.runner.name()
    )
}

/// Waits for a signal that ends the command: INT, TERM, or HUP where the terminal closes. The fetch in progress
/// ends with its future.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

async fn settle(
    run: &PackageCommand,
    process: &ProcessSpec,
    state_dir: &Path,
) -> Result<State, FetchError> {
    let tool = PackageManager::new(run.runner, process);
    if !run.is_pinned() {
        let mut pins = Vec::new();
        for package in run.packages.iter().filter(|package| package.version.is_none()) {
            let version = match run.registry() {
                Registry::Npm => npm::newest(&tool, package, &run.options).await?,
                Registry::Pypi => pypi::newest(&tool, package, &run.options).await?,
            };
            pins.push((package.written.clone(), package.at(&version)));
        }
        return Ok(State::Unpinned(pins));
    }
    let mut record = Record::load(state_dir)?;
    Installer { run, tool: &tool, state_dir }.bring(&mut record).await
}
