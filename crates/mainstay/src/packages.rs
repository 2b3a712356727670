//! Packages that were fetched: where they are, the record of them, and how servers are started from
//! them.
//!
//! The package manager installs each into a folder of its own in the state folder. Its server is
//! then started by the program in that folder: without the runner, without a network, and always in
//! the same version.

#![expect(
    clippy::disallowed_methods,
    reason = "called before the daemon serves, on threads that may block"
)]

pub(crate) mod record;

use std::path::{Path, PathBuf};

use mainstay_config::packages::{PackageCommand, Registry};
use mainstay_model::settings::{ProcessSpec, Runtime, ServerSpec, Settings};
use sha2::{Digest, Sha256};

use self::record::{Fetched, Record};

/// The folder of all packages, in the state folder.
pub(crate) const FOLDER: &str = "packages";

/// The folder of a command's package, below [`FOLDER`]: a readable name and a hash of everything
/// else that distinguishes it.
pub(crate) fn folder_of(run: &PackageCommand) -> Option<String> {
    let main = run.packages.first()?;
    let mut hash = Sha256::new();
    for package in &run.packages {
        hash.update(format!("{}\n", package.at(package.version.as_deref()?)));
    }
    run.options.iter().for_each(|option| hash.update(format!("{option}\n")));
    let digest = hash.finalize();
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let name = main.name.replace(['@', '/'], "_");
    let version = main.version.as_deref()?;
    Some(format!("{}-{}-{version}-{hash}", run.registry().name(), name.trim_start_matches('_')))
}

/// Where a package manager puts programs, below a package's folder.
pub(crate) fn programs(registry: Registry) -> &'static str {
    match registry {
        Registry::Npm => "node_modules/.bin",
        Registry::Pypi => "bin",
    }
}

/// The fetched program that a command runs. None when it was not fetched or is gone.
pub(crate) fn program(state_dir: &Path, record: &Record, run: &PackageCommand) -> Option<PathBuf> {
    let fetched = record.find(&folder_of(run)?)?;
    program_of(state_dir, fetched, run)
}

fn program_of(state_dir: &Path, fetched: &Fetched, run: &PackageCommand) -> Option<PathBuf> {
    let name = run.program.as_deref().or(fetched.program.as_deref())?;
    let folder = state_dir.join(FOLDER).join(&fetched.folder);
    let program = folder.join(programs(run.registry())).join(name);
    program.is_file().then_some(program)
}

/// Replaces commands of package runners by the programs that were fetched. A server whose package
/// is not fetched gets the time to download it on top of its start timeout.
pub(crate) fn take_fetched(settings: &mut Settings) {
    let record = Record::load(&settings.state_dir).unwrap_or_else(|error| {
        tracing::warn!(target: "mainstay", %error, "fetched packages are not used");
        Record::default()
    });
    for spec in &mut settings.servers {
        let Runtime::Process(process) = &spec.runtime else { continue };
        let Some(run) = PackageCommand::parse(&process.command) else { continue };
        let command =
            run.ok().and_then(|run| from_fetched(&settings.state_dir, &record, &run, process));
        match command {
            Some(command) => start_by(spec, command),
            None => spec.start_deadline += spec.fetch_deadline,
        }
    }
}

fn from_fetched(
    state_dir: &Path,
    record: &Record,
    run: &PackageCommand,
    process: &ProcessSpec,
) -> Option<Vec<String>> {
    let program = program(state_dir, record, run)?;
    run.started_by(&process.command, &program)
}

fn start_by(spec: &mut ServerSpec, command: Vec<String>) {
    tracing::debug!(target: "mainstay", server = %spec.name, "started from its fetched package");
    if let Runtime::Process(process) = &mut spec.runtime {
        process.command = command;
    }
}

#[cfg(test)]
mod tests;
