//! Installs the package of a command into a folder and records it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mainstay_config::packages::{PackageCommand, Registry};

use super::error::FetchError;
use super::report::State;
use super::tool::PackageManager;
use super::{npm, pypi, report};
use crate::packages::record::{Digests, Fetched, Record};
use crate::packages::{FOLDER, folder_of, program, programs};

/// Installs what one command runs.
pub(super) struct Installer<'a> {
    /// The command, with a pinned version.
    pub(super) run: &'a PackageCommand,
    pub(super) tool: &'a PackageManager<'a>,
    pub(super) state_dir: &'a Path,
}

/// A folder that is removed again unless its installation completes.
struct Unfinished(Option<PathBuf>);

// === impl Installer ===

impl Installer<'_> {
    /// Asks the registry for the digests, compares them with the record, and installs the package
    /// unless it is there.
    pub(super) async fn bring(&self, record: &mut Record) -> Result<State, FetchError> {
        let is_there = program(self.state_dir, record, self.run).is_some();
        let digests = match self.digests().await {
            Ok(digests) => digests,
            // An installed package needs no network: that is the purpose of a fetch.
            Err(FetchError::Tool(error)) if is_there => {
                return Ok(State::Uncompared(report::words(&error)));
            }
            Err(error) => return Err(error),
        };
        for one in &digests {
            record.compare(self.run.registry().name(), one)?;
        }
        if is_there {
            return Ok(State::There(digests));
        }
        let fetched = self.install(&digests).await?;
        record.put(fetched);
        record.save(self.state_dir)?;
        Ok(State::Fetched(digests))
    }

    async fn digests(&self) -> Result<Vec<Digests>, FetchError> {
        let mut all = Vec::new();
        for package in &self.run.packages {
            all.push(match self.run.registry() {
                Registry::Npm => npm::digests(self.tool, package, &self.run.options).await?,
                Registry::Pypi => pypi::digests(self.tool, package, &self.run.options).await?,
            });
        }
        Ok(all)
    }

    async fn install(&self, digests: &[Digests]) -> Result<Fetched, FetchError> {
        let PackageCommand { packages, options, .. } = self.run;
        let main = &packages[0];
        let name =
            folder_of(self.run).ok_or_else(|| FetchError::NoPackage(main.written.clone()))?;
        let folder = self.state_dir.join(FOLDER).join(&name);
        // A folder without a record was left by an interrupted fetch.
        let gone = std::fs::remove_dir_all(&folder);
        gone.or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
        .and_then(|()| std::fs::create_dir_all(&folder))
        .map_err(FetchError::Folder)?;
        let mut unfinished = Unfinished(Some(folder.clone()));
        let own = match self.run.registry() {
            Registry::Npm => {
                npm::install(self.tool, packages, options, &folder).await?;
                for one in digests {
                    npm::check(&folder, one)?;
                }
                npm::program(&folder, main)
            }
            Registry::Pypi => {
                pypi::install(self.tool, packages, options, &folder).await?;
                Ok(main.name.clone())
            }
        };
        let program = match (&self.run.program, own) {
            (Some(program), _) => program.clone(),
            (None, own) => own?,
        };
        if !folder.join(programs(self.run.registry())).join(&program).is_file() {
            let package = main.name.clone();
            return Err(FetchError::MissingProgram { package, program });
        }
        unfinished.0 = None;
        Ok(Fetched {
            folder: name,
            registry: self.run.registry().name().to_owned(),
            packages: digests.to_vec(),
            program: Some(program),
            at: format!("{:.0}", Timestamp::now()),
        })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
