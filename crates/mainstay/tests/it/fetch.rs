//! `mainstay fetch` with package managers that answer from files: what they are asked, what is made of
//! their answers, and that servers start from fetched packages.

mod scripts;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mainstay_testkit::{Daemon, programs};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shared::{PATIENCE, until};
use crate::{Ran, mainstay};

/// A folder with its own package managers and a registry of a few files.
struct Home {
    folder: TempDir,
}

// === impl Home ===

impl Home {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        scripts::write(home.path());
        home.publish("y@1.0.0", "sha512-first");
        home
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Sets the digest of a version.
    fn publish(&self, package: &str, digest: &str) {
        fs::write(self.path().join("registry").join(package), digest).unwrap();
    }

    /// Writes a configuration with a server for each line, `name: command`.
    fn servers(&self, lines: &[(&str, &[&str])]) {
        let mut text = String::new();
        for (name, command) in lines {
            let path = format!("{}/bin:/usr/bin:/bin", self.path().display());
            let env = json!({ "REGISTRY": self.path().join("registry"), "PATH": path });
            text.push_str(&format!(
                "[servers.{name}]\ncommand = {}\nenv = {{ REGISTRY = {}, PATH = {} }}\n",
                json!(command),
                env["REGISTRY"],
                env["PATH"]
            ));
        }
        fs::write(self.path().join("mainstay.toml"), text).unwrap();
    }

    fn fetch(&self, arguments: &[&str]) -> Ran {
        mainstay(self.path(), &[&["fetch"], arguments].concat())
    }

    fn record(&self) -> Value {
        let text = fs::read_to_string(self.path().join("state/packages.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Returns the folders of packages.
    fn installed(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("state/packages")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir()).collect()
    }

    /// Waits until the process is gone that a package manager started and that hangs.
    async fn sleeper_is_gone(&self) {
        let child = fs::read_to_string(self.path().join("registry/sleeper")).unwrap();
        let status = Path::new("/proc").join(child.trim()).join("status");
        let is_gone = || match fs::read_to_string(&status) {
            Ok(text) => text.contains("State:\tZ"),
            Err(_) => true,
        };
        until("what npm started is gone", async || is_gone()).await;
    }

    /// Returns the arguments of the package managers, one call a line.
    fn asked(&self) -> String {
        fs::read_to_string(self.path().join("registry/asked")).unwrap_or_default()
    }
}

#[test]
fn a_pinned_package_is_fetched_once_and_recorded() {
    let home = Home::new();
    home.servers(&[
        ("node", &["npx", "-y", "--registry=http://own/", "y@1.0.0", "--flag"]),
        ("python", &["uvx", "--with", "b==2.0", "a==1.0", "--flag"]),
        ("plain", &["/bin/true"]),
    ]);
    home.publish("a==1.0", "sha256:one sha256:two");
    home.publish("b==2.0", "sha256:three");
    home.fetch(&[]).exits(0).says("node: fetched y@1.0.0").says("python: fetched a==1.0, b==2.0");
    let mode = home.path().join("state").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "as the daemon makes it");
    let record = home.record();
    let of = |at: usize| &record["fetched"][at];
    assert_eq!(of(0)["program"], "why", "{record}");
    let digests = json!([{ "name": "y", "version": "1.0.0", "digests": ["sha512-first"] }]);
    assert_eq!(of(0)["packages"], digests, "{record}");
    assert_eq!(of(1)["registry"], "pypi", "{record}");
    assert_eq!(of(1)["packages"][0]["digests"], json!(["sha256:one", "sha256:two"]), "{record}");
    assert_eq!(of(1)["packages"][1]["name"], "b", "{record}");
    let asked = home.asked();
    assert_eq!(asked.matches("npm install").count(), 1, "{asked}");
    assert_eq!(asked.matches("--registry=http://own/").count(), 2, "{asked}");
    assert!(asked.contains("--with=b==2.0 a==1.0"), "{asked}");

    let again = home.fetch(&["--json"]).exits(0).json();
    let states: Vec<_> =
        again["servers"].as_array().unwrap().iter().map(|one| one["state"].clone()).collect();
    assert_eq!(states, ["there", "there"], "{again}");
    assert_eq!(home.asked().matches(" install ").count(), 2, "nothing is installed twice");
}

#[test]
fn another_digest_for_the_same_version_fails_and_leaves_what_is_there() {
    let home = Home::new();
    home.servers(&[("node", &["npx", "y@1.0.0"]), ("python", &["uvx", "a@1.0"])]);
    home.publish("a==1.0", "sha256:one");
    home.fetch(&[]).exits(0);
    let before = home.record();
    home.publish("y@1.0.0", "sha512-second");
    // A Python release may get more files, as long as the existing ones stay the same.
    home.publish("a==1.0", "sha256:zero sha256:one");
    home.fetch(&[])
        .exits(1)
        .says("y 1.0.0 is not what it was: sha512-first was recorded, and the registry has sha512-second")
        .says("take its entry out of packages.json")
        .says("python: already installed");
    assert_eq!(home.record(), before);
    assert_eq!(home.installed().len(), 2);
    home.publish("a==1.0", "sha256:zero");
    home.fetch(&["python"]).exits(1).says("a 1.0 is not what it was");
}

#[test]
fn what_is_installed_has_to_be_what_the_registry_spoke_of() {
    let home = Home::new();
    home.servers(&[("node", &["npx", "y@1.0.0"])]);
    home.publish("installs", "sha512-other");
    let ran = home.fetch(&[]).exits(1);
    assert!(ran.out.contains("installed with the digest sha512-other"), "{}", ran.out);
    assert_eq!((home.record(), home.installed()), (Value::Null, Vec::new()));
}

#[test]
fn what_is_not_pinned_is_not_fetched_and_what_to_write_is_said() {
    let home = Home::new();
    home.servers(&[
        ("open", &["npx", "-y", "y"]),
        ("range", &["npx", "y@^1"]),
        ("python", &["uvx", "--from", "a>=1", "tool"]),
        ("bun", &["bunx", "y"]),
        ("pnpm", &["pnpm", "dlx", "y"]),
        ("pipx", &["pipx", "run", "a"]),
    ]);
    let ran = home.fetch(&[]).exits(0);
    for text in [
        r#"open: not fetched, because the version is not pinned: write "y@1.2.3" in place of "y""#,
        r#"range: not fetched, because the version is not pinned: write "y@1.10.0" in place of "y@^1""#,
        r#"python: not fetched, because the version is not pinned: write "a==1.5" in place of "a>=1""#,
        r#"bun: not fetched, because the version is not pinned: write "y@1.2.3" in place of "y""#,
        r#"pnpm: not fetched, because the version is not pinned: write "y@1.2.3" in place of "y""#,
        r#"pipx: not fetched, because the version is not pinned: write "a==1.5" in place of "a""#,
    ] {
        assert!(ran.out.contains(text), "{text}\n{}", ran.out);
    }
    // Somebody who names a server wants its package, and does not get it.
    home.fetch(&["open"]).exits(1).says("open: not fetched");
    assert_eq!((home.record(), home.installed()), (Value::Null, Vec::new()));
    mainstay(home.path(), &["check"])
        .exits(0)
        .says("`y` is not pinned: each start may run another version")
        .says("write `a==VERSION`");
}

#[test]
fn what_can_not_be_fetched_is_said_with_its_reason() {
    let home = Home::new();
    home.servers(&[
        ("bun", &["bunx", "y@1.0.0"]),
        ("odd", &["npx", "--what", "y"]),
        ("near", &["npx", "./here"]),
        ("gone", &["npx", "y@9.9.9"]),
        ("plain", &["/bin/true"]),
    ]);
    home.fetch(&["bun", "odd", "near", "plain"])
        .exits(0)
        .says("bun: not fetched: bunx downloads it itself when the server first starts; with `npx -y`")
        .says("odd: not fetched: what `--what` does is unknown")
        .says("near: not fetched: `./here` is not a package of a registry")
        .says("plain: not fetched: no package runner starts it");
    home.fetch(&["gone"]).exits(1).says("npm view ended with exit status: 1").says("E404");
    home.fetch(&["gon"]).exits(2).complains("did you mean `gone`?");
}

#[test]
fn without_its_registry_what_is_there_stays_good() {
    let home = Home::new();
    home.servers(&[("node", &["npx", "y@1.0.0"])]);
    home.fetch(&[]).exits(0);
    fs::remove_file(home.path().join("registry/y@1.0.0")).unwrap();
    home.fetch(&[]).exits(0).says("already installed").says("the registry can't be asked");
}

#[tokio::test]
async fn a_package_manager_that_hangs_is_ended_with_all_it_started() {
    let home = Home::new();
    home.servers(&[("node", &["npx", "hangs@1.0.0"])]);
    let config = home.path().join("mainstay.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}fetch_timeout = \"1s\"\n")).unwrap();
    home.fetch(&[])
        .exits(1)
        .says("the fetch took longer than 1 s, the `fetch_timeout` of the server");
    home.sleeper_is_gone().await;
}

#[tokio::test]
async fn a_fetch_ends_with_the_terminal_in_which_it_runs() {
    let home = Home::new();
    home.servers(&[("node", &["npx", "hangs@1.0.0"])]);
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.arg("fetch").current_dir(home.path()).env_clear().env("HOME", home.path());
    command.env("MAINSTAY_STATE", home.path().join("state")).kill_on_drop(true);
    let mut fetch = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let sleeper = home.path().join("registry/sleeper");
    until("npm is at work", async || {
        fs::read_to_string(&sleeper).is_ok_and(|text| text.ends_with('\n'))
    })
    .await;
    let pid = Pid::from_raw(fetch.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, Signal::HUP).unwrap();
    let ended = tokio::time::timeout(PATIENCE, fetch.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(1));
    home.sleeper_is_gone().await;
}

/// There is no `npx` on this PATH, so only the fetched program can run.
#[tokio::test]
async fn servers_start_from_what_was_fetched() {
    let home = Home::new();
    home.servers(&[
        ("node", &["npx", "-y", "y@1.0.0", "stdio"]),
        ("shell", &["sh", "-c", "exec npx -y y@1.0.0 \"$1\"", "sh", "stdio"]),
    ]);
    let misbehave = programs::misbehave().unwrap();
    home.publish("program", misbehave.to_str().unwrap());
    home.fetch(&[]).exits(0);
    assert_eq!(home.installed().len(), 1, "one package for both");
    let config = fs::read_to_string(home.path().join("mainstay.toml")).unwrap();
    let daemon =
        Daemon::builder(env!("CARGO_BIN_EXE_mainstay")).folder(home.path()).config(&config);
    let daemon = daemon.start().await.unwrap();
    for name in ["node", "shell"] {
        let client = daemon.client(name).await.unwrap();
        let sent = json!({"to": name});
        let answer = client.call("echo", sent.clone()).await.unwrap();
        assert_eq!(answer["structuredContent"]["echo"], sent);
    }
}

#[test]
fn a_state_folder_of_a_newer_version_is_left_alone() {
    let home = Home::new();
    home.servers(&[("here", &["npx", "-y", "y@1.0.0"])]);
    let state = home.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("packages.json"), "{\"version\": 2, \"all\": []}").unwrap();
    let ran = home.fetch(&[]).exits(1);
    for said in ["packages.json has format 2", "formats up to 1", "run the version that wrote it"] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    let left: Vec<_> =
        fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["packages.json"]);
}
