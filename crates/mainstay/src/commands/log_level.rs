//! `mainstay log-level`: changes the level of the daemon's log.

use mainstay_admin::Action;
use mainstay_admin::action::LogLevel as Level;

use super::daemon;
use crate::cli::{LogLevel, LogLevelArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(shared: &Shared, args: &LogLevelArgs, out: &Output) -> Result<Exit, Failure> {
    let client = daemon::client(shared)?;
    let action = Action::SetLogLevel(level(args.level));
    let done = daemon::block_on(async { Ok(client.act(action, args.dry_run).await?) })?;
    if out.json {
        out.value(&done);
    } else if args.dry_run {
        out.line(&done.message);
    } else {
        out.done(&done.message);
    }
    Ok(Exit::Done)
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
        LogLevel::Trace => Level::Trace,
        LogLevel::Initial => Level::Initial,
    }
}
