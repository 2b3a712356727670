//! `mainstay breaker list` and `mainstay breaker reset`: circuit breakers, and closing them by hand.

use std::time::Duration;

use mainstay_admin::Action;
use mainstay_admin::api::breakers::CircuitBreaker;
use mainstay_telemetry::events::rounded;
use serde_json::json;

use super::daemon;
use crate::cli::{BreakerArgs, BreakerCommand, ResetArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::table::{Cell, Column};
use crate::output::{Output, format};

pub(super) fn run(shared: &Shared, args: &BreakerArgs, out: &Output) -> Result<Exit, Failure> {
    match &args.command {
        BreakerCommand::List => list(shared, out),
        BreakerCommand::Reset(args) => reset(shared, args, out),
    }
}

fn list(shared: &Shared, out: &Output) -> Result<Exit, Failure> {
    let client = daemon::client(shared)?;
    let all = daemon::block_on(async { Ok(client.breakers().await?) })?;
    if out.json {
        out.value(&all);
    } else if all.breakers.is_empty() {
        out.line("no server, service or external is configured");
    } else {
        out.line(table(&all.breakers, out).trim_end());
    }
    Ok(Exit::Done)
}

fn reset(shared: &Shared, args: &ResetArgs, out: &Output) -> Result<Exit, Failure> {
    let client = daemon::client(shared)?;
    let names: Vec<_> = match args.all {
        true => vec![None],
        false => args.names.iter().cloned().map(Some).collect(),
    };
    let done = daemon::block_on(async {
        let all = client.breakers().await?.breakers;
        let is_known = |name: &String| {
            let mut all = all.iter();
            all.any(|it| {
                it.name.as_str() == name || format!("{}:{}", it.kind.as_str(), it.name) == *name
            })
        };
        if let Some(name) = args.names.iter().find(|name| !is_known(name)) {
            let all: Vec<_> = all.iter().map(|breaker| breaker.name.to_string()).collect();
            let failure = Failure::new(
                Exit::Usage,
                format!("nothing with a circuit breaker is called {name:?}"),
            );
            let failure = daemon::unknown_at(&client, failure, name, &all).await;
            return Err(failure.hint("`mainstay breaker list` shows all of them"));
        }
        let mut done = Vec::new();
        for name in names {
            done.push(client.act(Action::ResetBreaker { name }, args.dry_run).await?);
        }
        Ok(done)
    })?;
    if out.json {
        out.value(&json!({ "done": done }));
    }
    for done in &done {
        match (out.json, args.dry_run) {
            (true, _) => {}
            (false, true) => out.line(&done.message),
            (false, false) => out.done(&done.message),
        }
    }
    Ok(Exit::Done)
}

fn table(breakers: &[CircuitBreaker], out: &Output) -> String {
    let rows = breakers.iter().map(|breaker| {
        let state = match (breaker.enabled, breaker.next_trial_in_ms) {
            (false, _) => "off".to_owned(),
            (true, Some(left)) => format!("open, trial in {}", time(left)),
            (true, None) => breaker.word(),
        };
        [
            Cell::from(breaker.name.as_str()),
            Cell::from(breaker.kind.as_str()),
            Cell::from(state.as_str()),
            Cell::from(format!("{} of {}", breaker.failures, breaker.failures_max).as_str()),
            Cell::from(time(breaker.recovery_ms).as_str()),
        ]
    });
    let columns = [
        Column::whole("NAME"),
        Column::whole("KIND"),
        Column::whole("STATE"),
        Column::whole("FAILURES"),
        Column::whole("RECOVERY"),
    ];
    let table = out.table(columns, &rows.collect::<Vec<_>>());
    // A last error is longer than a column: it is in a line of its own, below the breaker.
    let errors = breakers.iter().map(last_error);
    let mut lines = Vec::new();
    for (line, error) in table.lines().zip(std::iter::once(None).chain(errors)) {
        lines.push(line.trim_end().to_owned());
        lines.extend(error.map(|error| format!("  {error}")));
    }
    lines.join("\n")
}

fn last_error(breaker: &CircuitBreaker) -> Option<String> {
    let (error, ago) = (breaker.last_error.as_ref()?, breaker.last_error_ago_ms?);
    Some(format!("{} ({} ago)", format::first_line(error), time(ago)))
}

fn time(ms: u64) -> String {
    rounded(Duration::from_millis(ms))
}
