//! The part of a server's command or address that everybody on loopback may see.

use std::path::Path;

use http::Uri;
use mainstay_model::settings::{ProcessSpec, RemoteSpec, Runtime};

/// Returns the file name of a program, or scheme, host and port of an address. Arguments, folders, paths and
/// queries may hold secrets, and are left out.
pub(super) fn shown(runtime: &Runtime) -> String {
    match runtime {
        Runtime::Process(process) => of_process(process),
        Runtime::Remote(remote) => of_remote(remote),
    }
}

pub(super) fn of_process(process: &ProcessSpec) -> String {
    program(process.command.first().map_or("", String::as_str))
}

pub(super) fn of_remote(remote: &RemoteSpec) -> String {
    origin(remote.url.expose()).unwrap_or_default()
}

/// The name of a program. A program with blanks in it may be a whole command line that no shell splits, so
/// no more than its first word is shown, and nothing where that is part of a path.
fn program(command: &str) -> String {
    match command.split_whitespace().next() {
        Some(first) if first.len() < command.len() => {
            Some(first).filter(|first| !first.contains('/')).unwrap_or_default().to_owned()
        }
        _ => {
            let name = Path::new(command).file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        }
    }
}

fn origin(url: &str) -> Option<String> {
    let url: Uri = url.parse().ok()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{}{port}", url.scheme_str()?, url.host()?))
}

#[cfg(test)]
mod tests {
    use mainstay_model::settings::{ProcessSpec, RemoteSpec, Runtime};

    use super::shown;

    fn process(command: &[&str]) -> Runtime {
        let command = command.iter().map(ToString::to_string).collect();
        Runtime::Process(ProcessSpec { command, ..ProcessSpec::default() })
    }

    fn remote(url: &str) -> Runtime {
        Runtime::Remote(RemoteSpec::new(url))
    }

    #[test]
    fn only_a_program_or_an_origin_is_shown() {
        for (runtime, expected) in [
            (process(&["npx", "-y", "server", "--key=secret"]), "npx"),
            (process(&["/home/anna/my tools/server one", "x"]), ""),
            (process(&["npx server --key=secret"]), "npx"),
            (process(&["/bin/npx server --key=secret/x"]), ""),
            (process(&["./server"]), "server"),
            (remote("https://example.com/mcp?key=secret"), "https://example.com"),
            (remote("https://user:secret@example.com:8443/mcp"), "https://example.com:8443"),
            (remote("http://[::1]:9000/sse"), "http://[::1]:9000"),
            (remote("nowhere"), ""),
        ] {
            assert_eq!(shown(&runtime), expected, "{runtime:?}");
        }
    }
}
