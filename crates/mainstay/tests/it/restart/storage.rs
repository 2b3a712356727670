//! Stored state, and operation without a working disk.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{End, PATIENCE, Scene, echo, lost, misbehave, until};

#[tokio::test]
async fn a_folder_that_takes_nothing_is_told_of_and_stops_nobody() {
    let mut scene = Scene::start().await;
    let before = scene.client("near").await;
    scene.end(End::Term).await;
    // A folder in place of the file, which even the superuser can't overwrite.
    let in_the_way = scene.state().join("sessions.journal.new");
    fs::create_dir(&in_the_way).unwrap();
    scene.begin().await;
    echo(&scene.again("near", &before)).await;
    let client = scene.client("near").await;
    client.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
    scene.daemon().wait_for_log("can't be saved", PATIENCE).await.unwrap();
    assert_eq!(scene.metric("mainstay_store_failing").await, 1);
    assert!(scene.metric("mainstay_store_failures_total").await >= 1);
    let detailed: Value = serde_json::from_str(&scene.get("/health/detailed").await).unwrap();
    let why = detailed["sessions"]["unstored"].as_str().unwrap();
    assert!(why.contains("sessions.journal"), "{why}");
    until("servers are ready", async || {
        scene.get("/health").await.contains(r#""status":"degraded""#)
    })
    .await;
    let said = scene.daemon().run(&["status"]).unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("can't be saved"), "{said}");

    fs::remove_dir(&in_the_way).unwrap();
    until("it recovers", async || scene.metric("mainstay_store_failing").await == 0).await;
    scene.daemon().wait_for_log("is saved again", PATIENCE).await.unwrap();
    until("all is well", async || scene.get("/health").await.contains(r#""status":"ok""#)).await;
    scene.restart(End::Kill).await;
    let mut stream = scene.again("near", &client).listen(None).await.unwrap();
    super::heard(&mut stream, "notifications/resources/updated").await;
}

#[tokio::test]
async fn names_that_can_not_be_stored_are_told_of_and_stored_later() {
    let mut scene = Scene::start().await;
    scene.end(End::Term).await;
    fs::remove_file(scene.state().join("names.json")).ok();
    let in_the_way = scene.state().join("names.json.new");
    fs::create_dir(&in_the_way).unwrap();
    scene.begin().await;
    let client = scene.client("").await;
    let shown = client.request("tools/list", json!({})).await.unwrap();
    scene.daemon().wait_for_log("published names can't be stored", PATIENCE).await.unwrap();
    let detailed: Value = serde_json::from_str(&scene.get("/health/detailed").await).unwrap();
    let why = detailed["sessions"]["unstored"].as_str().unwrap();
    assert!(why.contains("names.json"), "{why}");
    until("it is told", async || scene.get("/health").await.contains(r#""status":"degraded""#))
        .await;

    fs::remove_dir(&in_the_way).unwrap();
    until("all is well", async || scene.get("/health").await.contains(r#""status":"ok""#)).await;
    let stored = fs::read_to_string(scene.state().join("names.json")).unwrap();
    let name = shown["tools"][0]["name"].as_str().unwrap();
    assert!(stored.contains(name), "{name}: {stored}");
}

/// Creates a FIFO without reader or writer: opening it as a file waits forever.
fn fifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

#[tokio::test]
async fn a_fifo_in_the_place_of_a_new_file_of_names_holds_up_nothing() {
    let mut scene = Scene::start().await;
    scene.end(End::Term).await;
    let names = scene.state().join("names.json");
    fs::remove_file(&names).ok();
    fifo(&scene.state().join("names.json.new"));
    scene.begin().await;
    let client = scene.client("").await;
    let lists = (0..16).map(|_| client.request("tools/list", json!({})));
    let lists = tokio::time::timeout(PATIENCE, futures_util::future::join_all(lists)).await;
    let lists = lists.expect("lists are answered");
    let name = lists[0].as_ref().unwrap()["tools"][0]["name"].as_str().unwrap();
    let near = scene.client("near").await;
    tokio::time::timeout(PATIENCE, echo(&near)).await.expect("other calls go on");
    until("names are stored", async || {
        fs::read_to_string(&names).is_ok_and(|stored| stored.contains(name))
    })
    .await;
    assert!(!scene.get("/health/detailed").await.contains("unstored"));
    scene.end(End::Term).await;
}

#[tokio::test]
async fn fifos_in_the_place_of_what_is_read_at_the_start_are_set_aside() {
    let mut scene = Scene::start().await;
    let client = scene.client("near").await;
    scene.end(End::Term).await;
    for file in ["names.json", "sessions.journal"] {
        fs::remove_file(scene.state().join(file)).ok();
        fifo(&scene.state().join(file));
    }
    scene.begin().await;
    let warning = "published names can't be read; the file is set aside";
    scene.daemon().wait_for_log(warning, PATIENCE).await.unwrap();
    echo(&scene.again("near", &client)).await;
    scene.client("").await.request("tools/list", json!({})).await.unwrap();
    for file in ["names.json", "sessions.journal"] {
        until("it is stored", async || scene.state().join(file).is_file()).await;
        assert!(scene.state().join(format!("{file}.unreadable")).exists(), "{file}");
    }
}

#[tokio::test]
async fn a_key_that_is_no_file_is_named_at_the_start() {
    let mut scene = Scene::start().await;
    scene.end(End::Term).await;
    let key = scene.state().join("session.key");
    fs::remove_file(&key).unwrap();
    fifo(&key);
    let builder = crate::shared::daemon().folder(scene.folder.path());
    let started = builder.command_server("near", &misbehave(&[])).start().await;
    let error = started.err().expect("it does not start").to_string();
    assert!(error.contains("session.key") && error.contains("not a regular file"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_costs_what_is_damaged() {
    let mut scene = Scene::start().await;
    let [deleted, stays] = [scene.client("near").await, scene.client("near").await];
    deleted.delete().await.unwrap();
    scene.end(End::Term).await;
    let journal = scene.state().join("sessions.journal");
    let whole = fs::read_to_string(&journal).unwrap();
    for (content, warns) in [
        (format!("{whole}0123abcd {{\"used\":{{\"of\""), false),
        (whole.replacen('\n', "\nnonsense\n", 1), true),
        (whole.clone(), false),
    ] {
        fs::write(&journal, content).unwrap();
        scene.begin().await;
        lost(&scene.again("near", &deleted)).await;
        echo(&scene.again("near", &stays)).await;
        match warns {
            true => scene.daemon().wait_for_log("is damaged", PATIENCE).await.unwrap(),
            false => assert!(!scene.daemon().log().contains("is damaged")),
        }
        scene.end(End::Term).await;
    }
    // With a file that can't be read, only later changes of sessions are lost.
    fs::write(&journal, "something else altogether").unwrap();
    scene.begin().await;
    scene.daemon().wait_for_log("is damaged", PATIENCE).await.unwrap();
    let aside = |name: &str| fs::read_to_string(scene.state().join(name)).unwrap();
    assert!(aside("sessions.journal.unreadable").contains("nonsense"), "the first is still there");
    assert_eq!(aside("sessions.journal.unreadable.2"), "something else altogether");
    echo(&scene.again("near", &stays)).await;
    assert!(!scene.daemon().log().contains("sessions.journal is gone"));
    scene.end(End::Term).await;
    fs::remove_file(&journal).unwrap();
    scene.begin().await;
    // Nothing tells any more which sessions were ended, so none may live again.
    scene.daemon().wait_for_log("sessions.journal is gone", PATIENCE).await.unwrap();
    lost(&scene.again("near", &deleted)).await;
    lost(&scene.again("near", &stays)).await;
    let later = scene.client("near").await;
    assert!(scene.state().join("session.key.unreadable").exists());
    scene.restart(End::Kill).await;
    echo(&scene.again("near", &later)).await;
}

#[tokio::test]
async fn the_command_socket_is_made_anew_when_it_is_removed() {
    let scene = Scene::start().await;
    let socket = scene.state().join("control.sock");
    let status = || scene.daemon().run(&["status"]).unwrap().status.code();
    assert_eq!(status(), Some(0));
    fs::remove_file(&socket).unwrap();
    assert_eq!(status(), Some(3), "nobody can connect to what is gone");
    until("it is there again", async || status() == Some(0)).await;
    scene.daemon().wait_for_log("the command socket was created again", PATIENCE).await.unwrap();
}

#[tokio::test]
async fn neither_ids_nor_keys_are_written_anywhere() {
    let mut scene = Scene::start().await;
    let client = scene.client("near").await;
    client.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
    scene.client("").await.request("tools/list", json!({})).await.unwrap();
    scene.restart(End::Term).await;
    echo(&scene.again("near", &client)).await;
    let id = client.session().unwrap();
    let journal = fs::read_to_string(scene.state().join("sessions.journal")).unwrap();
    assert!(journal.contains("debug") && !journal.contains(&id[..16]), "{journal}");
    assert!(!scene.daemon().log().contains(&id[..16]));
    for file in ["session.key", "token.key", "sessions.journal", "names.json", "control.sock"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(scene.state().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn sessions_on_one_stream_leave_nothing_behind() {
    let scene = Scene::start().await;
    let url = format!("{}/sse/near", scene.daemon().base());
    let mut client = mainstay_testkit::client::SseClient::connect(&url, &json!({})).await.unwrap();
    client.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
    drop(client);
    until("it ends", async || scene.metric("mcp_active_sessions").await == 0).await;
    // Long enough for anything to be written.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let journal = fs::read_to_string(scene.state().join("sessions.journal")).unwrap();
    assert_eq!(journal.lines().count(), 1, "{journal}");
}

#[tokio::test]
async fn what_is_stored_of_a_session_is_bounded() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    let uri = |number: usize| format!("mis://{number}/{}", "x".repeat(8 << 10));
    let mut refused = 0;
    for number in 0..10 {
        let params = json!({"uri": uri(number)});
        let mut sent = client.send("resources/subscribe", params).await.unwrap();
        let answer = sent.answer().await.unwrap();
        if !answer["error"].is_null() {
            refused += 1;
            assert_eq!(answer["error"]["data"]["code"], "LIMIT_EXCEEDED", "{answer}");
        }
    }
    assert_eq!(refused, 3, "64 KiB are room for seven");
    client.request("resources/unsubscribe", json!({"uri": uri(0)})).await.unwrap();
    client.request("resources/subscribe", json!({"uri": uri(9)})).await.unwrap();
}
