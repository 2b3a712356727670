//! `mainstay connect`: a session with the daemon for a client that can only start a command.
//!
//! One message a line on standard input and output, streamable HTTP behind it. What is to be done
//! is decided in [`shim`], without I/O; [`driver`] does it.

use mainstay_telemetry::{LogGuard, logs};

use self::connections::Connections;
use self::driver::Driver;
use self::shim::Leaving;
use self::target::{Target, Wrong};
use super::{Exit, Failure};
use crate::cli::{ConnectArgs, Shared};
use crate::output::{self, Output};

mod connections;
mod driver;
mod exchange;
mod shim;
mod stdio;
mod target;
mod upload;

/// Nothing but messages goes to standard output, so failures go to standard error whatever was
/// asked for.
pub(super) fn run(shared: &Shared, args: &ConnectArgs, out: &Output) -> Exit {
    let mut out = *out;
    out.json = false;
    connect(shared, args).unwrap_or_else(|failure| failure.print(&out))
}

fn connect(shared: &Shared, args: &ConnectArgs) -> Result<Exit, Failure> {
    let _logs = start_logs(shared)?;
    let name = args.name.as_deref();
    let target = match &args.url {
        Some(url) => Target::of_url(url, name)?,
        None => Target::of_state(&mainstay_config::state_dir(shared.state.as_deref())?.path, name)?,
    };
    let whose = target.describe();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of(Exit::Failed, &error))?;
    let left = runtime.block_on(Driver::run(Connections::new(target)));
    // A look-up of a name that hangs must not keep the program from ending.
    runtime.shutdown_background();
    match left.map_err(|error| Failure::of(Exit::Failed, &error))? {
        Leaving::Done => Ok(Exit::Done),
        Leaving::NoDaemon => {
            Err(Failure::new(Exit::NoDaemon, format!("no daemon is running {whose}"))
                .hint("start one with `mainstay up`, or try `mainstay demo`"))
        }
    }
}

/// Clients show what a command says on standard error, or count it as a failure: only where it
/// was asked for is there a log.
fn start_logs(shared: &Shared) -> Result<Option<LogGuard>, Failure> {
    if shared.verbose == 0 {
        return Ok(None);
    }
    let filter = std::env::var("MAINSTAY_LOG").ok();
    let options = shared.log_options(filter, output::colours_wanted());
    logs::init(&options).map(Some).map_err(|error| Failure::of(Exit::Usage, &error))
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self::new(Exit::Usage, wrong.to_string())
    }
}
