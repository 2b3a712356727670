//! `packages.json`: what was fetched, with the digests that its registry gave.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use mainstay_store::file;
use serde::{Deserialize, Serialize};

/// Beside the folder of packages.
const FILE: &str = "packages.json";
/// A later form is not understood and not written over.
const VERSION: u32 = 1;
/// More than thousands of packages need.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Everything that was fetched.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    fetched: Vec<Fetched>,
}

/// One installed folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fetched {
    /// Below the folder of packages.
    pub(crate) folder: String,
    pub(crate) registry: String,
    pub(crate) packages: Vec<Digests>,
    /// What runs where a command names only the package; none: a command has to name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) program: Option<String>,
    /// When, in RFC 3339.
    pub(crate) at: String,
}

/// A version of a package, and what its files hash to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digests {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Algorithm and hash. A release of Python may have several files, one for each platform.
    pub(crate) digests: BTreeSet<String>,
}

/// Why the record can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("{} can't be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no record of packages", path.display())]
    Form { path: PathBuf, source: serde_json::Error },
    #[error("{} was written by a later version", path.display())]
    Later { path: PathBuf },
    #[error("{} can't be written", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// The same version has other files than before.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} {version} is not what it was: {} was recorded, and the registry has {}; \
     if that is meant, take its entry out of {FILE} in the state folder and fetch again",
    list(recorded),
    list(found)
)]
pub(crate) struct Changed {
    name: String,
    version: String,
    recorded: BTreeSet<String>,
    found: BTreeSet<String>,
}

// === impl Record ===

impl Record {
    /// The record of a state folder; an empty one where nothing was fetched.
    pub(crate) fn load(state_dir: &Path) -> Result<Self, RecordError> {
        let path = state_dir.join(FILE);
        let text = match file::read(&path, FILE_BYTES_MAX) {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(Self::default()),
            Err(source) => return Err(RecordError::Read { path, source }),
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(record) if record.version > VERSION => Err(RecordError::Later { path }),
            Ok(record) => Ok(record),
            Err(source) => Err(RecordError::Form { path, source }),
        }
    }

    /// Puts the record in the place of the old one, in one step.
    pub(crate) fn save(&mut self, state_dir: &Path) -> Result<(), RecordError> {
        self.version = VERSION;
        let path = state_dir.join(FILE);
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        let written = text.and_then(|text| file::replace_readable(&path, &text));
        written.map_err(|source| RecordError::Write { path, source })
    }

    pub(crate) fn find(&self, folder: &str) -> Option<&Fetched> {
        self.fetched.iter().find(|fetched| fetched.folder == folder)
    }

    /// Adds what was fetched, in the place of what was in the same folder.
    pub(crate) fn put(&mut self, fetched: Fetched) {
        self.fetched.retain(|other| other.folder != fetched.folder);
        self.fetched.push(fetched);
    }

    /// Whether every recorded file of a version is still there. A registry may add files to a
    /// release; none of them may become another one.
    pub(crate) fn compare(&self, registry: &str, now: &Digests) -> Result<(), Changed> {
        let same = self
            .fetched
            .iter()
            .filter(|fetched| fetched.registry == registry)
            .flat_map(|fetched| &fetched.packages)
            .filter(|package| package.name == now.name && package.version == now.version);
        for recorded in same {
            if !recorded.digests.is_subset(&now.digests) {
                return Err(Changed {
                    name: now.name.clone(),
                    version: now.version.clone(),
                    recorded: recorded.digests.clone(),
                    found: now.digests.clone(),
                });
            }
        }
        Ok(())
    }
}

fn list(digests: &BTreeSet<String>) -> String {
    digests.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
