//! `mainstay connect`: a session with the daemon for a client that can only start a command.
//!
//! One message a line on standard input and output, streamable HTTP behind it. What is to be done
//! is decided in [`shim`], without I/O; [`driver`] does it.

use std::sync::Arc;

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
        Some(url) => Target::of_url(url, name, args.ca.as_deref())?,
        None => Target::of_state(&mainstay_config::state_dir(shared.state.as_deref())?.path, name)?,
    };
    let variable = std::env::var(access::VARIABLE).ok();
    let access = Access::find(args.token_file.as_deref(), variable.as_deref())?;
    let connections = Arc::new(Connections::new(target.with(access)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of(Exit::Failed, &error))?;
    let left = runtime.block_on(Driver::run(connections.clone()));
    // A look-up of a name that hangs must not keep the program from ending.
    runtime.shutdown_background();
    match left.map_err(|error| Failure::of(Exit::Failed, &error))? {
        Leaving::Done => Ok(Exit::Done),
        Leaving::NoDaemon(why) => {
            let target = &connections.target;
            Err(Failure::new(Exit::NoDaemon, target.nobody(&why)).hint(target.remedy(&why)))
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
        Self::of(Exit::Usage, &wrong)
    }
}

impl From<NoToken> for Failure {
    fn from(none: NoToken) -> Self {
        Self::of(Exit::Usage, &none)
    }
}
