//! `mainstay connect`: a session with the daemon for a client that can only start a command.
//!
//! Messages are lines of standard input and output; the daemon is reached over streamable HTTP.
//! [`shim`] makes the decisions without I/O, and [`driver`] carries them out.

use std::io::IsTerminal;
use std::sync::Arc;

use mainstay_telemetry::logs::Level;
use mainstay_telemetry::{LogGuard, logs};

use self::access::{Access, NoToken};
use self::connections::Connections;
use self::driver::Driver;
use self::shim::Leaving;
use self::target::{Target, Wrong};
use crate::cli::{ConnectArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::{self, Output};

mod access;
mod connections;
mod driver;
mod exchange;
mod shim;
mod stdio;
mod target;
mod upload;

/// Runs the shim. Failures go to standard error even with `--json`: standard output carries only
/// messages.
pub(super) fn run(shared: &Shared, args: &ConnectArgs, out: &Output) -> Exit {
    let mut out = out.clone();
    out.json = false;
    connect(shared, args).unwrap_or_else(|failure| out.failure(&failure))
}

fn connect(shared: &Shared, args: &ConnectArgs) -> Result<Exit, Failure> {
    let _logs = start_logs(shared)?;
    let name = args.name.as_deref();
    let target = match &args.url {
        Some(url) => Target::of_url(url, name, args.ca.as_deref())?,
        None => Target::of_state(&mainstay_config::state_dir(shared.state.as_deref())?.path, name)?,
    };
    let variable = std::env::var(access::VARIABLE).ok();
    let access = Access::find(args.token_file.as_deref(), variable.as_deref())?;
    let connections = Arc::new(Connections::new(target.with(access)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of(Exit::Failed, &error))?;
    let left = runtime.block_on(Driver::run(connections.clone()));
    // A DNS look-up that hangs must not keep the program from ending.
    runtime.shutdown_background();
    match left.map_err(|error| Failure::of(Exit::Failed, &error))? {
        Leaving::Done => Ok(Exit::Done),
        Leaving::NoDaemon(why) => {
            let target = &connections.target;
            Err(Failure::new(Exit::NoDaemon, target.nobody(&why)).hint(target.remedy(&why)))
        }
    }
}

/// Starts the log only when `-v` asks for one: clients show standard error to users, or count it as
/// a failure.
fn start_logs(shared: &Shared) -> Result<Option<LogGuard>, Failure> {
    if shared.verbose == 0 {
        return Ok(None);
    }
    let filter = std::env::var("MAINSTAY_LOG").ok();
    let options = shared.log_options(
        Level::Info,
        filter,
        output::colours_on(std::io::stderr().is_terminal()),
    );
    let started = logs::init(&options).map(|(logs, _)| Some(logs));
    started.map_err(|error| Failure::of(Exit::Usage, &error))
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self::of(Exit::Usage, &wrong)
    }
}

impl From<NoToken> for Failure {
    fn from(none: NoToken) -> Self {
        Self::of(Exit::Usage, &none)
    }
}
