//! From a command to a running process, and what to say when that fails.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use mainstay_model::settings::ProcessSpec;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::process::{Child, Command};

use super::records::MARK_VARIABLE;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("the command is empty")]
    NoCommand,
    #[error("the program {program:?} was not found")]
    NotFound { program: String },
    #[error("{} can not be executed", path.display())]
    NotExecutable { path: PathBuf },
    #[error("the interpreter that {} names in its first line was not found", path.display())]
    NoInterpreter { path: PathBuf },
    #[error("the working folder {} can not be used", cwd.display())]
    Cwd { cwd: PathBuf, source: io::Error },
    /// Out of memory, processes or file descriptors, a zero byte in an argument, and the like.
    #[error("{} could not be started", path.display())]
    Start { path: PathBuf, source: io::Error },
    /// It was started, could not be watched, and was ended again.
    #[error("the started process can not be watched")]
    Watch { source: io::Error },
    #[error("the daemon is stopping")]
    Stopping,
}

/// Starts the command without a shell, leading a group of its own.
///
/// Blocks until the program is loaded, which may be long where it lies on a network mount.
pub(super) fn start(
    spec: &ProcessSpec,
    base: &[(OsString, OsString)],
    mark: &str,
) -> Result<Child, SpawnError> {
    let (program, arguments) = spec.command.split_first().ok_or(SpawnError::NoCommand)?;
    if let Some(cwd) = &spec.cwd {
        check_cwd(cwd)?;
    }
    let path = find(program, spec, base)?;
    let mut command = Command::new(&path);
    command
        .arg0(program)
        .args(arguments)
        .env_clear()
        .envs(base.iter().map(|(name, value)| (name, value)))
        .envs(spec.env.iter().map(|(name, value)| (name, value.expose())))
        .env(MARK_VARIABLE, mark)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    command.spawn().map_err(|source| explain(path, source))
}

/// Gives a process its limit on open files. One that has ended already needs none.
pub(super) fn limit_files(child: &Child, limit: &Rlimit) {
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    if let Some(pid) = pid
        && let Err(error) = prlimit(Some(pid), Resource::Nofile, *limit)
    {
        tracing::debug!(%error, "the process keeps the daemon's limit on open files");
    }
}

fn check_cwd(cwd: &Path) -> Result<(), SpawnError> {
    let found = std::fs::metadata(cwd).and_then(|metadata| {
        if metadata.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
    });
    found.map_err(|source| SpawnError::Cwd { cwd: cwd.to_owned(), source })
}

/// Looks where a shell in the server's environment and working folder would, so that the error
/// can say what is wrong and not only that something is.
fn find(
    program: &str,
    spec: &ProcessSpec,
    base: &[(OsString, OsString)],
) -> Result<PathBuf, SpawnError> {
    let not_found = || SpawnError::NotFound { program: program.to_owned() };
    let from_cwd = |path: &Path| spec.cwd.as_deref().unwrap_or(Path::new("")).join(path);
    if program.contains('/') {
        let path = from_cwd(Path::new(program));
        return match kind_of(&path) {
            Kind::Executable => Ok(path),
            Kind::Other => Err(SpawnError::NotExecutable { path }),
            Kind::Missing => Err(not_found()),
        };
    }
    let mut found_other = None;
    for folder in std::env::split_paths(search_path(spec, base)) {
        let path = from_cwd(&folder).join(program);
        match kind_of(&path) {
            Kind::Executable if !program.is_empty() => return Ok(path),
            Kind::Other if path.is_file() => found_other = Some(path),
            _ => {}
        }
    }
    Err(found_other.map_or_else(not_found, |path| SpawnError::NotExecutable { path }))
}

fn search_path<'a>(spec: &'a ProcessSpec, base: &'a [(OsString, OsString)]) -> &'a OsStr {
    let configured = spec.env.get("PATH").map(|path| OsStr::new(path.expose()));
    let inherited = || base.iter().find(|(name, _)| name == "PATH").map(|(_, path)| &**path);
    configured.or_else(inherited).unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"))
}

enum Kind {
    Executable,
    /// A folder, or a file without permission to execute it.
    Other,
    Missing,
}

fn kind_of(path: &Path) -> Kind {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Kind::Executable,
        Ok(_) => Kind::Other,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Kind::Other,
        Err(_) => Kind::Missing,
    }
}

/// The program was there a moment ago; what the kernel means by its error is about the rest.
fn explain(path: PathBuf, source: io::Error) -> SpawnError {
    match source.kind() {
        io::ErrorKind::NotFound => SpawnError::NoInterpreter { path },
        io::ErrorKind::PermissionDenied => SpawnError::NotExecutable { path },
        _ => SpawnError::Start { path, source },
    }
}

// === impl SpawnError ===

impl SpawnError {
    /// Whether trying again is useless until somebody changes the configuration or installs
    /// something. A working folder may only wait for its mount.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NoCommand
            | Self::NotFound { .. }
            | Self::NotExecutable { .. }
            | Self::NoInterpreter { .. } => true,
            Self::Cwd { .. } | Self::Start { .. } | Self::Watch { .. } | Self::Stopping => false,
        }
    }

    /// What to do about it, for whoever configured the server.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoCommand => "name a program in `command`".to_owned(),
            Self::NotFound { program } if program.contains(char::is_whitespace) => format!(
                "no shell splits the command: write {:?}",
                program.split_whitespace().collect::<Vec<_>>()
            ),
            Self::NotFound { program } if program.contains('/') => {
                "check the path; `~` and variables are only replaced in the configuration file"
                    .to_owned()
            }
            Self::NotFound { .. } => {
                "install it, give its full path, or set `PATH` in the server's `env`".to_owned()
            }
            Self::NotExecutable { path } => {
                format!("`chmod +x {}`, or name its interpreter first", path.display())
            }
            Self::NoInterpreter { path } => {
                format!("see `head -1 {}`; name an interpreter that exists first", path.display())
            }
            Self::Cwd { .. } => {
                "make the folder, mount what it lies on, or change `cwd`".to_owned()
            }
            Self::Start { source, .. } => match source.kind() {
                io::ErrorKind::ArgumentListTooLong => "shorten `command` and `env`".to_owned(),
                io::ErrorKind::InvalidInput => "remove zero bytes from the command".to_owned(),
                io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
                    "the machine is out of processes or memory; see `ulimit -u` and `free`"
                        .to_owned()
                }
                _ => return None,
            },
            Self::Watch { .. } | Self::Stopping => return None,
        })
    }
}
