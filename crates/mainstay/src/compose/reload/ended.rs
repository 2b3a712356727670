//! Tells how a reload has ended: in the log, and as events of the daemon and of everything that changed.

use mainstay_admin::api::configuration::{ConfigurationProblem, Reload as Report, ReloadNode};
use mainstay_telemetry::Metrics;
use mainstay_telemetry::events::ConfigurationReloaded;

/// What is told about a whole reload, or about one node.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    is_in_force: bool,
    reason: String,
    /// Without output of servers, paths and lines of the configuration: events are seen by everybody who may read.
    brief: String,
}

/// Tells how a reload has ended. Nothing is told of one that had nothing to change.
pub(super) fn tell(report: &Report, metrics: &Metrics) {
    for node in &report.nodes {
        if let Some(Told { is_in_force, reason, brief }) = of_node(node) {
            let of = Some(&node.node.name);
            ConfigurationReloaded { of, is_in_force, reason, brief_reason: brief }.emit(metrics);
        }
    }
    let Some(told) = of_daemon(report) else { return };
    let (said, took_ms) = (&told.reason, report.took_ms);
    match report.outcome.as_deref() {
        // Each of its errors is in the log already.
        Some("refused" | "unread") => {}
        Some("incomplete") => {
            tracing::error!(target: "mainstay", took_ms, "configuration reloaded, {said}");
        }
        Some("interrupted") => tracing::info!(target: "mainstay", took_ms, "{said}"),
        _ => tracing::info!(target: "mainstay", took_ms, "configuration reloaded: {said}"),
    }
    let Told { is_in_force, reason, brief } = told;
    ConfigurationReloaded { of: None, is_in_force, reason, brief_reason: brief }.emit(metrics);
}

fn of_daemon(report: &Report) -> Option<Told> {
    let same =
        |is_in_force: bool, said: String| Told { is_in_force, brief: said.clone(), reason: said };
    Some(match report.outcome.as_deref()? {
        "unchanged" => return None,
        "refused" => refused(&report.problems),
        "unread" => same(false, "its disk or mount hangs: nothing changes".to_owned()),
        "interrupted" => same(false, "the daemon stopped during the reload".to_owned()),
        "incomplete" => same(true, format!("not all of it: {}", changes(report))),
        _ => same(true, changes(report)),
    })
}

fn refused(problems: &[ConfigurationProblem]) -> Told {
    let errors: Vec<_> = problems.iter().filter(|it| it.severity == "error").collect();
    let count = match errors.len() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    };
    let brief = format!("the configuration has {count}: nothing changes");
    let first = errors.first().map(|error| first_words(&error.text));
    let reason = match first.filter(|first| !first.is_empty()) {
        Some(first) => format!("{brief}: {first}"),
        None => brief.clone(),
    };
    Told { is_in_force: false, reason, brief }
}

/// A problem in a line: its place and its first line, without the part of the file below it.
fn first_words(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// What changed: `server:a, group g; server:b keeps its old settings`.
fn changes(report: &Report) -> String {
    let ended = |words: &[&str]| -> Vec<String> {
        let nodes = report.nodes.iter();
        let nodes = nodes.filter(|it| it.outcome.as_deref().is_some_and(|it| words.contains(&it)));
        nodes.map(|it| it.node.to_string()).collect()
    };
    let groups = report.groups.iter().map(|group| {
        format!("group {}", group.split_once(':').map_or(group.as_str(), |(name, _)| name))
    });
    let changed = ended(&["done", "held"]).into_iter().chain(groups);
    let changed = changed.chain(report.order.then(|| "the order of servers".to_owned()));
    let changed: Vec<_> = changed.chain(report.settings.iter().cloned()).collect();
    let mut parts = Vec::new();
    if !changed.is_empty() {
        parts.push(changed.join(", "));
    }
    let with = |nodes: Vec<String>, is: &'static str| {
        nodes.into_iter().map(move |it| format!("{it} {is}"))
    };
    parts.extend(with(ended(&["kept"]), "keeps its old settings"));
    parts.extend(with(ended(&["not_ready"]), "is not ready"));
    if !report.waits_for_restart.is_empty() {
        let keys = report.waits_for_restart.join(", ");
        parts.push(format!("waiting for a restart of the daemon: {keys}"));
    }
    parts.join("; ")
}

fn of_node(node: &ReloadNode) -> Option<Told> {
    let ReloadNode { change, keys, outcome, reason, .. } = node;
    let keys = match keys.as_slice() {
        [] => String::new(),
        keys => format!(": {}", keys.join(", ")),
    };
    let (is_in_force, brief) = match (outcome.as_deref()?, change.as_str()) {
        ("done", "added") => (true, "added".to_owned()),
        ("done", "removed") => (true, "removed".to_owned()),
        ("done", "restart") => (true, format!("a new instance is in force{keys}")),
        ("done", _) => (true, format!("changed in place{keys}")),
        ("held", _) => (true, format!("its new settings are in force, and it waits{keys}")),
        ("not_ready", _) => {
            (true, format!("its new settings are in force, and it is not ready{keys}"))
        }
        ("kept", "added") => (false, "not added".to_owned()),
        ("kept", "removed") => (false, "not removed".to_owned()),
        ("kept", _) => (false, format!("it keeps its old settings{keys}")),
        _ => (false, "the daemon stopped before it was changed".to_owned()),
    };
    let reason = match reason {
        Some(reason) => format!("{brief}; {reason}"),
        None => brief.clone(),
    };
    Some(Told { is_in_force, reason, brief })
}

#[cfg(test)]
mod tests {
    use super::{ConfigurationProblem, ReloadNode, Report, Told, of_daemon, of_node};

    fn node(change: &str, outcome: &str, reason: Option<&str>) -> ReloadNode {
        ReloadNode {
            node: "server:a".parse().unwrap(),
            change: change.to_owned(),
            keys: vec!["env.K".to_owned()],
            doing: None,
            outcome: Some(outcome.to_owned()),
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn a_wrong_configuration_is_told_with_its_first_error() {
        let problem = |text: &str| ConfigurationProblem {
            severity: "error".to_owned(),
            key: String::new(),
            text: text.to_owned(),
        };
        let outcome = Some("refused".to_owned());
        let mut report =
            Report { outcome, problems: vec![problem("m.toml:3: no\n  x")], ..Report::default() };
        let brief = "the configuration has 1 error: nothing changes".to_owned();
        let reason = format!("{brief}: m.toml:3: no");
        assert_eq!(of_daemon(&report), Some(Told { is_in_force: false, reason, brief }));
        report.problems.push(problem("more"));
        let told = of_daemon(&report).unwrap();
        assert_eq!(told.brief, "the configuration has 2 errors: nothing changes");
    }

    #[test]
    fn what_changed_and_what_did_not_is_told() {
        let report = Report {
            outcome: Some("incomplete".to_owned()),
            nodes: vec![node("in_place", "done", None), node("restart", "kept", Some("secret"))],
            ..Report::default()
        };
        let told = of_daemon(&report).unwrap();
        assert_eq!(told.reason, "not all of it: server:a; server:a keeps its old settings");
        let told = report.nodes.iter().map(|node| of_node(node).unwrap());
        let told: Vec<_> = told.map(|it| (it.is_in_force, it.reason, it.brief)).collect();
        assert_eq!(told[0].1, "changed in place: env.K");
        assert_eq!(told[1].1, "it keeps its old settings: env.K; secret");
        assert_eq!(told[1].2, "it keeps its old settings: env.K");
        assert_eq!((told[0].0, told[1].0), (true, false));
        assert_eq!(
            of_daemon(&Report { outcome: Some("unchanged".to_owned()), ..Report::default() }),
            None
        );
    }
}
