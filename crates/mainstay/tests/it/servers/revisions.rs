//! Servers that support one older revision only and refuse any other, each in its own way.

use mainstay_testkit::{Daemon, Site};
use serde_json::{Value, json};

use crate::shared::PATIENCE;

use super::{ask, assert_echo, daemon, eventually, in_state, life, misbehave, process, server};

const OLDER: [&str; 3] = ["2025-06-18", "2025-03-26", "2024-11-05"];

async fn check_served(daemon: &Daemon, name: &str, revision: &str) {
    eventually(&format!("{name} in {revision}"), async || {
        let now: Value = server(daemon, name).await;
        let spoken = &now["revision"];
        assert!(spoken.is_null() || spoken == revision, "{name}: {now}");
        (now["state"] == "ready" && spoken == revision).then_some(())
    })
    .await;
    let client = daemon.client(name).await.unwrap();
    // The client has a revision of its own.
    assert_eq!(client.server["protocolVersion"], "2025-11-25");
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
}

fn flags<'a>(only: &'a str, refuses: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[only, refuses], more].concat()
}

#[tokio::test]
async fn a_server_that_refuses_a_revision_in_its_own_way_is_served_in_its_own_revision() {
    for revision in OLDER {
        let only = format!("--only-revision={revision}");
        let mut builder = daemon();
        let mut sites = Vec::new();
        let mut names = Vec::new();
        for how in ["supported", "words", "close", "exit"] {
            let refuses = format!("--refuses={how}");
            let command = misbehave(&flags(&only, &refuses, &[]));
            names.push(format!("pipe-{how}"));
            builder = builder.command_server(&names[names.len() - 1], &command);
        }
        for how in ["supported", "words", "400", "415", "500", "close"] {
            let refuses = format!("--refuses={how}");
            let sides = [("site", &["--json"][..]), ("older", &["--only-sse=405"])];
            for (side, more) in sides {
                let site = Site::start(&flags(&only, &refuses, more));
                names.push(format!("{side}-{how}"));
                builder = builder.url_server(&names[names.len() - 1], &site.url());
                sites.push(site);
            }
        }
        let daemon = builder.start().await.unwrap();
        for name in names {
            check_served(&daemon, &name, revision).await;
        }
    }
}

/// A remote program that ends is started again by whoever runs it.
#[tokio::test]
async fn a_remote_server_that_ends_over_a_revision_is_served_in_its_own() {
    for more in [&["--json"][..], &["--only-sse=405"]] {
        let mut site = Site::start(&flags("--only-revision=2025-06-18", "--refuses=exit", more));
        let daemon = daemon().url_server("site", &site.url()).start().await.unwrap();
        eventually("the server in its own revision", async || {
            if site.has_ended() {
                site.revive();
            }
            let now: Value = server(&daemon, "site").await;
            (now["state"] == "ready").then_some(())
        })
        .await;
        check_served(&daemon, "site", "2025-06-18").await;
    }
}

#[tokio::test]
async fn what_worked_is_asked_for_first_in_the_next_run() {
    let site = Site::start(&["--only-revision=2025-03-26", "--refuses=words"]);
    let daemon = daemon()
        .command_server("exits", &misbehave(&["--only-revision=2025-06-18", "--refuses=exit"]))
        .url_server("site", &site.url())
        .start()
        .await
        .unwrap();
    check_served(&daemon, "exits", "2025-06-18").await;
    check_served(&daemon, "site", "2025-03-26").await;
    let (_, before) = life(&daemon, "exits").await;
    super::kill(&process(&daemon, "exits").await);
    eventually("one more restart", async || {
        let (_, after) = life(&daemon, "exits").await;
        (after.as_u64() == before.as_u64().map(|count| count + 1)).then_some(())
    })
    .await;
    check_served(&daemon, "exits", "2025-06-18").await;
    assert_eq!(life(&daemon, "exits").await.1.as_u64(), before.as_u64().map(|count| count + 1));

    let asked = async || {
        let counts = site.counts().await;
        [counts["initialize 2025-11-25"].clone(), counts["initialize 2025-03-26"].clone()]
    };
    assert_eq!(asked().await, [json!(1), json!(1)]);
    site.forget().await;
    let client = daemon.client("site").await.unwrap();
    // The lost session is noticed by a call.
    eventually("a handshake anew", async || {
        ask(&client, "echo", json!({"n": 1})).await;
        (asked().await[1] == 2).then_some(())
    })
    .await;
    assert_eq!(asked().await[0], json!(1), "the refused revision is not asked for again");
}

#[tokio::test]
async fn what_worked_is_known_to_the_next_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(&["--only-revision=2025-03-26", "--refuses=words"]);
    for asked_before in [1, 2] {
        let mut daemon =
            daemon().folder(folder.path()).url_server("site", &site.url()).start().await.unwrap();
        check_served(&daemon, "site", "2025-03-26").await;
        let counts = site.counts().await;
        assert_eq!(counts["initialize 2025-11-25"], 1, "the refused revision is asked for once");
        assert_eq!(counts["initialize 2025-03-26"], asked_before);
        daemon.term().unwrap();
        daemon.wait(PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn a_date_in_the_configuration_is_the_only_revision_that_is_asked_for() {
    let daemon = daemon()
        .command_server("takes", &misbehave(&["--only-revision=2025-03-26"]))
        .config("revision = \"2025-03-26\"")
        .command_server("refuses", &misbehave(&["--only-revision=2025-03-26"]))
        .config("revision = \"2025-06-18\"")
        .command_server("modern", &misbehave(&["--dual"]))
        .config("revision = \"2026-07-28\"")
        .command_server("answers", &misbehave(&["--revision=2025-03-26"]))
        .config("revision = \"2025-06-18\"")
        .start()
        .await
        .unwrap();
    check_served(&daemon, "takes", "2025-03-26").await;
    assert_eq!(server(&daemon, "takes").await["note"], Value::Null);
    check_served(&daemon, "answers", "2025-03-26").await;
    let note = server(&daemon, "answers").await["note"].clone();
    assert_eq!(note, "answered with 2025-03-26 when it was asked for 2025-06-18 (`revision`)");
    let modern = in_state(&daemon, "modern", "ready").await;
    assert_eq!(modern["revision"], "2026-07-28");
    eventually("the reason", async || {
        let now: Value = server(&daemon, "refuses").await;
        let reason = now["reason"].as_str()?.to_owned();
        assert_ne!(now["state"], "ready", "{now}");
        let told = reason.contains("it refused initialize in 2025-06-18:");
        (told && reason.contains("Unsupported protocol version")).then_some(())
    })
    .await;
}

/// Nothing else is tried where the server says that nothing else would do.
#[tokio::test]
async fn a_server_that_takes_no_revision_says_so() {
    let site = Site::start(&["--only-revision=2031-01-01", "--refuses=words"]);
    let daemon = daemon()
        .command_server("named", &misbehave(&["--only-revision=2031-01-01"]))
        .command_server("words", &misbehave(&["--only-revision=2031-01-01", "--refuses=words"]))
        .url_server("site", &site.url())
        .start()
        .await
        .unwrap();
    let all = "in 2025-11-25, 2025-06-18, 2025-03-26 and 2024-11-05: ";
    for (name, says) in [
        ("named", &["in 2025-11-25: ", "2031-01-01"][..]),
        ("words", &[all, "Cannot read"]),
        ("site", &[all, "Cannot read"]),
    ] {
        eventually(&format!("the reason of {name}"), async || {
            let now: Value = server(&daemon, name).await;
            let reason = now["reason"].as_str()?.to_owned();
            says.iter().all(|part| reason.contains(part)).then_some(())
        })
        .await;
        // It is not asked every few seconds for ever.
        in_state(&daemon, name, "failed").await;
    }
}
