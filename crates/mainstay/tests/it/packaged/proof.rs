//! The archive and the image of `make dist`, as users take them: `cargo xtask proof dist`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mainstay_testkit::Client;
use serde_json::json;

use super::{Bare, FAR};
use crate::shared::{daemon, eventually_within};

/// How soon a container has to be healthy, whose health is checked every second.
const HEALTHY_WITHIN: Duration = Duration::from_secs(60);

/// The folder of the archive, `install.sh` and the image.
fn folder() -> PathBuf {
    let folder = std::env::var_os("MAINSTAY_PROOF_DIST");
    folder.expect("MAINSTAY_PROOF_DIST names the folder that `make dist` fills").into()
}

fn file(end: &str) -> PathBuf {
    let mut files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(end) && (end.contains("image") || !name.contains("image"))
    };
    files.find(is_it).unwrap_or_else(|| panic!("no file ends with {end}"))
}

/// Runs a command, which has to end well, and returns what it prints.
#[track_caller]
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}{complaints}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
#[ignore = "needs what `make dist` makes, and root"]
async fn the_archive_is_installed_and_finds_names_where_there_is_nothing_else() {
    let prefix = tempfile::tempdir().unwrap();
    let (install, archive) = (folder().join("install.sh"), file(".tar.gz"));
    for shell in [&["sh"][..], &["busybox", "sh"]] {
        if Command::new(shell[0]).args(&shell[1..]).args(["-c", ":"]).output().is_err() {
            continue;
        }
        let arguments =
            [&shell[1..], &[text(&install), "--prefix", text(prefix.path()), text(&archive)]];
        let told = said(shell[0], &arguments.concat());
        assert!(told.contains("installed mainstay "), "{told}");
    }
    let program = prefix.path().join("bin/mainstay");
    for completions in ["bash", "zsh", "fish"] {
        assert!(said(text(&program), &["completions", completions]).contains("mainstay"));
    }
    let Some(bare) = Bare::try_new() else { return };
    std::fs::copy(&program, bare.path().join("mainstay")).unwrap();
    // A daemon needs `/proc` to start itself as the guard of its servers. A client of one needs nothing.
    let daemon = daemon()
        .config(&format!("[gateway]\nallowed_hosts = [\"{FAR}\"]"))
        .command_server("notes", &[text(&program), "__demo", "notes"])
        .start()
        .await
        .unwrap();
    let port = daemon.base().rsplit(':').next().unwrap();
    for (host, says) in [
        (FAR, "\"serverInfo\":{\"name\":\"notes\""),
        ("localhost", "\"serverInfo\":{\"name\":\"notes\""),
        ("nobody.mainstay.test", "Name or service not known"),
    ] {
        let url = format!("http://{host}:{port}/mcp/notes");
        let answer = first_answer(bare.command(&["/mainstay", "connect", "--url", &url]));
        assert!(answer.contains(says), "{host}: {answer}");
        println!("alone in a folder, {host}: {:.100}", answer);
    }
}

/// What a command on standard input and output answers to `initialize`.
fn first_answer(mut command: Command) -> String {
    let hello = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "proof", "version": "1" },
        },
    });
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{hello}").unwrap();
    let mut answer = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    drop(input);
    child.wait().unwrap();
    answer
}

/// A container, removed when dropped.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.0]).output();
    }
}

#[tokio::test]
#[ignore = "needs what `make dist` makes, and Docker"]
async fn the_image_is_healthy_serves_and_drains() {
    if !Command::new("docker").arg("info").output().is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: Docker does not answer here (Debian: docker.io and iptables)");
        return;
    }
    let loaded = said("docker", &["load", "--input", text(&file("-image.tar.gz"))]);
    let image = loaded.trim().rsplit(' ').next().unwrap();
    let arguments = ["run", "--detach", "--publish", "127.0.0.1::8000", "--health-interval=1s"];
    let id =
        said("docker", &[&arguments[..], &[image, "demo", "--listen", "0.0.0.0:8000"]].concat());
    let container = Container(id.trim().to_owned());
    let began = Instant::now();
    let health = ["inspect", "--format", "{{.State.Health.Status}}", &container.0];
    eventually_within(HEALTHY_WITHIN, "a healthy container", async || {
        (said("docker", &health).trim() == "healthy").then_some(())
    })
    .await;
    println!("healthy after {:.1} s", began.elapsed().as_secs_f64());
    let user = said("docker", &["inspect", "--format", "{{.Config.User}}", &container.0]);
    assert_eq!(user.trim(), "65532:65532");
    let address = said("docker", &["port", &container.0, "8000"]);
    let client = Client::connect(&format!("http://{}/mcp/clock", address.trim())).await.unwrap();
    let countdown = json!({
        "name": "countdown",
        "arguments": { "seconds": 4 },
        "_meta": { "progressToken": "p" },
    });
    let mut call = client.send("tools/call", countdown).await.unwrap();
    let progress = call.next().await.unwrap().expect("progress");
    assert_eq!(progress["method"], "notifications/progress", "{progress}");
    let began = Instant::now();
    let stopped = container.0.clone();
    let stopping = tokio::task::spawn_blocking(move || {
        said("docker", &["stop", "--time", "60", &stopped]);
    });
    let answer = call.answer().await.unwrap();
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    stopping.await.unwrap();
    let code = said("docker", &["inspect", "--format", "{{.State.ExitCode}}", &container.0]);
    assert_eq!(code.trim(), "0");
    println!(
        "stopped in {:.1} s with code 0, after the call in flight",
        began.elapsed().as_secs_f64()
    );
}
