//! What the tests are told in: hosts, commands, and waiting for what must come true.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::settings::ProcessSpec;
use mainstay_model::{InstanceId, Name, Redacted};
use mainstay_upstream::process::{ExecCommand, GuardCommand, ProcessHost, RunningProcess};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// How the state folder reaches a role.
pub(crate) const STATE_VARIABLE: &str = "MAINSTAY_TEST_STATE";

/// Longest wait for something that must come true; generous, for machines that are busy.
pub(crate) const CAP: Duration = Duration::from_secs(30);

/// A host with a state folder of its own.
pub(crate) struct World {
    pub(crate) state: TempDir,
    pub(crate) host: Arc<ProcessHost>,
}

/// This program, playing one of the roles.
pub(crate) fn role(name: &str, state: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command
        .args(["--exact", &format!("roles::{name}"), "--ignored", "--nocapture"])
        .env(STATE_VARIABLE, state)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The guard as a role; the state folder goes along as an argument of `env`.
pub(crate) fn guard_command(state: &Path) -> GuardCommand {
    let role = role("guard", state);
    let mut args = vec![format!("{STATE_VARIABLE}={}", state.display()).into()];
    args.push(role.get_program().to_owned());
    args.extend(role.get_args().map(ToOwned::to_owned));
    GuardCommand { program: "/usr/bin/env".into(), args }
}

/// Where the shell before the helper keeps the server's output.
pub(crate) const KEPT_OUTPUT: &str = "9";

/// The helper as a role. The test harness writes to standard output, which belongs to the server, so a
/// shell keeps that aside meanwhile.
pub(crate) fn exec_command() -> ExecCommand {
    let role = role("exec", Path::new(""));
    let mut args: Vec<OsString> =
        vec!["-c".into(), format!(r#"exec {KEPT_OUTPUT}>&1 >/dev/null; exec "$0" "$@""#).into()];
    args.push(role.get_program().to_owned());
    args.extend(role.get_args().map(ToOwned::to_owned));
    ExecCommand { program: "/bin/sh".into(), args }
}

pub(crate) fn name(text: &str) -> Name {
    Name::try_new(text).expect("a good name")
}

pub(crate) fn command(words: &[&str]) -> ProcessSpec {
    let command = words.iter().map(|word| (*word).to_owned()).collect();
    ProcessSpec { command, ..ProcessSpec::default() }
}

pub(crate) fn sh(script: &str) -> ProcessSpec {
    command(&["sh", "-c", script])
}

pub(crate) fn python(script: &str) -> ProcessSpec {
    command(&["python3", "-c", script])
}

pub(crate) fn with_env(mut spec: ProcessSpec, variable: &str, value: &str) -> ProcessSpec {
    spec.env.insert(variable.to_owned(), Redacted::new(value.to_owned()));
    spec
}

impl World {
    pub(crate) async fn open() -> Self {
        let state = tempfile::tempdir().expect("a folder");
        let host = open(state.path()).await;
        Self { state, host }
    }

    pub(crate) async fn spawn(&self, spec: &ProcessSpec) -> RunningProcess {
        self.host.spawn(spec, &name("test"), InstanceId(1)).await.expect("it starts")
    }

    /// Ends the host and checks that it leaves nothing.
    pub(crate) async fn close(self) {
        self.host.shutdown().await;
        assert_eq!(records(self.state.path()), 0);
        until("no child is left", || children().is_empty()).await;
    }
}

pub(crate) async fn open(state: &Path) -> Arc<ProcessHost> {
    ProcessHost::open(state, guard_command(state), exec_command()).await.expect("it opens")
}

/// The first `count` lines of output as numbers.
pub(crate) async fn numbers(process: &mut RunningProcess, count: usize) -> Vec<i32> {
    let mut lines = BufReader::new(process.take_stdout().expect("not taken")).lines();
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let line = tokio::time::timeout(CAP, lines.next_line()).await.expect("in time");
        let line = line.expect("readable").expect("not the end");
        numbers.push(line.trim().parse().expect("a number"));
    }
    numbers
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < CAP, "not within {CAP:?}: {what}");
        #[expect(clippy::disallowed_methods, reason = "synchronous test code that polls")]
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// As [`eventually`], letting the host work meanwhile.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < CAP, "not within {CAP:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The letter of the process's state; none when there is no such process.
pub(crate) fn state_of(pid: i32) -> Option<char> {
    stat(pid).and_then(|fields| fields.first()?.chars().next())
}

pub(crate) fn is_alive(pid: i32) -> bool {
    state_of(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// Children of this process, zombies included.
pub(crate) fn children() -> BTreeSet<i32> {
    let us = std::process::id().to_string();
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|fields| fields[1] == us)).collect()
}

/// Fields of `/proc/PID/stat` from the state on.
pub(crate) fn stat(pid: i32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &text[text.rfind(')')? + 1..];
    Some(rest.split_ascii_whitespace().map(ToOwned::to_owned).collect())
}

pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc/self/fd").count()
}

/// Records of processes, of whatever daemon.
pub(crate) fn records(state: &Path) -> usize {
    let Ok(folders) = std::fs::read_dir(state.join("processes")) else { return 0 };
    let files = folders.flatten().filter_map(|folder| std::fs::read_dir(folder.path()).ok());
    files.flatten().flatten().filter(|file| file.path().extension().is_some()).count()
}

pub(crate) fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a number");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it can be killed");
}
