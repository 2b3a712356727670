//! The step between the daemon and a server's program: `mainstay __exec`.
//!
//! The daemon starts this helper instead of the program itself, and only the helper touches what may
//! hang or must hold from the first instruction on: it sets the limit on open files, the user and the
//! working folder, looks for the program, and becomes it. A mount that no longer answers so holds up
//! one process that can be killed, and no thread of the daemon.
//!
//! ```text
//!   daemon ── socket, standard input of the helper ── helper ── exec ── server
//!     plan, with the pipe that becomes the standard input  ─▶
//!     ◀─ a failure, or nothing: the kernel closes the socket when the program is loaded
//! ```

#![expect(clippy::disallowed_methods, reason = "a process of its own, which nobody else waits for")]

mod channel;
mod load;
mod plan;
mod program;
mod user;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

use self::program::Program;
use super::pages;

pub(super) use self::channel::{Channel, Offer};
pub(super) use self::plan::{Cause, Failure, Files, Plan, Rlimits};
pub(super) use self::user::{is_other_user, look_up};

type Environment = Vec<(OsString, OsString)>;

/// Runs the helper: takes the plan from standard input and becomes the server's program. Returns only
/// when that fails, after telling the daemon.
pub fn exec_main() -> ExitCode {
    let (mut channel, plan) = match channel::accept() {
        Ok(accepted) => accepted,
        Err(error) => {
            channel::say(&format!("only the daemon can run this command: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let failure = carry_out(&plan);
    if let Err(error) = channel.report(&failure) {
        channel::say(&format!("can't report {failure:?} to the daemon: {error}"));
    }
    ExitCode::FAILURE
}

/// Carries out the plan in a fixed order: limits need the daemon's rights; the folder and the
/// program are opened with the server's rights.
fn carry_out(plan: &Plan) -> Failure {
    match prepare(plan) {
        Err(failure) => failure,
        Ok((program, environment)) => {
            let error = load::load(&program.path, &plan.command, environment, plan.rlimits);
            program.explain(&error)
        }
    }
}

fn prepare(plan: &Plan) -> Result<(Program, Environment), Failure> {
    let name = plan.command.first().map_or("", |name| &**name);
    limit_files(plan)?;
    if plan.huge_pages {
        pages::give_back();
    }
    let account = user::take(plan)?;
    if let Some(cwd) = &plan.cwd {
        std::env::set_current_dir(cwd)
            .map_err(|error| Failure::Cwd { cwd: cwd.clone(), cause: Cause::of(&error) })?;
    }
    let program = program::find(name, plan.cwd.as_deref())?;
    let mut environment: Environment = std::env::vars_os().collect();
    for (variable, value) in account.into_iter().flat_map(user::Account::variables) {
        if !plan.own_variables.iter().any(|own| own == variable) {
            environment.retain(|(name, _)| name != variable);
            environment.push((variable.into(), value.into()));
        }
    }
    Ok((program, environment))
}

fn limit_files(plan: &Plan) -> Result<(), Failure> {
    let Files { soft, hard, configured } = plan.files;
    let limit = Rlimit { current: soft, maximum: hard };
    match setrlimit(Resource::Nofile, limit) {
        Err(error) if configured => {
            let cause = Cause::of(&io::Error::from(error));
            Err(Failure::Files { files: soft.unwrap_or(u64::MAX), cause })
        }
        // The daemon's own limit is no wish of anybody's; the server then keeps a higher one.
        Ok(()) | Err(_) => Ok(()),
    }
}
