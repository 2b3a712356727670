//! Finds the configuration file and the state folder. The only module that reads the process's
//! environment.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, RealDisk, SecretsOnly, read_regular_text, read_text};
use crate::layers::Flag;
use crate::load::{ConfigFile, LoadRequest, Loaded, StateDir, load};
use crate::origin::Origin;
use crate::problem::{Place, Problems};

/// A thousand servers take less; more is some other file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The flags of the command line about the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--state`.
    pub state: Option<PathBuf>,
    /// Flags that set a key.
    pub flags: Vec<Flag>,
}

/// The environment and user that the places depend on.
pub(crate) struct Caller<'a> {
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) home: Option<&'a Path>,
    pub(crate) is_root: bool,
}

/// Reads the text of a file of at most this many bytes.
type ReadText = fn(&Path, u64) -> io::Result<String>;

/// Loads the configuration of this process: finds the file and the state folder, reads the
/// environment.
///
/// Variables that are no UTF-8 count as not set.
///
/// # Errors
/// As [`load`]; also when the file that was asked for is missing, when a file can't be read, and when there is
/// no place for the state.
pub fn from_system(request: Request) -> Result<Loaded, Problems> {
    from_system_with(request, Box::new(RealDisk), read_text)
}

/// [`from_system`] without looking for programs and working folders, which may lie on a mount that
/// hangs. The configuration has to be a regular file, since the daemon reads it again.
///
/// # Errors
/// As [`from_system`].
pub fn for_daemon(request: Request) -> Result<Loaded, Problems> {
    from_system_with(request, Box::new(SecretsOnly), read_regular_text)
}

fn from_system_with(
    request: Request,
    disk: Box<dyn Disk>,
    read: ReadText,
) -> Result<Loaded, Problems> {
    let (env, home) = surroundings();
    let caller = Caller::new(&env, home.as_deref());

    let file = caller.config(&request, read)?;
    let state = caller.state_dir(request.state.as_deref())?;
    let base = file.as_ref().and_then(|file| file.path.parent()).unwrap_or(Path::new("."));
    let base = absolute(base);
    load(LoadRequest { file, home, flags: request.flags, state, base, disk, env })
}

/// The state folder of this process, for commands that reach a daemon and need no configuration:
/// one that is wrong must not keep anybody from asking how the daemon is.
///
/// # Errors
/// When there is no place for the state.
pub fn state_dir(flag: Option<&Path>) -> Result<StateDir, Problems> {
    let (env, home) = surroundings();
    Caller::new(&env, home.as_deref()).state_dir(flag)
}

/// The configuration of this process as text; none: there is none.
///
/// # Errors
/// When the file that was asked for is missing, and when a file can't be read.
pub(crate) fn find_config(request: &Request) -> Result<Option<ConfigFile>, Problems> {
    let (env, home) = surroundings();
    Caller::new(&env, home.as_deref()).config(request, read_text)
}

/// The environment of this process, and the home folder of its user.
pub(crate) fn surroundings() -> (BTreeMap<String, String>, Option<PathBuf>) {
    let env = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    (env, std::env::home_dir().filter(|home| home.is_absolute()))
}

/// The first of these files that exists. One that exists and can't be read is an error, because
/// going on without it would ignore the user's settings.
fn first_config(candidates: &[PathBuf], read: ReadText) -> Result<Option<ConfigFile>, Problems> {
    for path in candidates {
        match read(path, FILE_BYTES_MAX) {
            Ok(text) => return Ok(Some(ConfigFile { path: path.clone(), text })),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    Ok(None)
}

fn read_config(path: &Path, read: ReadText) -> Result<ConfigFile, Problems> {
    match read(path, FILE_BYTES_MAX) {
        Ok(text) => Ok(ConfigFile { path: path.to_owned(), text }),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn unreadable(path: &Path, error: &io::Error) -> Problems {
    let help = is_missing(error).then(|| "write a starter file with `mainstay init`".to_owned());
    let place = Place::File { file: path.to_owned() };
    Problems::one(place, format!("can't read the configuration: {error}"), help)
}

/// The absolute path. Unchanged when there is no working folder any more.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

// === impl Caller ===

impl<'a> Caller<'a> {
    fn new(env: &'a BTreeMap<String, String>, home: Option<&'a Path>) -> Self {
        Self { env, home, is_root: rustix::process::geteuid().is_root() }
    }

    /// The file that was asked for, else the first that is there.
    fn config(&self, request: &Request, read: ReadText) -> Result<Option<ConfigFile>, Problems> {
        match &request.config {
            Some(path) => read_config(path, read).map(Some),
            None => first_config(&self.config_candidates(), read),
        }
    }

    /// The paths where a configuration may be, best first.
    pub(crate) fn config_candidates(&self) -> Vec<PathBuf> {
        let user = self
            .folder("XDG_CONFIG_HOME", ".config")
            .map(|folder| folder.join("mainstay/mainstay.toml"));
        let mut candidates = vec![PathBuf::from("mainstay.toml")];
        candidates.extend(user);
        candidates.push(PathBuf::from("/etc/mainstay/mainstay.toml"));
        candidates
    }

    /// The state folder.
    pub(crate) fn state_dir(&self, flag: Option<&Path>) -> Result<StateDir, Problems> {
        if let Some(path) = flag {
            return Ok(StateDir {
                path: absolute(path),
                origin: Origin::Flag { flag: "--state".to_owned() },
            });
        }
        if let Some(path) = self.env.get("MAINSTAY_STATE").filter(|path| !path.is_empty()) {
            let origin = Origin::Environment { variable: "MAINSTAY_STATE".to_owned() };
            return Ok(StateDir { path: absolute(Path::new(path)), origin });
        }
        let path = if self.is_root {
            Some(PathBuf::from("/var/lib/mainstay"))
        } else {
            self.folder("XDG_STATE_HOME", ".local/state").map(|folder| folder.join("mainstay"))
        };
        path.map(|path| StateDir { path, origin: Origin::Default }).ok_or_else(|| {
            let help = "select one with --state or MAINSTAY_STATE".to_owned();
            Problems::one(
                Place::Settings,
                "there is no home folder to keep the state in".to_owned(),
                Some(help),
            )
        })
    }

    /// A folder of the user; the variable counts only with a full path, as its specification has
    /// it.
    fn folder(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let named = self.env.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        named.or_else(|| self.home.map(|home| home.join(below_home)))
    }
}

#[cfg(test)]
mod tests;
