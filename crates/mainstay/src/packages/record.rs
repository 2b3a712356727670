//! `packages.json`: the fetched packages, with the digests of their registries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mainstay_store::formats::PACKAGES as VERSION;
use mainstay_store::{OpenError, PackagesFile};
use serde::{Deserialize, Serialize};

/// All fetched packages.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u64,
    fetched: Vec<Fetched>,
}

/// One installed folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fetched {
    /// The folder's name, below the folder of packages.
    pub(crate) folder: String,
    pub(crate) registry: String,
    pub(crate) packages: Vec<Digests>,
    /// The program to run when a command names only the package. None: a command has to name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) program: Option<String>,
    /// When it was fetched, in RFC 3339.
    pub(crate) at: String,
}

/// A version of a package, with the digests of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digests {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Digests as algorithm and hash. A Python release may have a file for each platform.
    pub(crate) digests: BTreeSet<String>,
}

/// Why the record can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The file can't be read or written, or has a newer format.
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("{} is not a record of packages", path.display())]
    Form { path: PathBuf, source: serde_json::Error },
}

/// A version now has other files than before.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} {version} is not what it was: {} was recorded, and the registry has {}; \
     if that is meant, take its entry out of packages.json in the state folder and fetch again",
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
    /// Loads the record of a state folder. Empty when nothing was fetched.
    pub(crate) fn load(state_dir: &Path) -> Result<Self, RecordError> {
        let file = PackagesFile::of(state_dir);
        let Some(text) = file.read()? else { return Ok(Self::default()) };
        let form = |source| RecordError::Form { path: file.path().to_owned(), source };
        serde_json::from_slice(&text).map_err(form)
    }

    /// Replaces the file in one step.
    pub(crate) fn save(&mut self, state_dir: &Path) -> Result<(), RecordError> {
        self.version = VERSION;
        let file = PackagesFile::of(state_dir);
        let form = |source| RecordError::Form { path: file.path().to_owned(), source };
        let text = serde_json::to_vec_pretty(self).map_err(form)?;
        Ok(file.replace(&text)?)
    }

    pub(crate) fn find(&self, folder: &str) -> Option<&Fetched> {
        self.fetched.iter().find(|fetched| fetched.folder == folder)
    }

    /// Adds a package, replacing the one in the same folder.
    pub(crate) fn put(&mut self, fetched: Fetched) {
        self.fetched.retain(|other| other.folder != fetched.folder);
        self.fetched.push(fetched);
    }

    /// Checks that the registry still has every recorded file of a version. A registry may add
    /// files to a release, and never replace one.
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
