//! The time of a command that does nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};

use super::seen::Seen;
use crate::run::context::Context;
use crate::run::kind::Kind;
use crate::run::results::median;

const TIMES: usize = 40;
const AT_MOST_MS: f64 = 10.0;

/// `--help` beside `/bin/true`, in turns, so that both meet the same machine.
pub(super) fn help(context: &Context, kind: Kind) -> Result<Seen> {
    let program = context.programs.path(kind)?;
    let (mut ours, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        ours.push(time(program, &["--help"])?);
        nothing.push(time(Path::new("/bin/true"), &[])?);
    }
    let (ours, nothing) = (median(ours.into_iter()), median(nothing.into_iter()));
    let text = format!("{ours:.1} ms ({:.1} × /bin/true)", ours / nothing);
    Ok(Seen::new("help", text, Some(ours), ours < AT_MOST_MS))
}

/// Milliseconds from start to end.
fn time(program: &Path, args: &[&str]) -> Result<f64> {
    let begun = Instant::now();
    let mut command = Command::new(program);
    let status = command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let passed = begun.elapsed().as_secs_f64() * 1000.0;
    ensure!(status.success(), "{} ended with {status}", program.display());
    Ok(passed)
}
