//! The first minutes of a new user: a configuration, the servers of a client, a daemon.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::shared::PATIENCE;
use crate::{Ran, mainstay};

mod begin;
mod edit;
mod moved;

/// A daemon that was started in a home by hand. It is stopped at the end of the test.
struct Up<'a> {
    home: &'a Path,
    child: Child,
}

impl<'a> Up<'a> {
    /// Starts a daemon on a free port, and waits until it answers.
    fn start(home: &'a Path, variables: &[(&str, &str)]) -> Self {
        Self::with(home, &["--listen", "127.0.0.1:0"], variables)
    }

    fn with(home: &'a Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.arg("up").args(arguments).current_dir(home).env_clear().env("HOME", home);
        command.env("MAINSTAY_STATE", home.join("state")).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let up = Self { home, child: command.spawn().unwrap() };
        let begun = Instant::now();
        while mainstay(home, &["status"]).code != Some(0) {
            assert!(begun.elapsed() < PATIENCE, "the daemon does not answer");
        }
        up
    }

    /// The address of the daemon.
    fn base(&self) -> String {
        let status = mainstay(self.home, &["status", "--json"]).exits(0).json();
        status["listen"][0].as_str().unwrap().to_owned()
    }

    /// The status of a server, once it is in this state.
    fn server(&self, name: &str, state: &str) -> Value {
        let begun = Instant::now();
        loop {
            let status = mainstay(self.home, &["status", "--json"]).exits(0).json();
            let servers = status["servers"].as_array().unwrap();
            let server = servers.iter().find(|server| server["name"] == name);
            let server = server.unwrap_or_else(|| panic!("{name} is not there: {status}"));
            if server["state"] == state {
                return server.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "{name} is never {state}: {server}");
        }
    }

    fn stop(self) {
        mainstay(self.home, &["stop"]).exits(0);
        self.ended();
    }

    /// Waits for the end of a daemon that was stopped.
    fn ended(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _: Ran = mainstay(self.home, &["stop"]);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
