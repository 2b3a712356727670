//! What signals do to the daemon, and what a second daemon for the same folder is told.

use std::os::fd::OwnedFd;

use mainstay_testkit::Daemon;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use crate::admin::over_the_socket;
use crate::mainstay;
use crate::shared::{PATIENCE, daemon, misbehave, until};

/// A terminal of its own. It is closed when the value is dropped.
struct Terminal {
    _master: OwnedFd,
    path: String,
}

impl Terminal {
    fn open() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let master = master.unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        Self { _master: master, path }
    }

    /// Starts a daemon in the foreground of this terminal. `before`: a command that runs it.
    async fn daemon(&self, before: &str) -> Daemon {
        let script = format!("exec setsid --ctty {before} \"$@\" < {}", self.path);
        let server = daemon().command_server("slow", &misbehave(&[]));
        server.script(&script).start().await.unwrap()
    }
}

async fn hangs_up_and_reloads(daemon: &mut Daemon) {
    daemon.signal(Signal::HUP).unwrap();
    daemon.wait_for_log("the configuration was read: nothing changes", PATIENCE).await.unwrap();
    daemon.client("slow").await.unwrap();
}

#[tokio::test]
async fn two_terms_a_moment_apart_are_one_wish() {
    let mut daemon = daemon().command_server("slow", &misbehave(&[])).start().await.unwrap();
    let client = daemon.client("slow").await.unwrap();
    let calling = tokio::spawn(async move { client.call("slow", json!({"ms": 1000})).await });
    let operator = over_the_socket(&daemon.state());
    until("the call is under way", async || operator.sessions().await.unwrap().calls == 1).await;
    daemon.term().unwrap();
    daemon.wait_for_log("draining", PATIENCE).await.unwrap();
    daemon.term().unwrap();
    daemon.wait_for_log("stopping already", PATIENCE).await.unwrap();
    assert!(calling.await.unwrap().is_ok());
    assert!(daemon.wait(PATIENCE).await.unwrap().success());
    assert!(!daemon.log().contains("stopping at once"), "{}", daemon.log());
}

#[tokio::test]
async fn an_interrupt_two_seconds_later_ends_it_at_once() {
    let mut daemon = daemon().command_server("slow", &misbehave(&[])).start().await.unwrap();
    let client = daemon.client("slow").await.unwrap();
    let calling = tokio::spawn(async move { client.call("hang", json!({})).await });
    let operator = over_the_socket(&daemon.state());
    until("the call is under way", async || operator.sessions().await.unwrap().calls == 1).await;
    daemon.signal(Signal::INT).unwrap();
    // Those that come too early have no effect.
    until("it stops at once", async || {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let _ = daemon.signal(Signal::INT);
        daemon.log().contains("stopping at once")
    })
    .await;
    assert!(daemon.log().contains("stopping already"), "{}", daemon.log());
    assert!(daemon.wait(PATIENCE).await.unwrap().success());
    calling.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_daemon_ends_with_its_terminal() {
    let terminal = Terminal::open();
    let mut daemon = terminal.daemon("").await;
    hangs_up_and_reloads(&mut daemon).await;
    drop(terminal);
    assert!(daemon.wait(PATIENCE).await.unwrap().success());
    assert!(daemon.log().contains("drained") && daemon.log().contains("stopped"));
}

/// The shell passes the HUP on and ends then. Which of the two the daemon sees first is a matter of luck.
#[tokio::test]
async fn a_daemon_ends_with_the_shell_that_runs_it() {
    for _ in 0..5 {
        let terminal = Terminal::open();
        let mut shell = terminal.daemon(r#"bash --norc -ic '"$@"; true' bash"#).await;
        shell.signal(Signal::HUP).unwrap();
        shell.wait_for_log("drained", PATIENCE).await.unwrap();
        shell.wait_for_log("stopped", PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn a_daemon_without_a_terminal_or_with_nohup_goes_on() {
    let mut detached = daemon().command_server("slow", &misbehave(&[])).start().await.unwrap();
    hangs_up_and_reloads(&mut detached).await;

    let terminal = Terminal::open();
    let mut daemon = terminal.daemon("nohup").await;
    drop(terminal);
    hangs_up_and_reloads(&mut daemon).await;
}

#[tokio::test]
async fn a_second_start_names_the_commands_that_reach_the_first() {
    let first = daemon().command_server("slow", &misbehave(&[])).start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let state = first.state().display().to_string();
    let both = format!(
        "`mainstay status --state {state}` shows that daemon, and `mainstay stop --state {state}` \
         stops it"
    );
    let demo = mainstay(home.path(), &["demo", "--listen", "127.0.0.1:0", "--state", &state]);
    demo.exits(1).complains("in use by another daemon").complains(&both);
    // What it names works.
    mainstay(home.path(), &["status", "--state", &state]).exits(0);
    mainstay(home.path(), &["stop", "--state", &state]).exits(0);
}
