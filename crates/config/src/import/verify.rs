//! Whether the configuration holds with what an import adds.

#![expect(clippy::disallowed_methods, reason = "importing is a command of its own")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::Plan;
use crate::disk::{Disk, RealDisk, SecretFile};
use crate::load::{ConfigFile, LoadRequest, Loaded, StateDir, load};
use crate::origin::Origin;
use crate::problem::Problems;
use crate::stand_in::stand_in;
use crate::system::{self, Request};

/// The configuration that an import adds to.
pub struct Configured {
    pub path: PathBuf,
    /// None: there is no such file yet.
    pub text: Option<String>,
}

/// The disk of this machine, and on it the secrets that are about to be written.
struct WithSecrets {
    secrets: BTreeMap<PathBuf, String>,
}

/// The configuration of this process, as [`crate::from_system`] finds it; where there is none, the
/// place where one would be read first.
///
/// # Errors
/// When a file is there and can't be read.
pub fn configured(request: &Request) -> Result<Configured, Problems> {
    let found = match &request.config {
        Some(path) if !path.exists() => return Ok(Configured { path: path.clone(), text: None }),
        _ => system::find_config(request)?,
    };
    Ok(match found {
        Some(file) => Configured { path: file.path, text: Some(file.text) },
        None => Configured { path: PathBuf::from("mainstay.toml"), text: None },
    })
}

/// Loads what a plan would make, as if its secrets were written and all variables set: whoever imports
/// need not be whoever runs the daemon. `text` is
/// either the whole configuration of the plan or its servers alone.
///
/// # Errors
/// As [`load`].
pub fn verify(path: &Path, text: &str, plan: &Plan) -> Result<Loaded, Problems> {
    let (mut env, home) = system::surroundings();
    stand_in(text, &mut env);
    let base = system::absolute(path.parent().unwrap_or(Path::new(".")));
    let secrets = plan.secrets.iter();
    let secrets = secrets.map(|secret| (base.join(&secret.path), secret.value.expose().clone()));
    let mut request =
        LoadRequest::new(StateDir { path: PathBuf::from("/"), origin: Origin::Default });
    request.disk = Box::new(WithSecrets { secrets: secrets.collect() });
    request.file = Some(ConfigFile { path: path.to_owned(), text: text.to_owned() });
    request.env = env;
    request.home = home;
    request.base = base;
    load(request)
}

// === impl WithSecrets ===

impl Disk for WithSecrets {
    fn is_program(&self, path: &Path) -> bool {
        RealDisk.is_program(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        RealDisk.is_folder(path)
    }

    fn secret(&self, path: &Path) -> io::Result<SecretFile> {
        match self.secrets.get(path) {
            Some(text) => Ok(SecretFile { text: text.clone(), is_open_to_others: false }),
            None => RealDisk.secret(path),
        }
    }
}
