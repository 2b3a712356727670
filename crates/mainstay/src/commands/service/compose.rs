//! Generates the compose file that runs the daemon in a container. Does no I/O.

use std::fmt::Write;
use std::time::Duration;

use super::place::Place;

/// Where the image has the program, and where the file puts the configuration and the state.
pub(super) const PROGRAM: &str = "/usr/local/bin/mainstay";
const CONFIG: &str = "/etc/mainstay/mainstay.toml";
pub(super) const STATE: &str = "/var/lib/mainstay";

/// How long compose waits for the servers to end, after the calls in flight.
const SERVERS_END: Duration = Duration::from_secs(30);

/// The input of one compose file.
pub(super) struct ComposeFile<'a> {
    pub(super) place: &'a Place,
    /// The image, with its version.
    pub(super) image: &'a str,
    /// The ports of the daemon: for everything, and one for HTTP+SSE where that is apart.
    pub(super) port: u16,
    pub(super) sse_port: Option<u16>,
    /// The time that calls in flight have to finish.
    pub(super) drain: Duration,
    /// Servers that this program itself is, each with the word for its kind.
    pub(super) built_in: &'a [(String, String)],
    /// The user and group that the daemon has to run as to read the configuration. None: any.
    pub(super) user: Option<(u32, u32)>,
}

// === impl ComposeFile ===

impl ComposeFile<'_> {
    /// Writes the file.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let Self { port, .. } = self;
        line(&mut text, "# Made by `mainstay service show compose`.");
        line(&mut text, "services:");
        line(&mut text, "  mainstay:");
        line(&mut text, &format!("    image: {}", quoted(self.image)));
        line(&mut text, &format!("    entrypoint: [{}]", quoted(PROGRAM)));
        let words = ["up", "--config", CONFIG, "--state", STATE, "--listen"].map(quoted);
        line(&mut text, &format!("    command: [{}, \"0.0.0.0:{port}\"]", words.join(", ")));
        if let Some((user, group)) = self.user {
            line(&mut text, "    # Nobody but its owner may read the configuration.");
            line(&mut text, &format!("    user: \"{user}:{group}\""));
        }
        line(&mut text, "    restart: unless-stopped");
        let stop = (self.drain + SERVERS_END).as_secs();
        line(&mut text, &format!("    stop_grace_period: {stop}s"));
        self.ports(&mut text);
        self.environment(&mut text);
        self.volumes(&mut text);
        line(&mut text, "    # Servers on this machine are at host.docker.internal.");
        line(&mut text, "    extra_hosts: [\"host.docker.internal:host-gateway\"]");
        line(&mut text, "    healthcheck:");
        let words = ["CMD", PROGRAM, "status", "--healthy", "--state", STATE].map(quoted);
        line(&mut text, &format!("      test: [{}]", words.join(", ")));
        line(&mut text, "      interval: 30s");
        line(&mut text, "      timeout: 10s");
        line(&mut text, "      retries: 3");
        line(&mut text, "volumes:");
        line(&mut text, "  mainstay-state:");
        text
    }

    /// Publishes the ports on loopback only: whoever reaches them may use every server.
    fn ports(&self, text: &mut String) {
        line(text, "    ports:");
        for port in std::iter::once(self.port).chain(self.sse_port) {
            line(text, &format!("      - \"127.0.0.1:{port}:{port}\""));
        }
    }

    fn environment(&self, text: &mut String) {
        let has_none = self.place.variables.is_empty() && self.sse_port.is_none();
        if has_none && self.built_in.is_empty() {
            return;
        }
        if !self.place.variables.is_empty() {
            line(text, "    # Values come from the shell or from an `.env` file beside this one.");
        }
        line(text, "    environment:");
        for name in &self.place.variables {
            line(text, &format!("      - {}", quoted(name)));
        }
        if let Some(port) = self.sse_port {
            line(text, &format!("      - \"MAINSTAY__GATEWAY__SSE_LISTEN=0.0.0.0:{port}\""));
        }
        self.built_in(text);
    }

    /// Tells built-in servers where the program is in the image.
    fn built_in(&self, text: &mut String) {
        for (server, kind) in self.built_in {
            let name = server.to_uppercase().replace('-', "_");
            let command = serde_json::json!([PROGRAM, "__demo", kind]);
            line(text, "      # The program has another path in the image.");
            let variable = format!("MAINSTAY__SERVERS__{name}__COMMAND={command}");
            line(text, &format!("      - {}", quoted(&variable)));
        }
    }

    fn volumes(&self, text: &mut String) {
        let config = self.place.config.to_string_lossy();
        line(text, "    volumes:");
        line(text, "      - type: bind");
        line(text, &format!("        source: {}", quoted(&config)));
        line(text, &format!("        target: {CONFIG}"));
        line(text, "        read_only: true");
        line(text, "      - type: volume");
        line(text, "        source: mainstay-state");
        line(text, &format!("        target: {STATE}"));
    }
}

/// A text in double quotes, without the meaning that `$` has for compose. What JSON escapes, YAML
/// reads in the same way.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes every line");
}

#[cfg(test)]
mod tests;
