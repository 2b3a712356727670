//! Starts a process from a command, and explains failures.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;

use mainstay_model::settings::ProcessSpec;
use rustix::io::Errno;
use rustix::process::Rlimit;
use tokio::process::{Child, Command};

use super::exec::{self, Failure, Files, Rlimits};
use super::pages;
use super::records::MARK_VARIABLE;

/// How to start the helper that becomes a server's program: a program that calls
/// [`exec_main`](super::exec_main).
#[derive(Debug, Clone)]
pub struct ExecCommand {
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("the command is empty")]
    NoCommand,
    #[error("the program {program:?} was not found")]
    NotFound { program: String },
    #[error("{} can't be executed: permission denied (EACCES)", path.display())]
    NotExecutable { path: PathBuf },
    #[error("the interpreter that {} names in its first line was not found (ENOENT)", path.display())]
    NoInterpreter { path: PathBuf },
    #[error(
        "{} can't be executed: {}, exec format error (ENOEXEC)",
        path.display(),
        fault.as_deref().unwrap_or("it is not a program for this machine")
    )]
    NotAProgram { path: PathBuf, fault: Option<String>, remedy: Option<String> },
    #[error("the working folder {} can't be used: {source}", cwd.display())]
    Cwd { cwd: PathBuf, source: io::Error },
    #[error("can't limit it to {files} open files: {source}")]
    Files { files: u64, source: io::Error },
    #[error("there is no user {name:?} on this machine")]
    UnknownUser { name: String },
    #[error("there is no group {name:?} on this machine")]
    UnknownGroup { name: String },
    #[error("the daemon may not start it as {name:?}: {source}")]
    User { name: String, source: io::Error },
    /// Out of memory, processes or file descriptors, or a zero byte in an argument.
    #[error("{} could not be started: {source}", path.display())]
    Start { path: PathBuf, source: io::Error },
    /// The process was started, could not be watched, and was ended again.
    #[error("the started process can't be watched: {source}")]
    Watch { source: io::Error },
    #[error("the daemon is stopping")]
    Stopping,
}

/// The plan for the helper.
pub(super) fn plan(spec: &ProcessSpec, files: &Rlimit) -> exec::Plan {
    let files = match spec.limits.files_max {
        Some(wanted) => Files { soft: Some(wanted), hard: Some(wanted), configured: true },
        None => Files { soft: files.current, hard: files.maximum, configured: false },
    };
    exec::Plan {
        command: spec.command.clone(),
        cwd: spec.cwd.as_ref().map(|cwd| cwd.display().to_string()),
        files,
        rlimits: Rlimits::default(),
        user: spec.user.clone(),
        group: spec.group.clone(),
        own_variables: spec.env.keys().cloned().collect(),
        huge_pages: pages::are_given_up(),
    }
}

/// Checks that the user and the group of a process exist on this machine. Waits for the disk.
///
/// # Errors
/// [`SpawnError::UnknownUser`] or [`SpawnError::UnknownGroup`].
pub fn check_account(spec: &ProcessSpec) -> Result<(), SpawnError> {
    exec::look_up(spec.user.as_deref(), spec.group.as_deref()).map_err(SpawnError::from)
}

/// Starts the helper with the server's environment, leading a group of its own.
///
/// Loads the daemon's own program only, so it takes as long as that.
pub(super) fn start(
    helper: &ExecCommand,
    socket: OwnedFd,
    spec: &ProcessSpec,
    base: &[(OsString, OsString)],
    mark: &str,
) -> Result<Child, SpawnError> {
    let mut command = Command::new(&helper.program);
    command
        .args(&helper.args)
        .env_clear()
        .envs(base.iter().map(|(name, value)| (name, value)))
        .envs(spec.env.iter().map(|(name, value)| (name, value.expose())))
        .env(MARK_VARIABLE, mark)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let path = || spec.command.first().map(PathBuf::from).unwrap_or_default();
    command.spawn().map_err(|source| SpawnError::Start { path: path(), source })
}

// === impl SpawnError ===

impl From<Failure> for SpawnError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound { program } => Self::NotFound { program },
            Failure::NotExecutable { path } => Self::NotExecutable { path: path.into() },
            Failure::NoInterpreter { path } => Self::NoInterpreter { path: path.into() },
            Failure::NotAProgram { path, fault, remedy } => {
                Self::NotAProgram { path: path.into(), fault, remedy }
            }
            Failure::Cwd { cwd, cause } => {
                Self::Cwd { cwd: cwd.into(), source: cause.into_error() }
            }
            Failure::Files { files, cause } => Self::Files { files, source: cause.into_error() },
            Failure::UnknownUser { name } => Self::UnknownUser { name },
            Failure::UnknownGroup { name } => Self::UnknownGroup { name },
            Failure::User { name, cause } => Self::User { name, source: cause.into_error() },
            Failure::Start { path, cause } => {
                Self::Start { path: path.into(), source: cause.into_error() }
            }
        }
    }
}

impl SpawnError {
    /// Whether a retry is useless until the configuration is changed or a program installed. A
    /// missing working folder may only wait for its mount, and a machine that is out of something
    /// may have it again soon.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NoCommand
            | Self::NotFound { .. }
            | Self::NotExecutable { .. }
            | Self::NoInterpreter { .. }
            | Self::NotAProgram { .. }
            | Self::Files { .. }
            | Self::UnknownUser { .. }
            | Self::UnknownGroup { .. }
            | Self::User { .. } => true,
            Self::Start { source, .. } => never_passes(source),
            Self::Cwd { .. } | Self::Watch { .. } | Self::Stopping => false,
        }
    }

    /// The cause without a name, path or argument: what anybody may know.
    pub fn brief(&self) -> &'static str {
        match self {
            Self::NoCommand => "its command is empty",
            Self::NotFound { .. } => "its program was not found",
            Self::NotExecutable { .. } | Self::NoInterpreter { .. } | Self::NotAProgram { .. } => {
                "its program can't be executed"
            }
            Self::Cwd { .. } => "its working folder can't be used",
            Self::UnknownUser { .. } | Self::UnknownGroup { .. } | Self::User { .. } => {
                "the daemon can't start it as its user or group"
            }
            Self::Stopping => "the daemon is stopping",
            Self::Files { .. } | Self::Start { .. } | Self::Watch { .. } => {
                "the system could not start it"
            }
        }
    }

    /// A remedy for the user who configured the server.
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
                format!(
                    "`chmod +x {}`, let its user enter the folders above it, or name its interpreter \
                     first; a folder is not a program, and a file system mounted with `noexec` has none",
                    path.display()
                )
            }
            Self::NoInterpreter { path } => {
                format!(
                    "see `head -1 {}`: the interpreter must exist, and the line must not end with a carriage \
                     return (Windows line ends); or name an interpreter first in `command`",
                    path.display()
                )
            }
            Self::NotAProgram { remedy: Some(remedy), .. } => remedy.clone(),
            Self::NotAProgram { .. } => {
                "begin a script with `#!` and its interpreter, or name the interpreter first; \
                 take a program that was built for this machine"
                    .to_owned()
            }
            Self::Files { .. } => {
                "write a smaller `limits.files`, or raise the daemon's own hard limit \
                 (`LimitNOFILE` of systemd, `ulimit -Hn`)"
                    .to_owned()
            }
            Self::UnknownUser { name } if name.parse::<u32>().is_ok() => {
                "set `group` too: no entry of /etc/passwd says which it is".to_owned()
            }
            Self::UnknownUser { .. } => {
                "name a user of /etc/passwd, or write its number and set `group`".to_owned()
            }
            Self::UnknownGroup { .. } => {
                "name a group of /etc/group, or write its number".to_owned()
            }
            Self::User { .. } => {
                "only a daemon that runs as root can start servers as other users; run it so, \
                 or remove `user` and `group`"
                    .to_owned()
            }
            Self::Cwd { .. } => {
                "make the folder, mount what it lies on, or change `cwd`".to_owned()
            }
            Self::Start { source, .. } | Self::Watch { source } => remedy_of(source)?.to_owned(),
            Self::Stopping => return None,
        })
    }
}

/// What the user can do about an error of the kernel.
fn remedy_of(error: &io::Error) -> Option<&'static str> {
    Some(match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => {
            "the daemon has no file descriptor left; raise its limit (`LimitNOFILE` of systemd, \
             `ulimit -n`) or lower `gateway.max_connections`"
        }
        Some(Errno::NFILE) => {
            "the machine has too many open files; raise `fs.file-max` (`sysctl fs.file-nr` shows them)"
        }
        Some(Errno::AGAIN) => {
            "the user or the service has too many processes; raise its limit (`TasksMax` of systemd, \
             `ulimit -u`)"
        }
        Some(Errno::NOMEM) => "the machine is out of memory; see `free`",
        Some(Errno::TXTBSY) => "the program is being written; it starts when that is done",
        Some(Errno::LOOP) => "its symbolic links form a loop",
        Some(Errno::NAMETOOLONG) => "use a shorter path",
        Some(Errno::LIBBAD) => "its interpreter is not a program; install it again",
        Some(Errno::PERM) => "a security policy of the machine forbids it",
        _ => match error.kind() {
            io::ErrorKind::ArgumentListTooLong => "shorten `command` and `env`",
            io::ErrorKind::InvalidInput => "remove zero bytes from the command",
            _ => return None,
        },
    })
}

/// Whether an error of the kernel stays until somebody changes something.
fn never_passes(error: &io::Error) -> bool {
    let lasting = [Errno::LOOP, Errno::NAMETOOLONG, Errno::LIBBAD, Errno::PERM, Errno::TOOBIG];
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    errno.is_some_and(|errno| lasting.contains(&errno))
        || error.kind() == io::ErrorKind::InvalidInput
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;

    use super::SpawnError;

    #[test]
    fn each_error_of_the_kernel_is_told_with_its_remedy_and_only_some_pass() {
        for (errno, remedy, permanent) in [
            (Errno::MFILE, "LimitNOFILE", false),
            (Errno::NFILE, "fs.file-max", false),
            (Errno::AGAIN, "TasksMax", false),
            (Errno::NOMEM, "out of memory", false),
            (Errno::TXTBSY, "being written", false),
            (Errno::LOOP, "loop", true),
            (Errno::TOOBIG, "shorten", true),
            (Errno::PERM, "policy", true),
        ] {
            let source = || io::Error::from_raw_os_error(errno.raw_os_error());
            let start = SpawnError::Start { path: "/opt/weather".into(), source: source() };
            let watch = SpawnError::Watch { source: source() };
            for error in [&start, &watch] {
                let hint = error.hint().expect("a remedy");
                assert!(hint.contains(remedy), "{error}: {hint}");
                let number = format!("(os error {})", errno.raw_os_error());
                assert!(error.to_string().ends_with(&number), "{error}");
            }
            assert_eq!(start.is_permanent(), permanent, "{start}");
        }
        let unknown = SpawnError::Start {
            path: "/opt/weather".into(),
            source: io::Error::from_raw_os_error(Errno::IO.raw_os_error()),
        };
        assert_eq!((unknown.hint(), unknown.is_permanent()), (None, false));
    }
}
