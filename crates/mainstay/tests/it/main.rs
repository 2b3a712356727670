//! The program as users and scripts run it: arguments in, output and exit code out.

#![expect(clippy::disallowed_methods, reason = "tests may block")]

mod admin;
mod alone;
mod breakers;
mod by_hand;
mod clients;
mod completion;
mod connect;
mod detached;
mod edge;
mod fetch;
mod graph;
mod listening;
mod memory;
mod newcomer;
mod packaged;
mod pages;
mod proxy;
mod reached;
mod reload;
mod restart;
mod scripted;
mod servers;
mod shared;
mod signals;
mod sse;
mod stack;
mod stateless;
mod terminal;
mod unwritten;
mod verify;

use std::path::Path;
use std::process::{Command, Output};

/// The output and exit code of a run of the program.
struct Ran {
    line: String,
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the program in a folder that is also its home, with an otherwise empty environment.
fn mainstay(home: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args(arguments).current_dir(home).env_clear().env("HOME", home);
    command.env("MAINSTAY_STATE", home.join("state"));
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    Ran {
        line: arguments.join(" "),
        code: status.code(),
        out: String::from_utf8(stdout).expect("text"),
        err: String::from_utf8(stderr).expect("text"),
    }
}

// === impl Ran ===

impl Ran {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}\n{}", self.line, self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text), "{} does not say {text:?}:\n{}", self.line, self.out);
        self
    }

    #[track_caller]
    fn complains(self, text: &str) -> Self {
        assert!(self.err.contains(text), "{} misses {text:?}:\n{}", self.line, self.err);
        self
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}:\n{}", self.line, self.out))
    }
}
