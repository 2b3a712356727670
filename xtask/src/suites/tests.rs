use std::path::Path;
use std::time::Duration;

use super::{Outcome, run, table, watched};

#[test]
fn closing_lines_are_known() {
    for line in [
        "     Summary [   0.150s] 26 tests run: 26 passed, 12 skipped",
        "test result: ok. 3 passed; 0 failed; 0 ignored",
        "30 passed, 0 failed",
    ] {
        assert!(watched::is_closing(line), "{line}");
    }
    for line in ["", "PASS [ 0.1s] a::b", "tests passed, all", "running 3 tests"] {
        assert!(!watched::is_closing(line), "{line}");
    }
}

#[test]
fn what_a_command_says_in_closing_is_kept() {
    let here = Path::new(".");
    let script = "echo one; echo '1 passed, 0 failed' >&2; echo '2 passed, 0 failed'";
    let said = watched::run(here, Path::new("sh"), &["-c", script]).unwrap();
    assert_eq!(said, ["2 passed, 0 failed", "1 passed, 0 failed"]);

    let failing = "echo '0 passed, 1 failed'; exit 3";
    let error = watched::run(here, Path::new("sh"), &["-c", failing]).unwrap_err().to_string();
    assert!(error.ends_with("exit status: 3\n  0 passed, 1 failed"), "{error}");
}

#[test]
fn what_failed_is_kept_for_the_closing_table() {
    let kept = |said: &str| {
        let mut closing = watched::Closing::default();
        said.lines().for_each(|line| closing.hear(line));
        closing.lines
    };
    let conformance =
        "details\nwhat failed:\n  peers: everything: auto\n      /steps/3\n2 passed, 1 failed";
    assert_eq!(kept(conformance), ["peers: everything: auto", "/steps/3", "2 passed, 1 failed"]);
    let tests = "PASS [ 0.1s] a::b\n Summary [ 1s] 2 tests run\n  FAIL [ 0.2s] a::c\nerror: test run failed";
    let expected = ["Summary [ 1s] 2 tests run", "FAIL [ 0.2s] a::c", "error: test run failed"];
    assert_eq!(kept(tests), expected);
}

#[test]
fn minutes_are_shown_for_each_suite() {
    let outcomes = [
        Outcome { name: "format", took: Duration::from_secs(3), said: Ok(Vec::new()) },
        Outcome { name: "tests", took: Duration::from_secs(90), said: Ok(vec!["ok".to_owned()]) },
        Outcome { name: "lints", took: Duration::ZERO, said: Err(anyhow::anyhow!("no")) },
    ];
    let expected = [
        "== minutes",
        "format           0.1  ok",
        "tests            1.5  ok",
        "                      ok",
        "lints            0.0  FAILED",
        "                      no",
    ];
    assert_eq!(table(&outcomes), expected.join("\n"));
}

#[test]
fn an_unknown_suite_is_named() {
    let error = run(Path::new("."), &["tset".to_owned()]).unwrap_err().to_string();
    assert!(error.starts_with("no suite `tset`; there are: format,"), "{error}");
}
