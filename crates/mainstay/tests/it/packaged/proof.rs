//! The archive and the image of `make dist`, as users take them: `cargo xtask proof dist`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mainstay_testkit::{Client, Daemon, Site};
use serde_json::json;

use super::{Bare, FAR};
use crate::shared::eventually_within;

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
async fn the_archive_is_installed_and_serves_where_there_is_nothing_else() {
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
    let site = Site::start(&[]);
    let port = site.url().rsplit(':').next().unwrap().trim_end_matches("/mcp").to_owned();
    // The program, `up`, and two flags with their values are written anew for the confined one.
    let script = format!(
        "shift 6; exec chroot {} /mainstay up --config /mainstay.toml --state /state \"$@\"",
        bare.path().display()
    );
    let daemon = Daemon::builder(&program)
        .script(&script)
        .folder(bare.path())
        .url_server("far", &format!("http://{FAR}:{port}/mcp"))
        .url_server("local", &format!("http://localhost:{port}/mcp"))
        .start()
        .await
        .unwrap();
    for server in ["far", "local"] {
        let client = daemon.client(server).await.unwrap();
        client.call("echo", json!({})).await.unwrap_or_else(|error| panic!("{server}: {error}"));
    }
    let status = bare.run(&["/mainstay", "status", "--state", "/state", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert!(status["servers"].is_array(), "{status}");
    println!("the program alone in a folder serves {FAR} and localhost");
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
    let client = Client::connect(&format!("http://{}/mcp/time", address.trim())).await.unwrap();
    let tools = client.request("tools/list", json!({})).await.unwrap();
    assert!(tools.to_string().contains("\"inputSchema\""), "{tools}");
    let began = Instant::now();
    said("docker", &["stop", "--time", "60", &container.0]);
    let code = said("docker", &["inspect", "--format", "{{.State.ExitCode}}", &container.0]);
    assert_eq!(code.trim(), "0");
    println!("stopped in {:.1} s with code 0", began.elapsed().as_secs_f64());
}
