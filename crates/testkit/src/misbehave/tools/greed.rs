//! Tools that take more of the machine than is good for others.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::call::Call;

/// Copies itself for ever, and rests a moment where it can't. Its argument tells whose it is.
const BOMB: &str = "import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)";

/// Starts processes that start processes, and answers.
pub(super) async fn fork_bomb(call: Call) {
    let nonce = call.arguments["nonce"].as_str().unwrap_or("bomb");
    let mut bomb = tokio::process::Command::new("python3");
    bomb.args(["-c", BOMB, nonce]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ends with this process, or outlives it: whoever limits it has to end it.
    if bomb.spawn().is_ok() {
        call.echo().await;
    }
}

/// Fills memory, and answers if it can.
pub(super) async fn hog(call: Call) {
    let bytes = usize::try_from(call.number("bytes", 1 << 30)).unwrap_or(usize::MAX);
    let filled = tokio::task::spawn_blocking(move || {
        let memory = vec![1_u8; bytes];
        std::hint::black_box(memory.iter().step_by(4096).fold(0_u8, |sum, one| sum ^ one))
    });
    if filled.await.is_ok() {
        call.echo().await;
    }
}

/// Keeps {threads} busy, and answers at once.
pub(super) async fn spin(call: Call) {
    let until = Instant::now() + Duration::from_millis(call.number("ms", 1000));
    for _ in 0..call.number("threads", 1) {
        std::thread::spawn(move || while Instant::now() < until {});
    }
    call.echo().await;
}
