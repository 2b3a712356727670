//! Finds out who has a port of this machine.

#![expect(clippy::disallowed_methods, reason = "no disk is behind the files of /proc")]

use std::fs;
use std::path::Path;

/// The state `LISTEN` in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Who has a port.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A process that listens, and the name of its program.
    Process {
        pid: i32,
        name: String,
    },
    /// Somebody listens who can't be named: a process of another user, for example.
    Unknown,
    /// A connection that begins at the port. Nobody listens.
    Connection,
    Nobody,
}

/// A socket of `/proc/net/tcp`.
struct Socket<'a> {
    state: &'a str,
    inode: &'a str,
}

/// Who has a TCP port.
pub(super) fn holder_of(port: u16) -> Holder {
    let tables: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .collect();
    if tables.is_empty() {
        return Holder::Unknown;
    }
    let lines = tables.iter().flat_map(|table| table.lines());
    let at_port: Vec<Socket<'_>> = lines.filter_map(|line| socket_at(line, port)).collect();
    let listening = at_port.iter().filter(|socket| socket.state == LISTEN);
    let listening: Vec<_> = listening.map(|it| format!("socket:[{}]", it.inode)).collect();
    if listening.is_empty() {
        return if at_port.is_empty() { Holder::Nobody } else { Holder::Connection };
    }
    process_with(&listening).unwrap_or(Holder::Unknown)
}

fn process_with(sockets: &[String]) -> Option<Holder> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.into_iter().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        has_socket(&process.path(), sockets).then(|| {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            Holder::Process { pid, name: name.trim().to_owned() }
        })
    })
}

/// The socket of a line, if a port is its own: `0: 0100007F:1F90 00000000:0000 0A … INODE …`.
fn socket_at(line: &str, port: u16) -> Option<Socket<'_>> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let is_wanted = u16::from_str_radix(local, 16) == Ok(port);
    is_wanted.then_some(Socket { state: fields.get(3)?, inode: fields.get(9)? })
}

fn has_socket(process: &Path, sockets: &[String]) -> bool {
    let Ok(open) = fs::read_dir(process.join("fd")) else { return false };
    open.flatten().filter_map(|fd| fs::read_link(fd.path()).ok()).any(|target| {
        target.to_str().is_some_and(|target| sockets.iter().any(|socket| socket == target))
    })
}
