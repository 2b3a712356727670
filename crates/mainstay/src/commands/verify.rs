//! `mainstay verify`: has the daemon check the stack, and shows what came of it.

use std::time::{Duration, Instant};

use mainstay_admin::api::verify::{
    CheckOutcome, CheckResult, TIMEOUT_MS, VerifyReport, VerifyRequest,
};
use mainstay_admin::{Client, ClientError};
use tokio::time::sleep;

use super::daemon;
use super::up::ready;
use crate::cli::{Shared, VerifyArgs};
use crate::exit::{Exit, Failure};
use crate::output::table::{Cell, Column};
use crate::output::{Look, Output, format};

/// What the daemon may need beyond the time of the checks.
const MARGIN: Duration = Duration::from_secs(30);
/// Longest wait until what was restarted is ready: as long as `mainstay up --wait` waits.
const READY_WITHIN: Duration = Duration::from_secs(180);
/// How long a daemon that has too much to do is asked again for the checks after a restart, and how often.
const AGAIN_FOR: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(1);

pub(super) fn run(shared: &Shared, args: &VerifyArgs, out: &Output) -> Result<Exit, Failure> {
    let client = daemon::client(shared)?;
    let time = args.timeout.unwrap_or(Duration::from_millis(TIMEOUT_MS));
    let report = daemon::block_on(ask(&client, &args.names, time, out))?;
    if out.json {
        out.value(&report);
    } else {
        show(&report, out);
    }
    Ok(exit(&report))
}

/// Waits until what was restarted is ready, and checks it. What does not become ready fails its check.
pub(super) async fn after_restart(
    client: &Client,
    names: &[String],
    out: &Output,
) -> Result<VerifyReport, Failure> {
    let waiting = out.waiting(format!("waiting until {} is ready", names.join(", ")));
    let are_ready = waiting.during(ready::settle(client, names, READY_WITHIN)).await?;
    let again_until = Instant::now() + AGAIN_FOR;
    loop {
        let asked = ask(client, names, Duration::from_millis(TIMEOUT_MS), out).await;
        match asked {
            // The daemon is there, and answers something else than results.
            Err(failure) if failure.exit == Exit::Failed => {
                if Instant::now() >= again_until {
                    return Err(unchecked(names, are_ready, failure));
                }
                sleep(AGAIN).await;
            }
            asked => return asked,
        }
    }
}

/// Says that the restart itself was done.
fn unchecked(names: &[String], are_ready: bool, mut failure: Failure) -> Failure {
    let done = match (names, are_ready) {
        ([_], true) => "is ready; its checks",
        ([_], false) => "was restarted and is not ready; its checks",
        (_, true) => "are ready; their checks",
        (_, false) => "were restarted and are not ready; their checks",
    };
    let why = failure.message();
    failure.message = format!("{} {done} could not be run: {why}", names.join(", "));
    failure
}

async fn ask(
    client: &Client,
    names: &[String],
    time: Duration,
    out: &Output,
) -> Result<VerifyReport, Failure> {
    let timeout_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let asked = VerifyRequest { names: names.to_vec(), timeout_ms };
    let patient = client.with_deadline(time.saturating_add(MARGIN));
    let answer = out.waiting("checking").during(patient.verify(&asked)).await;
    match answer {
        Err(ClientError::Problem(problem)) if problem.names.is_some() => {
            let known = problem.names.unwrap_or_default();
            let failure = Failure::new(Exit::Usage, problem.error);
            match names.iter().find(|name| !known.contains(name)) {
                Some(name) => Err(daemon::unknown_at(client, failure, name, &known).await),
                None => Err(failure),
            }
        }
        answer => Ok(answer?),
    }
}

pub(super) fn exit(report: &VerifyReport) -> Exit {
    if report.passed { Exit::Done } else { Exit::Failed }
}

/// Prints all results as a table, and below it what is wrong.
pub(super) fn show(report: &VerifyReport, out: &Output) {
    if !report.checks.is_empty() {
        out.line(table(&report.checks, out));
    }
    let failed = report.checks.iter().filter(|check| check.outcome == CheckOutcome::Failed);
    for check in failed {
        out.line("");
        for line in details(check, out.flags()) {
            out.line(format::wrap(&format::harmless(&line), out.columns(), 4));
        }
    }
    if report.checks.len() > 1 || report.checks.is_empty() {
        out.line("");
        out.sentence(&summary(report));
    }
    if report.declared == 0 {
        out.remark(
            "no checks are declared: [[checks]] in the configuration adds tool calls with what must come back, \
             addresses and commands",
        );
    }
}

fn table(checks: &[CheckResult], out: &Output) -> String {
    let rows = checks.iter().map(|check| {
        let look = match check.outcome {
            CheckOutcome::Passed => Look::Good,
            CheckOutcome::Failed => Look::Bad,
            CheckOutcome::Skipped => Look::Faint,
        };
        [
            format::harmless(&check.name).into(),
            Cell::from(check.kind.as_str()),
            Cell::from(check.outcome.as_str()).look(look),
            format::duration(Duration::from_millis(check.took_ms)).into(),
            format::harmless(&check.found).into(),
        ]
    });
    let columns = [
        Column::text("CHECK"),
        Column::whole("KIND"),
        Column::whole("OUTCOME"),
        Column::whole("TOOK"),
        Column::spare("FOUND"),
    ];
    out.table(columns, &rows.collect::<Vec<_>>())
}

/// What a failed check expected and what came, and what to do. `flags`: those that reach the same daemon.
fn details(check: &CheckResult, flags: &str) -> Vec<String> {
    let mut lines = vec![
        format!("{} failed", check.name),
        format!("  expected: {}", check.expected),
        format!("  found: {}", check.found),
    ];
    if let Some(hint) = &check.hint {
        lines.push(format!("  hint: {}", with_flags(hint, flags)));
    }
    lines
}

/// A hint that begins with a command, so that the command reaches the same daemon.
fn with_flags(hint: &str, flags: &str) -> String {
    let command = hint.strip_prefix("`mainstay ").and_then(|rest| rest.split_once("` "));
    match command {
        Some((command, rest)) => format!("`mainstay {command}{flags}` {rest}"),
        None => hint.to_owned(),
    }
}

/// `2 of 5 checks failed, 1 was skipped`.
fn summary(report: &VerifyReport) -> String {
    let all = report.checks.len();
    let skipped = report.count(CheckOutcome::Skipped);
    let skipped = match skipped {
        0 => String::new(),
        1 => ", 1 was skipped".to_owned(),
        count => format!(", {count} were skipped"),
    };
    match (all, report.count(CheckOutcome::Failed)) {
        (0, _) => "there is nothing to check".to_owned(),
        (_, 0) if skipped.is_empty() => format!("all {all} checks passed"),
        (_, 0) => format!("{} of {all} checks passed{skipped}", report.count(CheckOutcome::Passed)),
        (_, failed) => format!("{failed} of {all} checks failed{skipped}"),
    }
}

#[cfg(test)]
mod tests {
    use mainstay_admin::api::verify::VerifyReport;
    use serde_json::json;

    use super::{details, summary, table, unchecked};
    use crate::exit::{Exit, Failure};
    use crate::output::{Output, format};

    #[test]
    fn a_restart_whose_checks_could_not_be_run_is_done_all_the_same() {
        let busy = || Failure::new(Exit::Failed, "too many requests").hint("try again");
        let names = ["v".to_owned(), "w".to_owned()];
        for (names, are_ready, message) in [
            (&names[..1], true, "v is ready; its checks could not be run: too many requests"),
            (
                &names[..1],
                false,
                "v was restarted and is not ready; its checks could not be run: too many requests",
            ),
            (&names, true, "v, w are ready; their checks could not be run: too many requests"),
        ] {
            let failure = unchecked(names, are_ready, busy());
            assert_eq!((failure.message(), failure.hints.len()), (message, 1));
        }
    }

    fn report(outcomes: &[&str]) -> VerifyReport {
        let check = |outcome: &&str| {
            json!({
                "name": "search works", "of": "search", "kind": "call", "outcome": outcome, "took_ms": 12,
                "expected": "find answers with a result with the text \"pong\"",
                "found": "no text of its result contains \"pong\": \"a text that goes on and on and on\"",
                "hint": "`mainstay call search find` shows the whole answer",
            })
        };
        let checks: Vec<_> = outcomes.iter().map(check).collect();
        let passed = !outcomes.contains(&"failed");
        serde_json::from_value(
            json!({"passed": passed, "took_ms": 20, "declared": 1, "checks": checks}),
        )
        .unwrap()
    }

    #[test]
    fn the_summary_counts_what_failed_and_what_was_skipped() {
        for (outcomes, expected) in [
            (&[][..], "there is nothing to check"),
            (&["passed", "passed"], "all 2 checks passed"),
            (&["passed", "skipped"], "1 of 2 checks passed, 1 was skipped"),
            (&["failed", "skipped", "skipped"], "1 of 3 checks failed, 2 were skipped"),
        ] {
            assert_eq!(summary(&report(outcomes)), expected);
        }
    }

    #[test]
    fn a_failed_check_is_told_with_a_command_for_the_same_daemon() {
        let failed = report(&["failed"]).checks.remove(0);
        let lines = details(&failed, " --state /s");
        assert_eq!(lines[0], "search works failed");
        assert!(lines[2].starts_with("  found: no text of its result"), "{lines:?}");
        assert_eq!(
            lines[3],
            "  hint: `mainstay call search find --state /s` shows the whole answer"
        );
    }

    #[test]
    fn the_table_fits_the_terminal() {
        for columns in [40, 60, 80, 200] {
            let out = Output::plain(Some(columns));
            let table = table(&report(&["passed", "failed", "skipped"]).checks, &out);
            assert!(
                table.lines().all(|line| format::width(line) <= columns),
                "{columns}:\n{table}"
            );
        }
    }
}
