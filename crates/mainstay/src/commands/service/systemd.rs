//! Generates the unit that systemd runs the daemon with. Does no I/O.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::place::Place;

/// How long systemd waits for the servers to end, after the calls in flight.
const SERVERS_END: Duration = Duration::from_secs(30);

/// Which manager runs the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    /// That of a user: `systemctl --user`.
    User,
    /// That of the system. The number is the user that the daemon runs as; none: root.
    System(Option<u32>),
}

/// The input of one unit.
pub(super) struct Unit<'a> {
    pub(super) place: &'a Place,
    pub(super) manager: Manager,
    /// The `PATH` of the caller. Servers are often started by programs below the home folder, such
    /// as `npx` and `uvx`, which the manager's own `PATH` does not have.
    pub(super) path: &'a str,
    /// The time that calls in flight have to finish.
    pub(super) drain: Duration,
    /// The program of a server that changes its user or makes a container by itself.
    pub(super) privileged: Option<&'a str>,
}

// === impl Unit ===

impl Unit<'_> {
    /// Writes the unit.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let is_system = self.manager != Manager::User;
        line(&mut text, "# Made by `mainstay service show systemd`.");
        line(&mut text, "[Unit]");
        line(&mut text, "Description=Mainstay, between MCP clients and MCP servers");
        if is_system {
            line(&mut text, "Wants=network-online.target");
            line(&mut text, "After=network-online.target");
        }
        line(&mut text, "# Five starts within five minutes are enough.");
        line(&mut text, "StartLimitIntervalSec=300");
        line(&mut text, "StartLimitBurst=5");
        line(&mut text, "\n[Service]");
        line(&mut text, "Type=exec");
        let program = [&self.place.program, &self.place.config, &self.place.state];
        let [program, config, state] = program.map(|path| argument(path));
        line(&mut text, &format!("ExecStart={program} up --config {config} --state {state}"));
        line(&mut text, "ExecReload=/bin/kill -HUP $MAINPID");
        self.environment(&mut text);
        if let Manager::System(Some(user)) = self.manager {
            line(&mut text, &format!("User={user}"));
        }
        if is_system && self.place.state == Path::new("/var/lib/mainstay") {
            line(&mut text, "StateDirectory=mainstay");
            line(&mut text, "StateDirectoryMode=0700");
        }
        line(&mut text, "# After `mainstay stop`, too: systemctl stops a unit for good.");
        line(&mut text, "Restart=always");
        line(&mut text, "RestartSec=10s");
        line(&mut text, "# An invalid configuration does not get better by itself.");
        line(&mut text, "RestartPreventExitStatus=2");
        line(&mut text, "# The daemon ends its servers; what is left after that is killed.");
        line(&mut text, "KillMode=mixed");
        let stop = (self.drain + SERVERS_END).as_secs();
        line(&mut text, &format!("TimeoutStopSec={stop}s"));
        line(&mut text, "# A server without memory is restarted by the daemon, which goes on.");
        line(&mut text, "OOMPolicy=continue");
        line(&mut text, "# The daemon makes groups for servers with limits.");
        line(&mut text, "Delegate=yes");
        line(&mut text, "# The daemon raises its own limit; servers start with the first one.");
        line(&mut text, "LimitNOFILE=1024:65536");
        self.hardening(&mut text, is_system);
        line(&mut text, "\n[Install]");
        let target = if is_system { "multi-user.target" } else { "default.target" };
        line(&mut text, &format!("WantedBy={target}"));
        text
    }

    fn environment(&self, text: &mut String) {
        if !self.path.is_empty() {
            line(text, "# Servers are looked for where they are found from your shell.");
            line(text, &format!("Environment=\"PATH={}\"", escaped(self.path)));
        }
        let file = self.place.env_file();
        let names: Vec<_> = self.place.variables.iter().map(String::as_str).collect();
        let names =
            if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
        line(text, &format!("# Variables that the configuration refers to{names}."));
        line(text, &format!("EnvironmentFile=-{}", specifiers(&file.to_string_lossy())));
    }

    /// Writes what the daemon and its servers give up. They keep their files, the network, devices
    /// and memory that they write code to, as JavaScript engines do.
    fn hardening(&self, text: &mut String, is_system: bool) {
        if let Some(program) = self.privileged {
            line(text, &format!("# `{program}` needs privileges, so servers may gain them."));
            return;
        }
        line(text, "# Servers keep their files, the network and devices.");
        line(text, "NoNewPrivileges=yes");
        line(text, "LockPersonality=yes");
        line(text, "RestrictRealtime=yes");
        if is_system {
            line(text, "ProtectSystem=full");
            line(text, "ProtectKernelTunables=yes");
            line(text, "ProtectKernelModules=yes");
            line(text, "ProtectKernelLogs=yes");
            line(text, "ProtectHostname=yes");
        }
    }
}

/// A path as one argument of `ExecStart`.
fn argument(path: &Path) -> String {
    format!("\"{}\"", escaped(&path.to_string_lossy()).replace('$', "$$"))
}

/// A text within double quotes.
fn escaped(text: &str) -> String {
    specifiers(&text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A text without the meaning that `%` has for systemd.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes every line");
}

#[cfg(test)]
mod tests;
