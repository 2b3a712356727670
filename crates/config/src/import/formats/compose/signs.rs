//! Signs that a compose service is no MCP server on standard input and output.

use super::super::super::shell;
use super::super::super::tree::find;
use crate::document::{Node, Value};

/// Programs that stand in a compose file where something else is meant to run, or nothing.
const PLACEHOLDERS: [&str; 8] = ["cat", "echo", "false", "printf", "sleep", "tail", "true", "yes"];

const SHELLS: [&str; 5] = ["ash", "bash", "dash", "sh", "zsh"];

/// Programs and arguments of what is reached over HTTP.
const SERVE_HTTP: [&str; 16] = [
    "--http",
    "--port",
    "--sse",
    "apache2",
    "caddy",
    "daphne",
    "gunicorn",
    "http",
    "http-server",
    "httpd",
    "hypercorn",
    "nginx",
    "sse",
    "streamable-http",
    "uvicorn",
    "vite",
];

/// The program of a command that only keeps a container busy.
pub(super) fn placeholder(words: &[String]) -> Option<String> {
    let script;
    let words = match words {
        [program, flag, text, ..] if SHELLS.contains(&base(program)) && flag.ends_with('c') => {
            script = shell::split(text)?;
            &*script
        }
        words => words,
    };
    let mut words = words.iter().map(|word| base(word)).filter(|word| *word != "exec");
    words.next().filter(|program| PLACEHOLDERS.contains(program)).map(str::to_owned)
}

/// Whether something else is to reach the service over the network: other services, a proxy, or a
/// health check.
pub(super) fn serves_http(service: &Node, labels: &[(String, String)], words: &[String]) -> bool {
    let is_filled = |key| matches!(find(service, key), Some(Node { value: Value::List(list), .. }) if !list.is_empty());
    let is_checked = || {
        let test = find(service, "healthcheck").and_then(|check| find(check, "test"));
        test.is_some_and(|test| match &test.value {
            Value::Text(text) => is_address(text),
            Value::List(words) => words
                .iter()
                .any(|word| matches!(&word.value, Value::Text(text) if is_address(text))),
            _ => false,
        })
    };
    let is_told = |word: &String| {
        let word = word.to_ascii_lowercase();
        let option = word.split_once('=').map(|(_, value)| value);
        let option = option.filter(|_| word.starts_with("--transport"));
        SERVE_HTTP
            .contains(&option.unwrap_or_else(|| base(word.split('=').next().unwrap_or(&word))))
    };
    is_filled("expose")
        || is_checked()
        || labels.iter().any(|(key, _)| key.to_ascii_lowercase().starts_with("traefik."))
        || words.iter().any(is_told)
}

fn is_address(text: &str) -> bool {
    text.contains("http://") || text.contains("https://")
}

/// The name of a program without its folder.
fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

#[cfg(test)]
mod tests {
    use super::placeholder;
    use crate::import::shell::split;

    #[test]
    fn a_placeholder_is_known_by_its_program() {
        for (command, expected) in [
            ("echo 'the mcp server runs elsewhere'", Some("echo")),
            ("/bin/sh -c 'exec sleep infinity # mcp'", Some("sleep")),
            ("bash -ec '/usr/bin/tail -f /dev/null'", Some("tail")),
            ("npx -y echo-mcp", None),
            ("sh -c 'npx -y mcp'", None),
            ("sh", None),
            ("", None),
        ] {
            assert_eq!(placeholder(&split(command).unwrap()).as_deref(), expected, "{command}");
        }
    }
}
