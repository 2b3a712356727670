//! A disk that is full or read-only, and a state folder that is removed.

use std::fs;
use std::path::Path;

use mainstay_testkit::{Client, Daemon, SmallDisk};
use serde_json::{Value, json};

use super::{End, PATIENCE, Scene, echo, heard, lost, misbehave, until};

/// Starts a daemon with one server, with configuration and state on this disk.
async fn start(disk: &Path) -> Daemon {
    let builder = crate::shared::daemon().folder(disk);
    builder.command_server("near", &misbehave(&[])).start().await.unwrap()
}

/// Stops a daemon and waits for its end.
async fn end(mut daemon: Daemon) {
    daemon.term().unwrap();
    daemon.wait(PATIENCE).await.unwrap();
}

/// Returns the state of sessions in `/health/detailed` and `/health`.
async fn told(daemon: &Daemon) -> (Option<String>, bool) {
    let client = Client::new(daemon.base()).unwrap();
    let get = async |path| client.plain("GET", path).await.unwrap().text().await.unwrap();
    let detailed: Value = serde_json::from_str(&get("/health/detailed").await).unwrap();
    let why = detailed["sessions"]["unstored"].as_str().map(str::to_owned);
    (why, get("/health").await.contains(r#""status":"degraded""#))
}

#[tokio::test]
async fn a_disk_that_is_full_is_named_at_the_start() {
    let Some(disk) = SmallDisk::try_new() else { return };
    end(start(disk.path()).await).await;
    fs::remove_dir_all(disk.path().join("state")).unwrap();
    disk.fill();
    let ran = crate::mainstay(disk.path(), &["up"]).exits(1);
    for said in ["No space left on device", "the disk is full", "make room", "--state DIR"] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    disk.free();
    end(start(disk.path()).await).await;
}

#[tokio::test]
async fn the_audit_log_can_be_read_on_a_full_disk() {
    let Some(disk) = SmallDisk::try_new() else { return };
    let read = async |daemon: &Daemon| {
        let operator = mainstay_admin::Client::new(&daemon.state(), PATIENCE);
        let entries = operator.audit(10).await.unwrap().entries;
        assert!(entries.iter().any(|entry| entry.action == "log-level"), "{entries:?}");
    };
    let daemon = start(disk.path()).await;
    daemon.run(&["log-level", "debug"]).unwrap();
    read(&daemon).await;
    end(daemon).await;
    disk.fill();
    // Enough for the lock, and not for the files that a database needs to be written.
    disk.leave_blocks(3);
    let daemon = start(disk.path()).await;
    read(&daemon).await;
    end(daemon).await;
}

#[tokio::test]
async fn a_disk_that_is_full_meanwhile_is_told_of_and_nothing_is_lost() {
    let Some(disk) = SmallDisk::try_new() else { return };
    let mut daemon = start(disk.path()).await;
    let client = daemon.client("near").await.unwrap();
    disk.fill();
    // More than the rest of the last block of any file.
    let uri = format!("mis://one/{}", "x".repeat(8 << 10));
    client.request("resources/subscribe", json!({"uri": uri})).await.unwrap();
    until("it is told", async || told(&daemon).await.1).await;
    let why = told(&daemon).await.0.unwrap();
    assert!(why.contains("sessions.journal") && why.contains("No space left"), "{why}");
    echo(&client).await;
    let deleted = daemon.client("near").await.unwrap();
    assert_eq!(deleted.delete().await.unwrap().status, 200);
    disk.free();
    until("all is well", async || told(&daemon).await == (None, false)).await;
    daemon.kill().unwrap();
    daemon.wait(PATIENCE).await.unwrap();
    drop(daemon);
    let daemon = start(disk.path()).await;
    let again = |client: &Client| {
        let mut again = Client::new(&daemon.endpoint("near")).unwrap();
        again.set_session(client.session());
        again
    };
    heard(&mut again(&client).listen(None).await.unwrap(), "notifications/resources/updated").await;
    lost(&again(&deleted)).await;
    end(daemon).await;
}

#[tokio::test]
async fn a_disk_that_is_read_only_is_named_at_the_start() {
    let Some(disk) = SmallDisk::try_new() else { return };
    end(start(disk.path()).await).await;
    disk.make_read_only();
    let ran = crate::mainstay(disk.path(), &["up"]).exits(1);
    for said in ["state/lock", "Read-only file system", "--state DIR"] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
}

#[tokio::test]
async fn a_state_folder_that_is_taken_away_is_told_of_and_never_another_daemons() {
    let mut scene = Scene::start().await;
    let [stays, deleted] = [scene.client("near").await, scene.client("near").await];
    let elsewhere = scene.folder.path().join("elsewhere");
    fs::rename(scene.state(), &elsewhere).unwrap();
    until("it is told", async || told(scene.daemon()).await.1).await;
    let why = told(scene.daemon()).await.0.unwrap();
    assert!(why.contains("was removed or replaced"), "{why}");
    assert_eq!(deleted.delete().await.unwrap().status, 200);
    echo(&stays).await;
    // Another folder appears there, and the daemon writes nothing into it.
    fs::create_dir(scene.state()).unwrap();
    let client = scene.client("").await;
    client.request("tools/list", json!({})).await.unwrap();
    stays.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
    assert_eq!(fs::read_dir(scene.state()).unwrap().count(), 0);
    // The folder is put back, and everything noted meanwhile is stored in it.
    fs::remove_dir(scene.state()).unwrap();
    fs::rename(&elsewhere, scene.state()).unwrap();
    until("all is well", async || told(scene.daemon()).await == (None, false)).await;
    scene.restart(End::Kill).await;
    lost(&scene.again("near", &deleted)).await;
    echo(&scene.again("near", &stays)).await;
}
