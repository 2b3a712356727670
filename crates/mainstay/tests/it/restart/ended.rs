//! Ids that are not sessions after a restart of the daemon either.

use std::fs;

use mainstay_testkit::Freezer;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{End, Scene, echo, lost, ping, stored, until};

#[tokio::test]
async fn a_deleted_session_stays_so() {
    let mut scene = Scene::start().await;
    let [gone, stays] = [scene.client("near").await, scene.client("near").await];
    assert_eq!(gone.delete().await.unwrap().status, 200);
    stored(&scene.state(), &["ended", "gone"]).await;
    for how in [End::Kill, End::Term, End::Kill] {
        scene.restart(how).await;
        lost(&scene.again("near", &gone)).await;
        echo(&scene.again("near", &stays)).await;
    }
    assert_eq!(scene.again("near", &stays).delete().await.unwrap().status, 200);
    lost(&scene.again("near", &stays)).await;
    scene.restart(End::Term).await;
    lost(&scene.again("near", &stays)).await;
}

/// The end that a client was told of is final, however soon the daemon ends after it.
#[tokio::test]
async fn a_session_whose_end_was_confirmed_does_not_come_back() {
    let mut scene = Scene::start().await;
    for name in ["near", "far", "near", "far", "near"] {
        let [gone, stays] = [scene.client(name).await, scene.client(name).await];
        let daemon = Pid::from_raw(scene.daemon().pid()).unwrap();
        assert_eq!(gone.delete().await.unwrap().status, 200);
        kill_process(daemon, Signal::KILL).unwrap();
        scene.restart(End::Kill).await;
        lost(&scene.again(name, &gone)).await;
        echo(&scene.again(name, &stays)).await;
    }
}

/// A disk that hangs delays the client that ends a session by a second, and no other client.
#[tokio::test]
async fn a_disk_that_hangs_holds_up_the_end_of_a_session_for_a_while_only() {
    let mut scene = Scene::start().await;
    let [gone, stays] = [scene.client("near").await, scene.client("near").await];
    // Freezing the thread that writes acts like a disk that does not answer.
    let Some(frozen) = Freezer::of_thread(scene.daemon().pid(), "mainstay-store") else {
        return eprintln!("skipped: there is no cgroup freezer here that this test may use");
    };
    let ending = {
        let gone = gone.clone().header("x-request-id", "the-end");
        tokio::spawn(async move { gone.delete().await.unwrap().status })
    };
    until("it has ended", async || ping(&gone).await.0 == 404).await;
    let mut meanwhile = 0;
    while !ending.is_finished() {
        echo(&stays).await;
        meanwhile += 1;
    }
    assert_eq!(ending.await.unwrap(), 200);
    assert!(meanwhile > 3, "others were held up: {meanwhile}");
    let told = |line: &str| line.contains("is not stored yet") && line.contains("the-end");
    until("the log says so", async || scene.daemon().log().lines().any(told)).await;
    drop(frozen);
    scene.end(End::Kill).await;
}

#[tokio::test]
async fn an_expired_session_stays_so() {
    let mut scene = Scene::with("session_idle = \"2s\"").await;
    let [before, meanwhile] = [scene.client("near").await, scene.client("far").await];
    until("one expires", async || {
        ping(&meanwhile).await;
        scene.metric("mainstay_sessions_expired_total").await == 1
    })
    .await;
    ping(&meanwhile).await;
    scene.end(End::Term).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    scene.begin().await;
    lost(&scene.again("near", &before)).await;
    lost(&scene.again("far", &meanwhile)).await;
    assert_eq!(scene.metric("mainstay_sessions_restored_total").await, 0);
    // The sessions stay expired, even if the idle limit is raised later.
    scene.gateway = "session_idle = \"1h\"".to_owned();
    scene.restart(End::Term).await;
    lost(&scene.again("near", &before)).await;
    lost(&scene.again("far", &meanwhile)).await;
}

#[tokio::test]
async fn only_sealed_ids_of_this_address_are_restored() {
    let mut scene = Scene::start().await;
    let near = scene.client("near").await;
    let own = near.session().unwrap().to_owned();
    let mut forged = own.clone().into_bytes();
    let at = forged.len() / 2;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let mut other = Scene::start().await;
    let foreign = other.client("near").await.session().unwrap().to_owned();
    scene.restart(End::Kill).await;
    other.end(End::Kill).await;
    for (name, session) in [
        ("far", own.as_str()),
        ("", &own),
        ("near", &forged),
        ("near", &foreign),
        ("near", &own[..own.len() - 1]),
        ("near", "made-up"),
    ] {
        lost(&scene.with_session(name, session)).await;
    }
    let refused = async |reason| {
        scene.metric(&format!("mainstay_refused_total{{reason=\"{reason}\"}}")).await
    };
    assert_eq!((refused("foreign_session").await, refused("unknown_session").await), (6, 12));
    assert_eq!(scene.metric("mcp_active_sessions").await, 0);
    echo(&scene.again("near", &near)).await;
}

#[tokio::test]
async fn without_the_key_all_are_unknown_and_the_log_says_so() {
    let mut scene = Scene::start().await;
    let client = scene.client("near").await;
    scene.end(End::Term).await;
    fs::remove_file(scene.state().join("session.key")).unwrap();
    scene.begin().await;
    let told = async || scene.daemon().log().contains("session.key is gone");
    until("the log says so", told).await;
    lost(&scene.again("near", &client)).await;
    let new = scene.client("near").await;
    scene.restart(End::Term).await;
    assert!(!scene.daemon().log().contains("session.key is gone"));
    echo(&scene.again("near", &new)).await;
}

#[tokio::test]
async fn no_more_are_restored_than_there_may_be() {
    let mut scene = Scene::with("max_sessions = 2").await;
    let [first, second] = [scene.client("near").await, scene.client("near").await];
    scene.restart(End::Kill).await;
    let [third, fourth] = [scene.client("near").await, scene.client("near").await];
    // Sessions that nobody has used would give way.
    for used in [&third, &fourth] {
        echo(used).await;
    }
    let early = scene.again("near", &first);
    assert_eq!(ping(&early).await, (200, Some(1012)), "a refusal, not the end of the session");
    let mut reply = early.listen(None).await.unwrap();
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("30")));
    assert_eq!(reply.json().await.unwrap()["error"]["data"]["code"], json!("SESSION_LIMIT"));
    third.delete().await.unwrap();
    echo(&early).await;
    assert_eq!(ping(&scene.again("near", &second)).await, (200, Some(1012)));
}
