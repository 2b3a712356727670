//! The unit of systemd that a daemon runs in. systemd starts the daemon again after `mainstay stop`.

#![expect(clippy::disallowed_methods, reason = "procfs, in a command that nobody else waits for")]

use std::fs;

/// A unit of systemd.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RunningUnit {
    name: String,
    /// It belongs to a user's own systemd, not to that of the system.
    is_users: bool,
}

// === impl RunningUnit ===

impl RunningUnit {
    /// The unit whose main process this is. None: no unit, or a process of another user.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let read = |file: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        Self::from_process(pid, &read("environ")?, &read("cgroup")?)
    }

    /// systemd tells the main process of a unit its own process id (systemd.exec(5)), which processes that
    /// merely inherit the variable don't have.
    fn from_process(pid: u32, environ: &str, cgroup: &str) -> Option<Self> {
        let is_main = format!("SYSTEMD_EXEC_PID={pid}");
        if !environ.split('\0').any(|variable| variable == is_main) {
            return None;
        }
        let is_unit = |path: &&str| path.ends_with(".service");
        let path = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2)).find(is_unit)?;
        let name = path.rsplit('/').next()?.to_owned();
        Some(Self { name, is_users: path.contains("/user@") })
    }

    /// The command that stops the unit, so that it stays stopped.
    pub(super) fn stop_command(&self) -> String {
        let user = if self.is_users { " --user" } else { "" };
        format!("systemctl{user} stop {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::RunningUnit;

    fn command(environ: &str, cgroup: &str) -> Option<String> {
        RunningUnit::from_process(7, environ, cgroup).map(|unit| unit.stop_command())
    }

    #[test]
    fn the_unit_of_a_daemon_is_known_from_its_control_group() {
        let environ = "HOME=/root\0SYSTEMD_EXEC_PID=7\0";
        let system = "12:memory:/\n1:name=systemd:/system.slice/mainstay.service\n";
        assert_eq!(command(environ, system).as_deref(), Some("systemctl stop mainstay.service"));
        let user = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/my-tools.service\n";
        let expected = Some("systemctl --user stop my-tools.service");
        assert_eq!(command(environ, user).as_deref(), expected);
    }

    #[test]
    fn a_daemon_in_a_terminal_has_no_unit() {
        let scope = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/terminal.scope\n";
        assert_eq!(command("SYSTEMD_EXEC_PID=7\0", scope), None);
        // A shell that a unit started passes the variable on.
        let unit = "0::/system.slice/cron.service\n";
        assert_eq!(command("SYSTEMD_EXEC_PID=70\0", unit), None);
        assert_eq!(command("", unit), None);
    }
}
