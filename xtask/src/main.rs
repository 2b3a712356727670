//! Chores of this repository that need more than a line of shell. Not a part of the product.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

mod code;
mod dist;
mod floors;
mod fuzz;
mod maps;
mod needs;
mod programs;
mod proofs;
mod record;
mod requirements;
mod sources;
mod suites;

const HELP: &str = "\
cargo xtask requirements            docs/requirements.md is complete and the tests it names exist
cargo xtask deps                    crates depend downwards only; pure crates stay pure
cargo xtask test [SUITE…]           format, lists, dependencies, lints, tests, fuzz, conformance; all unless named
cargo xtask tools [SUITE…]          installs what the suites need, or says what is missing and how to get it
cargo xtask proof [NAME…]           longer proofs on what is built for users, some as root; all unless named
cargo xtask record                  makes docs/session.svg from a real session of a terminal; needs npx
cargo xtask dist                    a static program in an archive with its checksum, install.sh, and a container image
cargo xtask fuzz [SECONDS] [NAME…]  run fuzz targets, each for so long (30 s unless said)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<String> {
    let root = root()?;
    let (task, rest) = arguments.split_first().context(HELP)?;
    match (task.as_str(), rest) {
        ("requirements", []) => requirements::check(&root),
        ("deps", []) => floors::check(&root),
        ("test", rest) => suites::run(&root, rest),
        ("tools", rest) => suites::prepare(&root, rest),
        ("proof", rest) => proofs::run(&root, rest),
        ("record", []) => record::run(&root),
        ("dist", []) => Ok(dist::run(&root)?.told),
        ("fuzz", rest) => fuzz::run(&root, rest),
        ("help" | "--help" | "-h", _) => Ok(HELP.to_owned()),
        _ => bail!("no such task\n{HELP}"),
    }
}

/// The repository: the folder above this crate's.
fn root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask stands in the repository")?.to_owned())
}

/// All problems as one error, or nothing.
fn none_of(problems: &[String]) -> anyhow::Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    bail!("{} problem(s)\n  {}", problems.len(), problems.join("\n  "))
}
