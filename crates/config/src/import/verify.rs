//! Checks that the configuration is still valid with the imported servers.

#![expect(clippy::disallowed_methods, reason = "importing is a command of its own")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use mainstay_model::program_file::ProgramFault;

use super::SecretToWrite;
use crate::disk::{Disk, RealDisk, SecretFile};
use crate::load::{ConfigFile, LoadRequest, Loaded, StateDir, load};
use crate::origin::Origin;
use crate::problem::Problems;
use crate::stand_in::stand_in;
use crate::system::{self, Request};

/// The configuration that an import adds to.
pub struct Configured {
    pub path: PathBuf,
    /// The text of the file. None when there is no file yet.
    pub text: Option<String>,
}

/// The disk of this machine, together with secrets that are about to be written.
struct WithSecrets {
    secrets: BTreeMap<PathBuf, String>,
}

/// The configuration that [`crate::from_system`] finds; if there is none, the first place where it
/// would be looked for.
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

/// Loads a new text of the configuration as the daemon would, as if the secrets of the plan were
/// written. A variable that is not set is a warning, because it keeps only its own server from starting.
///
/// The user who changes the file need not be the one who runs the daemon: where the `old` text needs
/// variables that only the daemon has, they count as set.
///
/// # Errors
/// As [`load`].
pub fn verify(
    path: &Path,
    old: Option<&str>,
    text: &str,
    secrets: &[SecretToWrite],
) -> Result<Loaded, Problems> {
    let (env, home) = system::surroundings();
    let base = system::absolute(path.parent().unwrap_or(Path::new(".")));
    let loads = |text: &str, env: BTreeMap<String, String>| {
        let secrets = secrets.iter();
        let secrets =
            secrets.map(|secret| (base.join(&secret.path), secret.value.expose().clone()));
        let mut request =
            LoadRequest::new(StateDir { path: PathBuf::from("/"), origin: Origin::Default });
        request.disk = Box::new(WithSecrets { secrets: secrets.collect() });
        request.file = Some(ConfigFile { path: path.to_owned(), text: text.to_owned() });
        request.env = env;
        request.home.clone_from(&home);
        request.base.clone_from(&base);
        load(request)
    };
    let loaded = loads(text, env.clone());
    match (loaded, old) {
        (Err(problems), Some(old)) if loads(old, env.clone()).is_err() => {
            let mut env = env;
            stand_in(text, &mut env);
            loads(text, env).map_err(|_| problems)
        }
        (loaded, _) => loaded,
    }
}

// === impl WithSecrets ===

impl Disk for WithSecrets {
    fn is_program(&self, path: &Path) -> bool {
        RealDisk.is_program(path)
    }

    fn program_fault(&self, path: &Path, folders: &str) -> Option<ProgramFault> {
        RealDisk.program_fault(path, folders)
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
