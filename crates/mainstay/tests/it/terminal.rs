//! Commands on a terminal: what they print there, and only there.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use mainstay_testkit::programs;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::shared::{daemon, misbehave, until};

/// A terminal that a program can be started on.
struct Terminal {
    own: File,
    theirs: File,
}

// === impl Terminal ===

impl Terminal {
    fn new(columns: u16) -> Self {
        let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&own).unwrap();
        unlockpt(&own).unwrap();
        let name = ptsname(&own, Vec::new()).unwrap();
        let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        tcsetwinsize(&theirs, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
            .unwrap();
        Self { own: own.into(), theirs: theirs.into() }
    }

    fn stream(&self) -> Stdio {
        self.theirs.try_clone().unwrap().into()
    }

    /// Everything that was written to the terminal, once nobody can write any more.
    fn seen(self) -> String {
        let Self { mut own, theirs } = self;
        drop(theirs);
        let mut seen = Vec::new();
        // Reading fails when the last program has closed the terminal.
        let _ = own.read_to_end(&mut seen);
        String::from_utf8(seen).unwrap().replace("\r\n", "\n")
    }
}

fn command(folder: &Path, line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args(line).current_dir(folder).env_clear().env("HOME", folder);
    command.env("MAINSTAY_STATE", folder.join("state")).env("TERM", "xterm");
    command
}

/// What a command shows on a terminal of this width.
fn shown(folder: &Path, line: &[&str], columns: u16) -> String {
    let terminal = Terminal::new(columns);
    let mut command = command(folder, line);
    command.env("NO_COLOR", "1").stdin(terminal.stream()).stdout(terminal.stream());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    let seen = terminal.seen();
    child.wait().unwrap();
    seen
}

#[tokio::test]
async fn pages_fit_into_the_terminal_and_a_pipe_gets_all() {
    let fixture = programs::fixture().unwrap().display().to_string();
    let daemon = daemon()
        .command_server("one", &[fixture.as_str(), "stdio"])
        .command_server("gone", &["/nonexistent/program/with/a/long/name", "--and", "arguments"])
        .start()
        .await
        .unwrap();
    daemon.client("one").await.unwrap();
    let folder = daemon.folder();
    for columns in [80, 120] {
        for line in [&["status"][..], &["status", "one"], &["tools"], &["tools", "--merged"]] {
            let page = shown(folder, line, columns);
            for text in page.lines() {
                let width = text.chars().count();
                // A long path has no place to break.
                let is_path = text.split(' ').any(|word| word.starts_with('/') && word.len() > 40);
                assert!(width <= columns.into() || is_path, "{line:?} {text}");
            }
            assert!(page.contains("one"), "{line:?} {page}");
        }
    }
    let tools = String::from_utf8(daemon.run(&["tools", "one"]).unwrap().stdout).unwrap();
    assert!(tools.lines().any(|line| line.len() > 120) || !tools.contains('…'), "{tools}");
}

#[tokio::test]
async fn every_example_of_a_tool_can_be_typed() {
    let fixture = programs::fixture().unwrap().display().to_string();
    let program = env!("CARGO_BIN_EXE_mainstay");
    let daemon = daemon()
        .command_server("one", &[fixture.as_str(), "stdio"])
        .command_server("notes", &[program, "__demo", "notes"])
        .command_server("clock", &[program, "__demo", "clock"])
        .command_server("odd", &misbehave(&[]))
        .start()
        .await
        .unwrap();
    daemon.client("one").await.unwrap();
    let folder = daemon.folder();
    let listed = daemon.run(&["tools", "--json"]).unwrap().stdout;
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    let mut count = 0;
    for server in listed["servers"].as_array().unwrap() {
        let name = server["name"].as_str().unwrap();
        for tool in server["tools"].as_array().unwrap() {
            let tool = tool["name"].as_str().unwrap();
            let page = daemon.run(&["tools", name, tool]).unwrap();
            let page = String::from_utf8(page.stdout).unwrap();
            let example = page.lines().last().unwrap().trim();
            // The server that misbehaves has tools that never answer.
            if name == "odd" {
                let expected = format!(" odd {tool}");
                assert!(
                    example.starts_with("mainstay call ") && example.ends_with(&expected),
                    "{example}"
                );
                continue;
            }
            let ran = Command::new("/bin/sh")
                .args(["-c", &example.replacen("mainstay", program, 1)])
                .current_dir(folder)
                .env("MAINSTAY_STATE", folder.join("state"))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&ran.stderr);
            assert_ne!(ran.status.code(), Some(2), "{example}: {said}");
            assert!(!said.contains("nvalid"), "{example}: {said}");
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}

#[tokio::test]
async fn each_stream_is_coloured_only_where_it_is_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let line = ["status"];
    let on_terminal = |environment: &[(&str, &str)]| {
        let terminal = Terminal::new(80);
        let mut command = command(folder, &line);
        command.envs(environment.iter().copied());
        command.stdout(Stdio::null()).stderr(terminal.stream());
        let mut child = command.spawn().unwrap();
        drop(command);
        let seen = terminal.seen();
        child.wait().unwrap();
        seen
    };
    let red = "\u{1b}[31merror\u{1b}[0m: no daemon is running";
    assert!(on_terminal(&[]).starts_with(red), "{}", on_terminal(&[]));
    assert!(on_terminal(&[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")]).starts_with(red));
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb"), ("CLICOLOR", "0")] {
        assert!(on_terminal(&[plain]).starts_with("error: no daemon"), "{plain:?}");
    }
    // Standard output is a terminal, and standard error is not.
    let terminal = Terminal::new(80);
    let mut command = command(folder, &line);
    command.stdout(terminal.stream()).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: no daemon"), "{said}");
}

#[tokio::test]
async fn states_have_their_colours_on_a_terminal() {
    let daemon = daemon()
        .command_server("odd", &misbehave(&[]))
        .command_server("gone", &["/nonexistent/program"])
        .start()
        .await
        .unwrap();
    daemon.client("odd").await.unwrap();
    until("the server is given up", async || {
        let status = daemon.run(&["status", "gone", "--json"]).unwrap().stdout;
        serde_json::from_slice::<serde_json::Value>(&status).unwrap()["state"] == "failed"
    })
    .await;
    let terminal = Terminal::new(100);
    let mut command = command(daemon.folder(), &["status"]);
    command.stdout(terminal.stream()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);
    let page = terminal.seen();
    child.wait().unwrap();
    for coloured in ["odd     \u{1b}[32mready\u{1b}[0m", "gone    \u{1b}[31mfailed\u{1b}[0m"] {
        assert!(page.contains(coloured), "{page}");
    }
    assert!(page.contains("next: mainstay status gone  ·  mainstay tools odd"), "{page}");
}

/// The arguments of a command whose standard error is a terminal, and what is seen there.
fn waited(folder: &Path, line: &[&str]) -> String {
    let terminal = Terminal::new(60);
    let mut command = command(folder, line);
    command.stdout(Stdio::null()).stderr(terminal.stream());
    let mut child = command.spawn().unwrap();
    drop(command);
    let seen = terminal.seen();
    assert!(child.wait().unwrap().success(), "{line:?}: {seen}");
    seen
}

#[tokio::test]
async fn a_long_wait_is_shown_on_a_terminal_and_leaves_nothing() {
    let daemon =
        daemon().command_server("odd", &misbehave(&["--slow-start=3000"])).start().await.unwrap();
    let folder = daemon.folder();
    // The server is still starting.
    let seen = waited(folder, &["tools", "odd"]);
    assert!(seen.contains("waiting for odd") || seen.contains("odd is starting"), "{seen}");
    let progress = ["call", "odd", "progress", "--args", r#"{"steps":8,"ms":200}"#];
    let seen = waited(folder, &progress);
    assert!(seen.contains("progress: "), "{seen}");
    let slow = ["call", "odd", "slow", "ms=2500"];
    let seen = waited(folder, &slow);
    assert!(seen.contains("calling slow  "), "{seen}");
    // Only one line was drawn, and it is erased.
    assert!(!seen.contains('\n') && seen.ends_with("\r\u{1b}[K"), "{seen:?}");
    for flag in ["--json", "--quiet"] {
        let line = [&slow[..], &[flag]].concat();
        assert_eq!(waited(folder, &line), "", "{flag}");
    }
    let mut dumb = command(folder, &slow);
    let terminal = Terminal::new(60);
    dumb.env("TERM", "dumb").stdout(Stdio::null()).stderr(terminal.stream());
    dumb.spawn().unwrap().wait().unwrap();
    drop(dumb);
    assert_eq!(terminal.seen(), "");
    let piped = daemon.run(&slow).unwrap();
    assert_eq!(String::from_utf8(piped.stderr).unwrap(), "");
}

#[tokio::test]
async fn the_log_of_a_daemon_has_no_text_between_its_json() {
    let program = env!("CARGO_BIN_EXE_mainstay");
    for (flag, is_shared) in [("-v", true), ("--json", false), ("--quiet", false)] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let text = format!("[servers.notes]\ncommand = [{program:?}, \"__demo\", \"notes\"]\n");
        std::fs::write(folder.join("mainstay.toml"), text).unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let out = File::create(folder.join("out")).unwrap();
        let mut up = command(folder, &["up", "--listen", "127.0.0.1:0", flag]);
        up.stdin(Stdio::null()).stderr(log.try_clone().unwrap());
        let mut up = up.stdout(if is_shared { log } else { out }).spawn().unwrap();
        until("the daemon answers", async || {
            let mut status = command(folder, &["status"]);
            status.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
        })
        .await;
        let stop = command(folder, &["stop", "--quiet"]).output().unwrap();
        assert!(stop.status.success());
        assert_eq!(up.wait().unwrap().code(), Some(0));
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("out"), "", "{flag}");
        for line in read("log").lines() {
            let is_json = serde_json::from_str::<serde_json::Value>(line).is_ok();
            assert!(is_json, "{flag}: {line}");
        }
        let announced = read("log").contains("mainstay is serving at http://");
        assert_eq!(announced, is_shared, "{flag}");
    }
}
