//! Errors that keep a daemon from starting, with hints.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;

use mainstay_store::{LockError, Newer, OpenError};

use crate::exit::{Exit, Failure};
use crate::output::format;

/// Ports below this one need a privilege, unless the system is configured otherwise.
const PORTS_OF_ROOT: u16 = 1024;

/// Another daemon owns the state folder, or the folder can't be used.
pub(crate) fn no_state(error: &OpenError) -> Failure {
    let failure = Failure::of(Exit::Failed, error);
    let source = match error {
        OpenError::Held(held) => return another_daemon(failure, held),
        OpenError::Newer(newer) => return newer_state(newer),
        OpenError::Io { source, .. } => source,
    };
    failure.hint(match source.kind() {
        ErrorKind::StorageFull => DISK_FULL,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "run it as the owner of the folder, or select a folder that this user can write to with --state DIR"
        }
        _ => "select another folder with --state DIR or MAINSTAY_STATE",
    })
}

/// Adds the commands that reach the daemon that has the state folder.
fn another_daemon(failure: Failure, held: &LockError) -> Failure {
    let flag = match held {
        LockError::Held { state_dir, .. } => state_flag(state_dir),
        LockError::Io { .. } => String::new(),
    };
    failure
        .hint(format!(
            "`mainstay status{flag}` shows that daemon, and `mainstay stop{flag}` stops it"
        ))
        .hint("only one daemon can use a state folder; select another with --state DIR")
}

/// The flag with which commands reach the daemon of a state folder: empty if they do without.
pub(super) fn state_flag(state_dir: &Path) -> String {
    let usual = mainstay_config::state_dir(None).map(|usual| usual.path);
    if usual.is_ok_and(|usual| usual == state_dir) {
        return String::new();
    }
    let path = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned());
    format!(" --state {}", format::word(&path.display().to_string()))
}

/// The log file of a daemon in the background can't be opened.
pub(super) fn no_log_file(error: &io::Error) -> Failure {
    let message = format!("can't open daemon.log in the state folder: {error}");
    let failure = Failure::new(Exit::Failed, message);
    match error.kind() {
        ErrorKind::StorageFull => failure.hint(DISK_FULL),
        _ => failure.hint("select another folder with --state DIR or MAINSTAY_STATE"),
    }
}

/// A newer version wrote a file in the state folder.
pub(super) fn newer_state(newer: &Newer) -> Failure {
    Failure::of(Exit::Failed, newer)
        .hint("nothing was changed: run the version that wrote it, or a newer one")
        .hint("select another folder, with its own sessions and names, with --state DIR")
}

const DISK_FULL: &str = "the disk is full, and a daemon needs a few kilobytes to start: make room, or select a folder elsewhere with --state DIR";

pub(super) fn no_address(address: SocketAddr, error: &io::Error) -> Failure {
    let failure = Failure::new(Exit::Failed, format!("can't listen on {address}: {error}"));
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => failure
            .hint(format!("another program is using it: `ss -ltnp 'sport = :{port}'` shows which"))
            .hint("--listen 127.0.0.1:0 uses any free port"),
        ErrorKind::AddrNotAvailable => {
            failure.hint("no interface of this machine has that address; `ip address` lists them")
        }
        ErrorKind::PermissionDenied if port < PORTS_OF_ROOT => failure
            .hint(format!("ports below {PORTS_OF_ROOT} need root: use a higher one"))
            .hint("or put a proxy in front: `mainstay service show nginx`"),
        _ => failure,
    }
}

pub(super) fn no_socket(socket: &Path, error: &io::Error) -> Failure {
    let message = format!("can't make the command socket {}: {error}", socket.display());
    let failure = Failure::new(Exit::Failed, message);
    match error.kind() {
        ErrorKind::StorageFull => failure.hint(DISK_FULL),
        ErrorKind::InvalidInput => failure
            .hint("its path may be at most 107 bytes long; select a shorter one with --state DIR"),
        _ => failure.hint("select another folder with --state DIR"),
    }
}
