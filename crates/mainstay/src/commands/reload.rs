//! `mainstay diff` and `mainstay reload`: what a running daemon would change to follow its configuration, and the
//! change itself.

use std::path::Path;
use std::time::{Duration, Instant};

use mainstay_admin::api::configuration::{Reload, ReloadNode};
use mainstay_admin::{Action, Client, ClientError};
use tokio::time::sleep;

use super::{daemon, running};
use crate::cli::{DiffArgs, ReloadArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::{Output, Waiting, format};

/// How often the daemon is asked how the reload goes.
const ASK: Duration = Duration::from_millis(100);
/// The daemon waits 20 s for the disk of its configuration.
const READ_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn diff(shared: &Shared, _: &DiffArgs, out: &Output) -> Result<Exit, Failure> {
    let report = preview(shared)?;
    Ok(show_preview(&report, out))
}

pub(super) fn reload(shared: &Shared, args: &ReloadArgs, out: &Output) -> Result<Exit, Failure> {
    if args.dry_run {
        let report = preview(shared)?;
        return Ok(show_preview(&report, out));
    }
    let client = daemon::client(shared)?;
    let report = daemon::block_on(async {
        refuse_other_file(shared, &client).await?;
        let done = client.act(Action::Reload, false).await?;
        let number = done.reload.as_ref().map_or(0, |reload| reload.number);
        if args.no_wait {
            return Ok(done.reload.map(|reload| *reload).unwrap_or_default());
        }
        let waiting = out.waiting("reloading the configuration");
        waiting.during(follow(&client, number, args.timeout, &waiting)).await
    })?;
    if args.no_wait {
        match out.json {
            true => out.value(&report),
            false => out.done(&format!(
                "reload {} is under way; `mainstay status` shows how it ends",
                report.number
            )),
        }
        return Ok(Exit::Done);
    }
    let restart = running::restart(shared);
    Ok(show_end(&report, &restart, out))
}

/// What would change now.
fn preview(shared: &Shared) -> Result<Reload, Failure> {
    let client = daemon::client(shared)?.with_deadline(READ_WITHIN);
    let done = daemon::block_on(async {
        refuse_other_file(shared, &client).await?;
        Ok(client.act(Action::Reload, true).await?)
    })?;
    Ok(done.reload.map(|reload| *reload).unwrap_or_default())
}

/// A daemon follows the file that it was started with: another one that is named here would be left out.
async fn refuse_other_file(shared: &Shared, client: &Client) -> Result<(), Failure> {
    let Some(named) = &shared.config else { return Ok(()) };
    let follows = client.configuration().await?.file;
    if follows.as_deref().is_some_and(|file| running::is_same(Path::new(file), named)) {
        return Ok(());
    }
    let follows = match follows {
        Some(file) => format!("this daemon follows {file}, and not {}", named.display()),
        None => "this daemon was started without a configuration file".to_owned(),
    };
    let restart = running::restart(shared);
    Err(Failure::new(Exit::Usage, follows)
        .hint("leave --config out to reload what it follows")
        .hint(format!("restart it to have it follow the other file: {restart}")))
}

/// Why the end of a reload is not known.
fn lost(number: u64, error: ClientError) -> Failure {
    match error {
        ClientError::NoDaemon { .. } | ClientError::Connect { .. } | ClientError::Http(_) => {
            let what = format!("reload {number} was interrupted: the daemon has stopped");
            Failure::new(Exit::Failed, what)
                .hint("the daemon reads its configuration when it is started again")
        }
        error => error.into(),
    }
}

/// Waits for the end of a reload.
async fn follow(
    client: &Client,
    number: u64,
    most: Option<Duration>,
    waiting: &Waiting,
) -> Result<Reload, Failure> {
    let begun = Instant::now();
    loop {
        let configuration = client.reload(number).await.map_err(|error| lost(number, error))?;
        match (configuration.current, configuration.last) {
            (_, Some(ended)) => return Ok(ended),
            (Some(current), None) => waiting.say(progress(&current)),
            (None, None) => {}
        }
        if most.is_some_and(|most| begun.elapsed() >= most) {
            let took = format::duration(begun.elapsed());
            return Err(Failure::new(
                Exit::Failed,
                format!("the reload has not ended within {took}"),
            )
            .hint("it goes on; `mainstay status` shows how it ends"));
        }
        sleep(ASK).await;
    }
}

/// What is being done, in a line.
fn progress(reload: &Reload) -> String {
    let doing = reload.nodes.iter().filter_map(|node| Some((node, node.doing.as_deref()?)));
    let doing: Vec<_> = doing.map(|(node, doing)| format!("{} {doing}", node.node.name)).collect();
    match doing.as_slice() {
        [] => "reloading the configuration".to_owned(),
        doing => format!("reloading: {}", doing.join(", ")),
    }
}

fn show_preview(report: &Reload, out: &Output) -> Exit {
    let exit = if report.is_refused() { Exit::Usage } else { Exit::Done };
    if out.json {
        out.value(report);
        return exit;
    }
    if report.is_refused() {
        show_problems(report, out);
        return exit;
    }
    for line in plan(report) {
        out.line(format::harmless(&line));
    }
    if !report.is_empty() {
        out.next(&["mainstay reload"]);
    }
    exit
}

fn show_problems(report: &Reload, out: &Output) {
    for problem in &report.problems {
        out.line(format::harmless(&problem.text));
        out.line("");
    }
    out.line("the configuration is wrong: nothing changes");
}

/// What changes, with a line for each change: `+` added, `-` removed, `~` changed.
fn plan(report: &Reload) -> Vec<String> {
    if report.is_empty() {
        return vec!["nothing changes".to_owned()];
    }
    let node = |ReloadNode { node, change, keys, .. }: &ReloadNode| {
        let what = format!("{} {}", node.kind.as_str(), node.name);
        let keys = keys.join(", ");
        match change.as_str() {
            "added" => format!("+ {what} is added"),
            "removed" => format!("- {what} is removed"),
            "restart" => format!("~ {what} is restarted: {keys}"),
            _ => format!("~ {what} changes in place: {keys}"),
        }
    };
    let mut lines: Vec<_> = report.nodes.iter().map(node).collect();
    lines.extend(report.groups.iter().map(|group| match change_of_group(group) {
        (name, "added") => format!("+ group {name} is added"),
        (name, "removed") => format!("- group {name} is removed"),
        (name, keys) => format!("~ group {name} changes in place: {keys}"),
    }));
    if report.order {
        lines.push("~ the order of servers changes".to_owned());
    }
    lines.extend(report.settings.iter().map(|key| format!("~ {key} changes in place")));
    let waits = report.waits_for_restart.iter();
    lines.extend(waits.map(|key| format!("~ {key} waits for a restart of the daemon")));
    lines
}

/// The name of a group, and what changes of it.
fn change_of_group(group: &str) -> (&str, &str) {
    group.split_once(": ").unwrap_or((group, ""))
}

fn show_end(report: &Reload, restart: &str, out: &Output) -> Exit {
    let exit = match report.outcome.as_deref() {
        Some("applied" | "unchanged") => Exit::Done,
        Some("refused") => Exit::Usage,
        _ => Exit::Failed,
    };
    if out.json {
        out.value(report);
        return exit;
    }
    if report.is_refused() {
        show_problems(report, out);
        return exit;
    }
    if report.is_unread() {
        for problem in &report.problems {
            out.aside(&format::harmless(&format!("{}: nothing changes", problem.text)));
        }
        return exit;
    }
    if report.is_empty() {
        out.done("nothing changes");
        return exit;
    }
    for node in &report.nodes {
        // Below a reason are the last lines of output.
        let lines: Vec<_> = ended(node).lines().map(format::harmless).collect();
        let line = lines.join("\n    ");
        match node.outcome.as_deref() {
            Some("done" | "held") => out.done(&line),
            _ => out.aside(&line),
        }
    }
    for (name, change) in report.groups.iter().map(|group| change_of_group(group)) {
        let change =
            if ["added", "removed"].contains(&change) { change } else { "changed in place" };
        out.done(&format!("group {name}: {change}"));
    }
    let changed = report.order.then(|| "the order of servers".to_owned()).into_iter();
    for line in changed.chain(report.settings.iter().cloned()) {
        out.done(&format!("{line}: changed"));
    }
    if !report.waits_for_restart.is_empty() {
        let keys = report.waits_for_restart.join(", ");
        out.done(&format!("waiting for a restart of the daemon: {keys}: {restart}"));
    }
    exit
}

/// How the change of a node has ended, as a sentence.
fn ended(node: &ReloadNode) -> String {
    let ReloadNode { node: id, change, reason, .. } = node;
    let why = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match (node.outcome.as_deref(), change.as_str()) {
        (Some("done"), "added") => format!("{id}: added, and ready"),
        (Some("done"), "removed") => format!("{id}: removed"),
        (Some("done"), "restart") => format!("{id}: a new instance is in force"),
        (Some("done"), _) => format!("{id}: changed in place"),
        (Some("held"), _) => format!("{id}: its new settings are in force, and it waits{why}"),
        (Some("not_ready"), _) => {
            format!("{id}: its new settings are in force, and it is not ready{why}")
        }
        (Some("kept"), "added") => format!("{id}: not added{why}"),
        (Some("kept"), "removed") => format!("{id}: not removed{why}"),
        (Some("kept"), _) => format!("{id}: keeps its old settings{why}"),
        _ => format!("{id}: the daemon stopped before"),
    }
}

#[cfg(test)]
mod tests {
    use mainstay_admin::api::configuration::{Reload, ReloadNode};

    use super::{ended, plan};

    fn node(change: &str, outcome: Option<&str>, reason: Option<&str>) -> ReloadNode {
        ReloadNode {
            node: "server:files".parse().unwrap(),
            change: change.to_owned(),
            keys: vec!["env.KEY".to_owned()],
            doing: None,
            outcome: outcome.map(str::to_owned),
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn a_plan_names_keys_and_what_waits() {
        assert_eq!(plan(&Reload::default()), ["nothing changes"]);
        let report = Reload {
            nodes: vec![node("added", None, None), node("restart", None, None)],
            settings: vec!["gateway.names".to_owned()],
            waits_for_restart: vec!["gateway.listen".to_owned()],
            ..Reload::default()
        };
        assert_eq!(
            plan(&report),
            [
                "+ server files is added",
                "~ server files is restarted: env.KEY",
                "~ gateway.names changes in place",
                "~ gateway.listen waits for a restart of the daemon",
            ]
        );
    }

    #[test]
    fn an_end_says_what_is_in_force_and_why() {
        for (change, outcome, reason, expected) in [
            ("restart", "done", None, "server:files: a new instance is in force"),
            (
                "restart",
                "kept",
                Some("it exited"),
                "server:files: keeps its old settings: it exited",
            ),
            (
                "added",
                "not_ready",
                Some("it exited"),
                "server:files: its new settings are in force, and it is not ready: it exited",
            ),
        ] {
            assert_eq!(ended(&node(change, Some(outcome), reason)), expected);
        }
    }
}
