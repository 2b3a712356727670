//! Builds the daemon from its parts, and runs it.

mod actions;
mod announcement;
pub(crate) mod breakers;
mod by_hand;
mod changes;
mod command_socket;
mod daemon;
mod demo;
mod interfaces;
pub(crate) mod limits;
mod listening;
mod log_file;
mod nodes;
mod notify;
mod passed;
mod release;
mod reload;
mod secrets;
mod signals;
mod startup_errors;
mod state;
mod status;
mod target;
mod verify;
mod web;

use std::io::IsTerminal;
use std::path::Path;

use mainstay_config::{Loaded, Request};
use mainstay_telemetry::logs::Level;
use mainstay_telemetry::{LogControl, LogGuard, logs};

use self::daemon::Daemon;
pub(crate) use self::demo::{demo, demo_server};
use self::log_file::LogFile;
use self::reload::Begun;
use self::reload::read::Origin;
pub(crate) use self::startup_errors::no_state;
use crate::cli::{Shared, UpArgs};
use crate::exit::{Exit, Failure};
use crate::{output, packages};

/// Runs the configured daemon until it receives a signal. With `--detached` it leaves the terminal: its output is
/// a log file, and the reason why it does not serve is still told to whoever started it.
pub(crate) fn up(shared: &Shared, args: &UpArgs) -> Result<Exit, Failure> {
    if args.detached {
        // Fails only for the leader of a process group, which a shell started: its session is not ours to leave.
        let _ = rustix::process::setsid();
    }
    let request = shared.request(args.listen.as_deref());
    let loaded = mainstay_config::for_daemon(request.clone())?;
    let mut log_file = None;
    if args.detached {
        let taken = LogFile::take_over(&loaded.settings.state_dir);
        log_file = Some(taken.map_err(|error| startup_errors::no_log_file(&error))?);
    }
    let ended = run(shared, request, loaded, log_file.as_mut());
    if let (Err(_), Some(file)) = (&ended, &mut log_file) {
        file.give_back();
    }
    ended
}

fn run(
    shared: &Shared,
    mut request: Request,
    mut loaded: Loaded,
    log_file: Option<&mut LogFile>,
) -> Result<Exit, Failure> {
    let (_logs, log) = start_logs(shared, Level::Info)?;
    for warning in &loaded.warnings {
        tracing::warn!(target: "mainstay", key = %warning.key, place = %warning.place, "{}", warning.message);
    }
    if let Some(problem) = loaded.no_server() {
        let failure = Failure::new(Exit::Usage, problem.message);
        return Err(problem
            .help
            .into_iter()
            .fold(failure, Failure::hint)
            .hint("`mainstay demo` needs no configuration"));
    }
    block_on(async {
        let state_dir = loaded.settings.state_dir.clone();
        let origins = std::mem::take(&mut loaded.origins);
        // A relative path means nothing to whoever asks for it.
        let file = loaded.file.take().map(|file| std::path::absolute(&file).unwrap_or(file));
        request.state = Some(state_dir.clone());
        let origin = Origin::new(request, file.as_deref());
        let begun = state::ask(&state_dir, move |_| {
            packages::take_fetched(&mut loaded.settings);
            let files = loaded.secret_files.into_iter().chain(file).collect();
            Begun { print: origin.print(&files), files, settings: loaded.settings, origin }
        });
        let begun = begun.await?;
        let settings = begun.settings.clone();
        let daemon = Daemon::start(settings, &origins, Some(begun), log).await?;
        if !shared.quiet && !shared.json {
            daemon.announce();
        }
        let mut log_keeper = None;
        if let Some(log_file) = log_file {
            log_file.let_go().map_err(|error| startup_errors::no_log_file(&error))?;
            log_keeper = Some(tokio::spawn(log_file::keep(log_file.path())));
        }
        daemon.run_to_end().await;
        if let Some(keeper) = log_keeper {
            keeper.abort();
        }
        Ok(Exit::Done)
    })
}

/// Waits for the daemon's end, then for the end of all processes it started.
pub(crate) fn guard(state_dir: &Path) -> Result<Exit, Failure> {
    let code = mainstay_upstream::process::guard_main(state_dir);
    Ok(if code == std::process::ExitCode::SUCCESS { Exit::Done } else { Exit::Failed })
}

/// Replaces this process with a server's program. Returns only on failure.
pub(crate) fn exec() -> Exit {
    let _ = mainstay_upstream::process::exec_main();
    Exit::Failed
}

fn start_logs(shared: &Shared, usual: Level) -> Result<(LogGuard, LogControl), Failure> {
    let filter = std::env::var("MAINSTAY_LOG").ok();
    logs::init(&shared.log_options(
        usual,
        filter,
        output::colours_on(std::io::stderr().is_terminal()),
    ))
    .map_err(|error| Failure::of(Exit::Usage, &error))
}

fn block_on<T>(run: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    mainstay_upstream::process::use_small_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Failed, &error))?;
    let result = runtime.block_on(run);
    // A DNS look-up that hangs must not keep the daemon from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}
