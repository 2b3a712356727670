//! State folders of other versions: older ones are upgraded, newer ones are left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mainstay_testkit::daemon::Builder;
use serde_json::json;
use tempfile::TempDir;

use super::{PATIENCE, echo, heard, lost, misbehave, until};
use mainstay_testkit::{Client, Daemon};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/states/before-formats")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// Creates a folder with the state of the first version.
fn older() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(), &folder.path().join("state"));
    folder
}

/// The servers are in another order than for the first daemon: newly assigned names would differ.
fn builder(folder: &TempDir) -> Builder {
    crate::shared::daemon()
        .folder(folder.path())
        .command_server("other", &misbehave(&[]))
        .command_server("near", &misbehave(&["--more-for-asked"]))
}

/// The ids of sessions, by name.
fn sessions() -> BTreeMap<String, String> {
    let text = fs::read_to_string(fixture().join("sessions.txt")).unwrap();
    let lines = text.lines().map(|line| line.split_once(' ').unwrap());
    lines.map(|(name, id)| (name.to_owned(), id.to_owned())).collect()
}

fn client(daemon: &Daemon, endpoint: &str, session: &str) -> Client {
    let mut client = Client::new(&daemon.endpoint(endpoint)).unwrap();
    client.set_session(Some(session));
    client
}

#[tokio::test]
async fn a_state_folder_of_the_first_version_goes_on() {
    let folder = older();
    let state = folder.path().join("state");
    let old_token = fs::read(state.join("token.key")).unwrap();
    let sessions = sessions();
    for round in 0..2 {
        let mut daemon = builder(&folder).start().await.unwrap();
        let subscribed = client(&daemon, "near", &sessions["subscribed"]);
        echo(&subscribed).await;
        if round == 0 {
            let mut stream = subscribed.listen(None).await.unwrap();
            heard(&mut stream, "notifications/resources/updated").await;
        }
        lost(&client(&daemon, "near", &sessions["ended"])).await;
        let merged = client(&daemon, "", &sessions["merged"]);
        let tools = merged.request("tools/list", json!({})).await.unwrap();
        let tools = tools["tools"].as_array().unwrap();
        let has = |name: &str| tools.iter().any(|tool| tool["name"] == name);
        assert!(has("other_echo") && has("echo") && !has("near_echo"), "{tools:?}");
        daemon.term().unwrap();
        daemon.wait(PATIENCE).await.unwrap();
    }
    // Every file has its format now.
    let read = |file: &str| fs::read_to_string(state.join(file)).unwrap();
    assert_eq!(read("format"), "mainstay state 1\n");
    assert!(read("names.json").starts_with(r#"{"format":1,"#));
    assert!(read("variants.json").starts_with(r#"{"format":1,"#));
    assert!(read("sessions.journal").starts_with("mainstay sessions 1\n"));
    assert!(read("session.key").starts_with("mainstay key 1\n"));
    let digits: String = old_token.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(read("token.key").starts_with(&format!("mainstay key 1\n{digits} ")));
    assert_eq!(fs::read_dir(state.join("processes")).unwrap().count(), 0, "it was swept");
    let aside = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name());
    let aside: Vec<_> =
        aside.filter(|name| name.to_string_lossy().contains("unreadable")).collect();
    assert!(aside.is_empty(), "{aside:?}");
}

/// Returns every file below a folder with its content.
fn content(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            content(&path, found);
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

#[tokio::test]
async fn a_state_folder_of_a_newer_version_is_left_alone() {
    let folder = older();
    let state = folder.path().join("state");
    fs::write(state.join("sessions.journal"), "mainstay sessions 2\nwhat nobody knows yet\n")
        .unwrap();
    // The file exists after any start, and is empty after the daemon's end.
    fs::write(state.join("lock"), "").unwrap();
    let mut before = BTreeMap::new();
    content(&state, &mut before);
    let error = builder(&folder).start().await.err().expect("it does not start").to_string();
    for said in [
        "sessions.journal has format 2",
        "reads formats up to 1",
        "a newer version has written it",
        "run the version that wrote it",
    ] {
        assert!(error.contains(said), "{said}: {error}");
    }
    crate::mainstay(folder.path(), &["up"]).exits(1);
    let mut after = BTreeMap::new();
    content(&state, &mut after);
    assert!(after == before, "{:?} {:?}", after.keys(), before.keys());
    // With the older file, the daemon starts.
    fs::copy(fixture().join("sessions.journal"), state.join("sessions.journal")).unwrap();
    let daemon = builder(&folder).start().await.unwrap();
    let again = client(&daemon, "near", &sessions()["subscribed"]);
    until("it goes on", async || super::ping(&again).await == (200, None)).await;
}
