//! Ties the life of a program to that of its starter.
//!
//! A run that is killed can't clean up. The kernel can: it sends the death signal to the child, and
//! the setting survives `exec`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Error, anyhow};
use rustix::process::{Signal, set_parent_process_death_signal};

#[derive(Debug, clap::Args)]
pub(crate) struct ExecArgs {
    /// Ask it to end, where it would be killed: it has processes of its own to end.
    #[arg(long)]
    gently: bool,
    /// The program and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

/// Returns only when the program can't be run.
pub(crate) fn main(args: &ExecArgs) -> Error {
    let Some((program, rest)) = args.command.split_first() else {
        return anyhow!("no program to run");
    };
    let signal = if args.gently { Signal::TERM } else { Signal::KILL };
    if let Err(error) = set_parent_process_death_signal(Some(signal)) {
        return error.into();
    }
    let error = Command::new(program).args(rest).exec();
    anyhow!("cannot run {}: {error}", program.display())
}
