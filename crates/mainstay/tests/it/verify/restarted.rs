//! `mainstay restart` ends with the checks of what was restarted.

use serde_json::Value;

use super::{those, with};
use crate::graph::in_state;

/// The server `one` remembers nothing over a restart, which one check expects and another does not.
const CHECKS: &str = "[[checks]]\nname = 'is there'\nserver = 'one'\ntool = 'echo'\n\
                      [[checks]]\nname = 'elsewhere'\ncommand = ['false']\n";

#[tokio::test(flavor = "multi_thread")]
async fn s2_15_a_restart_waits_until_all_is_ready_and_checks_it() {
    let daemon = with(CHECKS)
        .command_server("slow", &crate::shared::misbehave(&["--slow-start=1500"]))
        .start()
        .await
        .unwrap();
    for name in ["one", "slow"] {
        in_state(&daemon, name, "ready").await;
    }
    let output = daemon.run(&["restart", "one", "slow", "--json"]).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let printed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(printed["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(those(&printed["verified"], "passed"), ["one", "slow", "is there"]);
    let output = daemon.run(&["restart", "one"]).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("is there") && text.contains("all 2 checks passed"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_fails_where_a_check_fails_unless_nobody_wants_to_know() {
    let config = format!("{CHECKS}[[checks]]\nname = 'fails'\nserver = 'one'\ntool = 'fail'\n");
    let daemon = with(&config).start().await.unwrap();
    in_state(&daemon, "one", "ready").await;
    let output = daemon.run(&["restart", "one"]).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("1 of 3 checks failed"), "{text}");
    for flag in ["--no-verify", "--dry-run"] {
        let output = daemon.run(&["restart", "one", flag]).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(!text.contains("checks"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_come_back_fails_its_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("works");
    std::fs::write(&file, "").unwrap();
    let program = crate::shared::misbehave(&[]).join(" ");
    let script = format!("test -f {} && exec {program}; echo no disk >&2; exit 3", file.display());
    let daemon = crate::shared::daemon()
        .command_server("one", &["sh", "-c", &script])
        .config("restart = 'never'\n")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "one", "ready").await;
    std::fs::remove_file(&file).unwrap();
    let output = daemon.run(&["restart", "one"]).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("code 3"), "{text}");
}
