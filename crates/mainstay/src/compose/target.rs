//! What runs a server, as everybody on loopback may see it.

use std::path::Path;

use http::Uri;
use mainstay_model::settings::Runtime;

/// Returns the file name of a program, or scheme, host and port of an address. Arguments, folders, paths and
/// queries may hold secrets, and are left out.
pub(super) fn shown(runtime: &Runtime) -> String {
    match runtime {
        Runtime::Process(process) => {
            let program = process.command.first().map(Path::new);
            let name = program.and_then(Path::file_name).unwrap_or_default();
            name.to_string_lossy().into_owned()
        }
        Runtime::Remote(remote) => origin(remote.url.expose()).unwrap_or_default(),
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
            (process(&["/home/anna/my tools/server one", "x"]), "server one"),
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
