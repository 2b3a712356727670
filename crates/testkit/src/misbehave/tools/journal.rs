//! Work that leaves a trace on disk, so that it can be counted after its server was killed.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use super::call::Call;

/// Adds the line {line} to the file {file}, and echoes after {ms} (0).
pub(super) async fn journal(call: Call) {
    let file = call.arguments["file"].as_str().unwrap_or_default();
    let line = format!("{}\n", call.arguments["line"].as_str().unwrap_or_default());
    // One write, so that lines of other processes do not mix with it.
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.and_then(|mut file| file.write_all(line.as_bytes())).expect("the journal takes a line");
    tokio::time::sleep(Duration::from_millis(call.number("ms", 0))).await;
    call.echo().await;
}
