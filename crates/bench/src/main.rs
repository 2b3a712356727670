//! Side-by-side measurements of Mainstay and its peers on one machine: the tiny servers, the
//! yardstick proxy, the load generator and the run that puts them together. No part of the
//! product, and it knows the product only by its command line and its wire.

mod bare_proxy;
mod client;
mod compare;
mod echo_http;
mod echo_stdio;
mod exec;
mod histogram;
mod instructions;
mod load;
mod mcp;
mod procfs;
mod run;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures Mainstay, its peers and a bare proxy side by side.
#[derive(Debug, Parser)]
#[command(name = "mainstay-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A tiny MCP server over streamable HTTP.
    EchoHttp(echo_http::EchoHttpArgs),
    /// A tiny MCP server over standard input and output.
    EchoStdio(echo_stdio::EchoStdioArgs),
    /// A reverse proxy of hyper and nothing else: the yardstick.
    BareProxy(bare_proxy::BareProxyArgs),
    /// Drive one target and print the results as one line of JSON.
    Load(load::LoadArgs),
    /// Measure all targets side by side and print a table.
    Run(run::RunArgs),
    /// Compare two daemons: the cost of a change, as ratios.
    Compare(compare::CompareArgs),
    /// Counts the instructions that a call takes, under callgrind.
    Instructions(instructions::InstructionsArgs),
    /// Becomes another program that ends with the process that started it.
    #[command(hide = true)]
    Exec(exec::ExecArgs),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::EchoHttp(args) => echo_http::main(&args),
        Command::EchoStdio(args) => echo_stdio::main(&args),
        Command::BareProxy(args) => bare_proxy::main(&args),
        Command::Load(args) => load::main(args),
        Command::Run(args) => run::main(args),
        Command::Compare(args) => compare::main(&args),
        Command::Instructions(args) => instructions::main(&args),
        Command::Exec(args) => Err(exec::main(&args)),
    }
}
