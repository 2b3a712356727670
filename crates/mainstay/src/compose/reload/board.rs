//! What is known about reloads, for the status and for those who wait for one.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use mainstay_admin::View;
use mainstay_admin::api::configuration::{
    AskedReload, Configuration, ConfigurationProblem, Reload as Report, ReloadNode,
};
use mainstay_config::diff::{Change, ChangeKind, Effect};
use mainstay_config::{Plan, Problem, Severity};
use mainstay_model::settings::{ReloadChoice, Settings};
use mainstay_model::{Need, NodeKind};
use mainstay_supervisor::reload::{Reload, ReloadOutcome};

use super::super::nodes::date_of;
use super::AskedBy;
use super::read::Unread;

/// Reports that are kept, for those who wait for one.
const REPORTS_MAX: usize = 32;

/// What is known about reloads.
#[derive(Debug)]
pub(super) struct Board {
    file: Option<PathBuf>,
    choice: ReloadChoice,
    read_at: SystemTime,
    /// The state of the files that is in force, and the one that was read last.
    print: u64,
    tried: u64,
    /// The newest state of the files.
    newest: u64,
    pub(super) files: BTreeSet<PathBuf>,
    count: u64,
    next: Option<(u64, AskedBy)>,
    current: Option<(Report, Instant)>,
    /// The reloads that have ended, newest last.
    reports: VecDeque<Report>,
    /// The last one that had something to change.
    last_change: Option<Report>,
}

// === impl Board ===

impl Board {
    pub(super) fn new(
        settings: &Settings,
        print: u64,
        files: BTreeSet<PathBuf>,
        file: Option<PathBuf>,
    ) -> Self {
        Self {
            file,
            choice: settings.gateway.reload,
            read_at: SystemTime::now(),
            print,
            tried: print,
            newest: print,
            files,
            count: 0,
            next: None,
            current: None,
            reports: VecDeque::new(),
            last_change: None,
        }
    }

    /// The number of the reload that is carried out for a wish.
    pub(super) fn ask(&mut self, by: AskedBy) -> u64 {
        if let Some((number, _)) = self.next {
            return number;
        }
        self.count += 1;
        self.next = Some((self.count, by));
        self.count
    }

    /// Begins the reload that waits.
    pub(super) fn begin(&mut self) -> Option<AskedBy> {
        let (number, by) = self.next.take()?;
        let report = Report {
            number,
            asked_by: by.as_str().to_owned(),
            began_at: date_of(SystemTime::now()),
            ..Report::default()
        };
        self.current = Some((report, Instant::now()));
        Some(by)
    }

    /// The report of the reload that is under way.
    pub(super) fn report(&self) -> Report {
        self.current.as_ref().map(|(report, _)| report.clone()).unwrap_or_default()
    }

    pub(super) fn set(&mut self, report: Report) {
        if let Some((current, _)) = &mut self.current {
            *current = report;
        }
    }

    /// The configuration could not be read.
    pub(super) fn unread(&mut self, error: &Unread) {
        if let Some((report, _)) = &mut self.current {
            report.problems = vec![ConfigurationProblem {
                severity: Severity::Error.as_str().to_owned(),
                key: String::new(),
                text: error.to_string(),
            }];
            report.outcome = Some("unread".to_owned());
        }
    }

    /// This state of the files was read.
    pub(super) fn tried(&mut self, print: u64, files: BTreeSet<PathBuf>) {
        (self.tried, self.newest, self.files) = (print, print, files);
    }

    /// What was read is valid.
    pub(super) fn read(&mut self, settings: &Settings) {
        self.print = self.tried;
        self.read_at = SystemTime::now();
        self.choice = settings.gateway.reload;
    }

    /// Takes note of the newest state of the files. Returns whether it was not read yet.
    pub(super) fn seen(&mut self, print: u64) -> bool {
        self.newest = print;
        self.is_untried(print)
    }

    pub(super) fn is_untried(&self, print: u64) -> bool {
        self.tried != print
    }

    /// Shows how far the reload is.
    pub(super) fn progress(&mut self, reload: &Reload) {
        let Some((report, _)) = &mut self.current else { return };
        for node in &mut report.nodes {
            let mut outcomes = reload.outcomes().filter(|(task, _)| task.id == node.node);
            let outcome = outcomes.find_map(|(_, outcome)| outcome);
            let doing = reload.under_way().find(|(task, _)| task.id == node.node);
            node.doing = doing.map(|(_, word)| word.to_owned());
            node.outcome = outcome.map(|outcome| word(outcome).to_owned());
            node.reason = outcome.and_then(|outcome| match outcome {
                ReloadOutcome::Held(why)
                | ReloadOutcome::NotReady(why)
                | ReloadOutcome::Kept(why) => Some(why.clone()),
                ReloadOutcome::Done | ReloadOutcome::Interrupted => None,
            });
        }
    }

    /// How the reload that is under way has ended.
    pub(super) fn ended(&self) -> Option<Report> {
        let (mut report, begun) = self.current.clone()?;
        report.took_ms = millis(begun.elapsed());
        let ended = |word: &str| report.nodes.iter().any(|it| it.outcome.as_deref() == Some(word));
        let outcome = if report.is_unread() {
            "unread"
        } else if report.is_refused() {
            "refused"
        } else if ended("interrupted") {
            "interrupted"
        } else if ended("kept") || ended("not_ready") {
            "incomplete"
        } else if report.is_empty() {
            "unchanged"
        } else {
            "applied"
        };
        report.outcome = Some(outcome.to_owned());
        Some(report)
    }

    /// Nothing is under way any more, and this ended last.
    pub(super) fn end(&mut self, report: Report) {
        self.current = None;
        if !report.is_empty() {
            self.last_change = Some(report.clone());
        }
        if self.reports.len() == REPORTS_MAX {
            self.reports.pop_front();
        }
        self.reports.push_back(report);
    }

    /// The reload of this number.
    pub(super) fn find(&self, number: u64, view: View) -> AskedReload {
        if let Some(report) = self.reports.iter().find(|report| report.number == number) {
            return AskedReload::Ended(Box::new(viewed(report.clone(), view)));
        }
        let is_current = self.current.as_ref().is_some_and(|(it, _)| it.number == number);
        let is_next = self.next.is_some_and(|(next, _)| next == number);
        if is_current || is_next { AskedReload::UnderWay } else { AskedReload::Unknown }
    }

    pub(super) fn show(&self, view: View) -> Configuration {
        let viewed = |report: Report| viewed(report, view);
        let waiting = self.next.filter(|_| self.current.is_none()).map(|(number, by)| Report {
            number,
            asked_by: by.as_str().to_owned(),
            ..Report::default()
        });
        let current = self
            .current
            .as_ref()
            .map(|(report, begun)| Report { took_ms: millis(begun.elapsed()), ..report.clone() });
        let last = self.reports.back().map(|report| report.number);
        Configuration {
            file: self.file.as_ref().map(|file| file.display().to_string()),
            read_at: date_of(self.read_at),
            is_changed: self.newest != self.print,
            is_wrong: self.newest == self.tried && self.tried != self.print,
            reload: match self.choice {
                ReloadChoice::Manual => "manual".to_owned(),
                ReloadChoice::Watch => "watch".to_owned(),
            },
            current: current.or(waiting).map(viewed),
            last: self.reports.back().cloned().map(viewed),
            last_change: self.last_change.clone().filter(|it| Some(it.number) != last).map(viewed),
        }
    }
}

fn viewed(report: Report, view: View) -> Report {
    match view {
        View::Operator => report,
        View::Open => report.briefly(),
    }
}

/// Adds what changes to a report.
pub(super) fn show_plan(plan: &Plan, report: &mut Report) {
    let kinds = [
        (NodeKind::Server, &plan.servers),
        (NodeKind::Service, &plan.services),
        (NodeKind::Volume, &plan.volumes),
        (NodeKind::External, &plan.externals),
    ];
    let nodes = kinds.into_iter().flat_map(|(kind, changes)| {
        changes.iter().map(move |change| {
            let (word, keys) = change_word(&change.kind);
            let node = Need { kind, name: change.name.clone() };
            let change = word.to_owned();
            ReloadNode { node, change, keys, doing: None, outcome: None, reason: None }
        })
    });
    report.nodes = nodes.collect();
    let group = |Change { name, kind }: &Change| match change_word(kind) {
        (_, keys) if !keys.is_empty() => format!("{name}: {}", keys.join(", ")),
        (word, _) => format!("{name}: {word}"),
    };
    report.groups = plan.endpoints.iter().map(group).collect();
    report.order = plan.order.is_some();
    let keys = |needs_restart: bool| {
        let settings = plan.gateway.iter();
        let settings = settings.filter(move |it| it.needs_daemon_restart == needs_restart);
        settings.map(|it| it.key.clone()).collect()
    };
    (report.settings, report.waits_for_restart) = (keys(false), keys(true));
}

fn change_word(kind: &ChangeKind) -> (&'static str, Vec<String>) {
    match kind {
        ChangeKind::Added => ("added", Vec::new()),
        ChangeKind::Removed => ("removed", Vec::new()),
        ChangeKind::Changed { effect: Effect::InPlace, keys } => ("in_place", keys.clone()),
        ChangeKind::Changed { effect: Effect::Restart, keys } => ("restart", keys.clone()),
    }
}

/// A problem as the API has it.
pub(super) fn problem(problem: &Problem) -> ConfigurationProblem {
    ConfigurationProblem {
        severity: problem.severity.as_str().to_owned(),
        key: problem.key.clone(),
        text: problem.to_string(),
    }
}

fn word(outcome: &ReloadOutcome) -> &'static str {
    match outcome {
        ReloadOutcome::Done => "done",
        ReloadOutcome::Held(_) => "held",
        ReloadOutcome::NotReady(_) => "not_ready",
        ReloadOutcome::Kept(_) => "kept",
        ReloadOutcome::Interrupted => "interrupted",
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mainstay_admin::View;
    use mainstay_admin::api::configuration::{AskedReload, Reload as Report};
    use mainstay_config::{LoadRequest, Origin, StateDir, load};

    use super::super::read::Unread;
    use super::{AskedBy, Board, REPORTS_MAX};

    fn board() -> Board {
        let state = StateDir { path: "/var/lib/mainstay".into(), origin: Origin::Default };
        let settings = load(LoadRequest::new(state)).unwrap().settings;
        Board::new(&settings, 1, BTreeSet::new(), None)
    }

    fn end(board: &mut Board) {
        let report = board.ended().expect("one is under way");
        board.end(report);
    }

    fn outcome(board: &Board, number: u64) -> Option<String> {
        match board.find(number, View::Operator) {
            AskedReload::Ended(report) => report.outcome,
            AskedReload::UnderWay => Some("under way".to_owned()),
            AskedReload::Unknown => None,
        }
    }

    #[test]
    fn each_reload_is_found_by_its_number_also_when_others_have_ended_since() {
        let mut board = board();
        assert_eq!(board.ask(AskedBy::Command), 1);
        assert_eq!(board.begin(), Some(AskedBy::Command));
        let changed = Report { groups: vec!["g: added".to_owned()], ..board.report() };
        board.set(changed);
        assert_eq!(board.ask(AskedBy::Signal), 2);
        assert_eq!(board.ask(AskedBy::Command), 2, "it joins the one that waits");
        assert_eq!(outcome(&board, 1).as_deref(), Some("under way"));
        assert_eq!(outcome(&board, 2).as_deref(), Some("under way"));
        end(&mut board);
        board.begin();
        end(&mut board);
        assert_eq!(outcome(&board, 1).as_deref(), Some("applied"));
        assert_eq!(outcome(&board, 2).as_deref(), Some("unchanged"));
        assert_eq!(outcome(&board, 3), None);
        // A reload without a change does not hide what the last change left to do.
        let shown = board.show(View::Operator);
        assert_eq!(shown.last.map(|it| it.number), Some(2));
        assert_eq!(shown.last_change.map(|it| it.number), Some(1));
        for _ in 0..REPORTS_MAX {
            board.ask(AskedBy::Command);
            board.begin();
            end(&mut board);
        }
        assert_eq!(outcome(&board, 2), None, "the oldest are forgotten");
        assert_eq!(outcome(&board, 3).as_deref(), Some("unchanged"));
    }

    #[test]
    fn a_disk_that_hangs_does_not_make_the_configuration_wrong() {
        let mut board = board();
        board.ask(AskedBy::Change);
        board.begin();
        board.unread(&Unread::Hangs(std::time::Duration::from_secs(20)));
        end(&mut board);
        assert_eq!(outcome(&board, 1).as_deref(), Some("unread"));
        assert!(!board.show(View::Operator).last.unwrap().is_refused());
    }
}
