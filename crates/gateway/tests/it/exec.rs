//! A role of this test program that becomes the program of a server.

use std::ffi::OsString;
use std::fs::File;

use mainstay_upstream::process::ExecCommand;

/// The file descriptor to which the shell moves the server's output, because the test harness writes to
/// standard output.
const KEPT_OUTPUT: &str = "9";

pub(crate) fn command() -> ExecCommand {
    let keep = format!(r#"exec {KEPT_OUTPUT}>&1 >/dev/null; exec "$0" "$@""#);
    let own = std::env::current_exe().expect("this program has a path");
    let role = ["--exact", "exec::role", "--ignored", "--nocapture"].map(OsString::from);
    let args = ["-c".into(), keep.into(), own.into()].into_iter().chain(role).collect();
    ExecCommand { program: "/bin/sh".into(), args }
}

/// Runs the helper. Returns at once if the program was not started as the helper.
#[test]
#[ignore = "a role other tests start"]
#[expect(clippy::disallowed_methods, reason = "tests may block")]
fn role() {
    let kept = File::options().write(true).open(format!("/proc/self/fd/{KEPT_OUTPUT}"));
    if let Ok(kept) = kept {
        rustix::stdio::dup2_stdout(&kept).expect("standard output can be put back");
        let _ = mainstay_upstream::process::exec_main();
        // Nothing that the harness says is to come out of the server's output.
        std::process::exit(1);
    }
}
