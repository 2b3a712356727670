//! Commands and composition.

mod cli;
mod commands;
mod compose;
mod output;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::run(&cli::Cli::parse()).into()
}
