//! The commands, one file each.

use crate::cli::{Cli, Command};
use crate::compose;
use crate::exit::Exit;
use crate::output::Output;

mod add;
mod breaker;
mod call;
mod change;
mod check;
mod client_files;
mod completions;
mod connect;
mod daemon;
mod events;
mod export;
mod fetch;
mod files;
mod graph;
mod import;
mod init;
mod lock;
mod log_level;
mod logs;
mod nodes;
mod reload;
mod remove;
mod running;
mod schema;
mod service;
mod since;
mod status;
mod stop;
mod token;
mod tools;
mod trouble;
mod up;
mod verify;

pub(crate) use completions::answered as completed;

/// Runs the command. Prints its failure, if it fails.
pub(crate) fn run(cli: &Cli) -> Exit {
    let (shared, out) = (&cli.shared, Output::new(&cli.shared));
    let result = match &cli.command {
        Command::Up(args) => up::run(shared, args, &out),
        Command::Demo(args) => compose::demo(shared, args),
        Command::Check(args) => check::run(shared, args, &out),
        Command::Status(args) => status::run(shared, args, &out),
        Command::Graph(args) => graph::run(shared, args, &out),
        Command::Start(args) => nodes::start(shared, args, &out),
        Command::Restart(args) => nodes::restart(shared, args, &out),
        Command::Breaker(args) => breaker::run(shared, args, &out),
        Command::Verify(args) => verify::run(shared, args, &out),
        Command::Diff(args) => reload::diff(shared, args, &out),
        Command::Reload(args) => reload::reload(shared, args, &out),
        Command::Stop(args) if !args.names.is_empty() => nodes::stop(shared, args, &out),
        Command::Stop(args) => stop::run(shared, args, &out),
        Command::Logs(args) => logs::run(shared, args, &out),
        Command::Events(args) => events::run(shared, args, &out),
        Command::LogLevel(args) => log_level::run(shared, args, &out),
        Command::Tools(args) => tools::run(shared, args, &out),
        Command::Call(args) => call::run(shared, args, &out),
        Command::Connect(args) => Ok(connect::run(shared, args, &out)),
        Command::Add(args) => add::run(shared, args, &out),
        Command::Remove(args) => remove::run(shared, args, &out),
        Command::Import(args) => import::run(shared, args, &out),
        Command::Export(args) => export::run(shared, args, &out),
        Command::Fetch(args) => fetch::run(shared, args, &out),
        Command::Service(args) => service::run(shared, args, &out),
        Command::Token(args) => token::run(shared, args, &out),
        Command::Init(args) => init::run(shared, args, &out),
        Command::Schema => schema::run(&out),
        Command::Completions(args) => completions::run(args, &out),
        Command::Guard { state_dir } => compose::guard(state_dir),
        Command::Exec => Ok(compose::exec()),
        Command::DemoServer { kind } => compose::demo_server(kind),
    };
    out.finish(result.unwrap_or_else(|failure| out.failure(&failure)))
}
