//! Commands and composition.

mod cli;
mod commands;
mod compose;
mod memory;
mod output;
mod packages;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: memory::Allocator = memory::Allocator;

fn main() -> ExitCode {
    memory::give_back_what_is_freed();
    commands::run(&cli::Cli::parse()).into()
}
