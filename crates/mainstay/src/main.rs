//! The program: commands, and the composition of the daemon.

mod cli;
mod commands;
mod compose;
mod exit;
mod memory;
mod output;
mod packages;
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
mod static_libc;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: memory::Allocator = memory::Allocator;

fn main() -> ExitCode {
    // Every start of a server runs this, so it skips what commands need.
    if std::env::args_os().nth(1).is_some_and(|command| command == "__exec") {
        return mainstay_upstream::process::exec_main();
    }
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    static_libc::look_names_up_without_libraries();
    if commands::completed() {
        return ExitCode::SUCCESS;
    }
    memory::give_back_what_is_freed();
    match cli::Cli::try_parse() {
        Ok(cli) => commands::run(&cli).into(),
        Err(error) => {
            let words: Vec<_> =
                std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
            let json = words.iter().any(|word| word == "--json");
            let shared = cli::Shared { json, ..cli::Shared::default() };
            let out = output::Output::new(&shared);
            output::parsed(&cli::wrong::with_hint(error, &words), &out).into()
        }
    }
}
