//! Commands whose output can't be written.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use mainstay_testkit::programs;

use crate::shared::{daemon, until};

/// A device on which every write fails, as on a full disk.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args(arguments).current_dir(folder).env("MAINSTAY_STATE", folder.join("state"));
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

fn complaint(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn a_command_whose_output_is_lost_has_failed() {
    let fixture = programs::fixture().unwrap().display().to_string();
    let daemon =
        daemon().command_server("one", &[fixture.as_str(), "stdio"]).start().await.unwrap();
    daemon.client("one").await.unwrap();
    for line in [
        &["--help"][..],
        &["--version"],
        &["status", "--help"],
        &["status"],
        &["status", "--json"],
        &["status", "one"],
        &["tools"],
        &["tools", "--merged", "--json"],
        &["call", "one", "test_simple_text"],
        &["token"],
        &["log-level", "info"],
        &["check"],
        &["check", "--resolved"],
        &["schema"],
        &["completions", "bash"],
        &["service", "show"],
        &["stop", "--dry-run"],
    ] {
        let lost = command(daemon.folder(), line).stdout(full()).output().unwrap();
        let said = complaint(&lost);
        assert_eq!(lost.status.code(), Some(1), "{line:?}: {said}");
        assert!(said.contains("No space left on device"), "{line:?}: {said}");
        assert!(!said.contains("panicked"), "{line:?}: {said}");
        // A reader that closes the pipe early causes no error message.
        let unread = command(daemon.folder(), line).stdout(closed()).output().unwrap();
        assert_eq!(unread.status.code(), Some(141), "{line:?}: {}", complaint(&unread));
        assert_eq!(complaint(&unread), "", "{line:?}");
    }
    // The exit code of a failed command stays the same.
    let failed = command(daemon.folder(), &["status", "nobody", "--json"]).stdout(full()).output();
    assert_eq!(failed.unwrap().status.code(), Some(1));
    let wrong = command(daemon.folder(), &["stauts"]).stdout(full()).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[tokio::test]
async fn a_daemon_goes_on_without_anybody_who_reads_it() {
    let fixture = programs::fixture().unwrap().display().to_string();
    for (out, error) in [
        (Stdio::from(full()), Stdio::from(full())),
        (closed(), closed()),
        (closed(), Stdio::piped()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[servers.one]\ncommand = [{fixture:?}, \"stdio\"]\n");
        std::fs::write(folder.path().join("mainstay.toml"), text).unwrap();
        let mut up = command(folder.path(), &["up", "--listen", "127.0.0.1:0"]);
        let mut up = up.stdout(out).stderr(error).spawn().unwrap();
        until("the daemon answers", async || {
            let mut status = command(folder.path(), &["status"]);
            status.stdout(Stdio::null()).status().unwrap().success()
        })
        .await;
        let stop = command(folder.path(), &["stop"]).stdout(Stdio::null()).output().unwrap();
        assert!(stop.status.success(), "{}", complaint(&stop));
        assert_eq!(up.wait().unwrap().code(), Some(0));
        let mut log = String::new();
        if let Some(mut error) = up.stderr.take() {
            error.read_to_string(&mut log).unwrap();
        }
        assert!(!log.contains("panicked"), "{log}");
    }
}
