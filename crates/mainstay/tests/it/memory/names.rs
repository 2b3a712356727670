//! Names that a server makes up all the time.

use std::path::Path;

use mainstay_testkit::Client;
use serde_json::json;

use super::Arena;
use crate::shared::{daemon, misbehave, until};

/// URIs in a list, and their length.
const URIS: usize = 400;
const URI_BYTES: usize = 1000;
const ROUNDS: usize = 50;

/// What the names of a server in a list may take in a budget of 16 MiB: an eighth of a sixteenth.
const SERVER_SHARE: u64 = 128 << 10;

fn uri(round: usize, number: usize) -> String {
    format!("x://{round:00$}/{number:03}", URI_BYTES - 8)
}

/// Has the server list other resources than before.
fn change(file: &Path, round: usize) {
    let resource = |number| json!({"uri": uri(round, number), "name": "n"});
    let list = json!({"resources": (0..URIS).map(resource).collect::<Vec<_>>()});
    std::fs::write(file, list.to_string()).unwrap();
}

#[tokio::test]
async fn twenty_thousand_changing_uris_stay_within_the_share_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resources.json");
    change(&file, 0);
    let hog = misbehave(&[&format!("--resources-from={}", file.display()), "--untold"]);
    let arena =
        Arena::start(daemon().command_server("hog", &hog), "memory_budget = \"16MiB\"").await;
    let caller = arena.daemon.client("hog").await.unwrap();
    let merged = Client::connect(&format!("{}/mcp", arena.daemon.base())).await.unwrap();
    until("the names are there", async || {
        arena.used("names").await > 0 || {
            merged.request("resources/list", json!({})).await.unwrap();
            false
        }
    })
    .await;
    for round in 1..=ROUNDS {
        change(&file, round);
        // A call may have changed the list, so it is fetched again.
        caller.call("echo", json!({})).await.unwrap();
        let listed = merged.request("resources/list", json!({})).await.unwrap();
        let last = uri(round, URIS - 1);
        let listed = listed["resources"].as_array().unwrap();
        assert!(listed.iter().any(|resource| resource["uri"] == *last), "{}", listed.len());
        let used = arena.used("names").await;
        assert!(used < SERVER_SHARE + (64 << 10), "{used} bytes in round {round}");
        let read = merged.request("resources/read", json!({"uri": last})).await.unwrap();
        assert_eq!(read["contents"][0]["uri"], *last);
    }
    assert!(arena.refusals("names").await > 0);
    let stored = std::fs::metadata(arena.daemon.state().join("names.json")).unwrap().len();
    assert!(stored < SERVER_SHARE + (64 << 10), "{stored} bytes are stored");
    let warned = arena.daemon.log();
    let lines = warned.lines().filter(|line| line.contains("the memory for names is used up"));
    assert_eq!(lines.count(), 1, "{warned}");
}
