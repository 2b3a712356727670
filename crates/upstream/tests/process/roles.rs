//! Not tests: what other tests start as processes of their own. Each returns at once when it was
//! not started as that.

use std::io::Write as _;
use std::path::PathBuf;

use mainstay_model::InstanceId;
use mainstay_model::settings::{LimitsSpec, ProcessSpec};

use crate::support::{KEPT_OUTPUT, STATE_VARIABLE, name, numbers, open, python};

fn state() -> Option<PathBuf> {
    std::env::var_os(STATE_VARIABLE).map(Into::into)
}

#[test]
#[ignore = "a role other tests start"]
fn guard() {
    if let Some(state) = state() {
        let _ = mainstay_upstream::process::guard_main(&state);
    }
}

#[test]
#[ignore = "a role other tests start"]
fn exec() {
    // Only the shell of `exec_command` opens it.
    if let Ok(kept) =
        std::fs::File::options().write(true).open(format!("/proc/self/fd/{KEPT_OUTPUT}"))
    {
        rustix::stdio::dup2_stdout(&kept).expect("standard output can be put back");
        let _ = mainstay_upstream::process::exec_main();
        // Nothing that the harness says is to come out of the server's output.
        std::process::exit(1);
    }
}

/// Starts a server that spreads as far as it can, prints the numbers of all processes, and waits
/// to be killed.
#[test]
#[ignore = "a role other tests start"]
fn daemon() {
    run_daemon(LimitsSpec::default());
}

/// The same with limits, where this machine has control groups.
#[test]
#[ignore = "a role other tests start"]
fn daemon_with_limits() {
    run_daemon(LimitsSpec { processes_max: Some(64), ..LimitsSpec::default() });
}

fn run_daemon(limits: LimitsSpec) {
    let Some(state) = state() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let host = open(&state).await;
        let spec = ProcessSpec { limits, ..python(SPREADS) };
        let started = host.spawn(&spec, &name("spreads"), InstanceId(1)).await;
        let mut server = started.expect("it starts");
        let pids = numbers(&mut server, 3).await;
        let mut output = std::io::stdout();
        writeln!(output, "\nready {} {} {}", pids[0], pids[1], pids[2]).expect("output");
        output.flush().expect("output");
        server.wait().await;
    });
}

/// Prints its own number, that of a child in its group, and that of a grandchild in a session of
/// its own whose parent has ended. All ignore TERM.
pub(crate) const SPREADS: &str = r#"
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
if os.fork() == 0:
    print(os.getpid(), flush=True)
    time.sleep(600)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"#;
