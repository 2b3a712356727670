use std::time::{Duration, Instant};

use mainstay_model::{ChangeKind, Condition, Name};
use proptest::prelude::*;

use super::{Notices, PAUSE, Rule, Seen, Telling};
use Condition::{CrashLoop, Failed, Idle, NotReady, Ready, Starting};

fn name(text: &str) -> Name {
    Name::try_new(text).unwrap()
}

fn rule(on: &[ChangeKind], servers: Option<&[&str]>) -> Rule {
    let servers = servers.map(|servers| servers.iter().map(|server| name(server)).collect());
    Rule { on: on.iter().copied().collect(), servers }
}

fn everything() -> Rule {
    use ChangeKind::{Back, CrashLoop, Degraded, Failed, NotReady};
    rule(&[CrashLoop, NotReady, Failed, Degraded, Back], None)
}

struct Scene {
    notices: Notices,
    begin: Instant,
    state: Condition,
}

impl Scene {
    fn new(rules: Vec<Rule>) -> Self {
        Self { notices: Notices::new(rules), begin: Instant::now(), state: Ready }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.begin + Duration::from_secs(seconds)
    }

    fn change(&mut self, seconds: u64, to: Condition) -> Vec<Telling> {
        let from = std::mem::replace(&mut self.state, to);
        let reason = Some(format!("reason at {seconds}"));
        let seen = Seen { server: name("files"), from, to, reason };
        self.notices.see(self.at(seconds), &seen)
    }

    fn due(&mut self, seconds: u64) -> Vec<Telling> {
        self.notices.due(self.at(seconds))
    }
}

/// The event, the condition and the number of changes left out of the one telling.
#[track_caller]
fn only(tellings: &[Telling]) -> (ChangeKind, Condition, u64) {
    assert_eq!(tellings.len(), 1, "{tellings:?}");
    (tellings[0].event, tellings[0].to, tellings[0].left_out)
}

#[test]
fn the_first_change_is_told_at_once_and_what_follows_after_a_minute() {
    let mut scene = Scene::new(vec![everything()]);
    assert_eq!(only(&scene.change(0, NotReady)), (ChangeKind::NotReady, NotReady, 0));
    assert_eq!(scene.notices.next_deadline(), None);
    assert_eq!(scene.change(31, CrashLoop), []);
    assert_eq!(scene.notices.next_deadline(), Some(scene.at(60)));
    assert_eq!(scene.due(59), []);
    let told = scene.due(60);
    assert_eq!(only(&told), (ChangeKind::CrashLoop, CrashLoop, 0));
    assert_eq!((told[0].from, told[0].reason.as_deref()), (NotReady, Some("reason at 31")));
    assert_eq!((scene.due(500), scene.notices.next_deadline()), (vec![], None));
    assert_eq!(only(&scene.change(500, Ready)), (ChangeKind::Back, Ready, 0));
}

#[test]
fn a_flap_that_ends_where_it_began_says_so() {
    let mut scene = Scene::new(vec![everything()]);
    scene.change(0, NotReady);
    for (seconds, to) in [(5, Ready), (10, NotReady), (15, Ready), (20, NotReady)] {
        assert_eq!(scene.change(seconds, to), []);
    }
    let told = scene.due(60);
    assert_eq!(only(&told), (ChangeKind::NotReady, NotReady, 3));
    assert_eq!(told[0].from, NotReady);
}

#[test]
fn what_is_told_is_the_state_at_that_time() {
    let mut scene = Scene::new(vec![rule(&[ChangeKind::CrashLoop], None)]);
    assert_eq!(scene.change(0, NotReady), [], "nobody asked");
    assert_eq!(only(&scene.change(30, CrashLoop)), (ChangeKind::CrashLoop, CrashLoop, 0));
    scene.change(40, Ready);
    scene.change(41, NotReady);
    scene.change(50, CrashLoop);
    scene.change(55, Ready);
    assert_eq!(only(&scene.due(90)), (ChangeKind::CrashLoop, Ready, 0));
}

#[test]
fn starts_rests_and_stops_are_told_to_nobody() {
    let mut scene = Scene::new(vec![everything()]);
    for to in [Starting, Ready, Idle, Starting, Ready, Condition::Stopped] {
        assert_eq!(scene.change(0, to), []);
    }
    assert_eq!(scene.notices.next_deadline(), None);
}

#[test]
fn rules_and_servers_do_not_wait_for_each_other() {
    let files = rule(&[ChangeKind::Failed], Some(&["files"]));
    let others = rule(&[ChangeKind::Failed], Some(&["time"]));
    let mut notices = Notices::new(vec![files, others, everything()]);
    let now = Instant::now();
    let told = |notices: &mut Notices, server| {
        let seen = Seen { server: name(server), from: Ready, to: Failed, reason: None };
        let told = notices.see(now, &seen);
        told.into_iter().map(|telling| telling.rule).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut notices, "files"), [0, 2]);
    assert_eq!(told(&mut notices, "time"), [1, 2]);
    assert!(told(&mut notices, "files").is_empty());
}

#[test]
fn the_breaker_of_a_server_is_told_apart_from_its_state() {
    use Condition::{BreakerClosed, BreakerHalfOpen, BreakerOpen};
    let mut notices = Notices::new(vec![rule(&[ChangeKind::Breaker, ChangeKind::NotReady], None)]);
    let now = Instant::now();
    let told = |notices: &mut Notices, from, to| {
        let seen = Seen { server: name("files"), from, to, reason: None };
        let told = notices.see(now, &seen);
        told.into_iter().map(|telling| (telling.from, telling.to)).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut notices, BreakerClosed, BreakerOpen), [(BreakerClosed, BreakerOpen)]);
    assert_eq!(told(&mut notices, Ready, NotReady), [(Ready, NotReady)]);
    assert_eq!(told(&mut notices, BreakerOpen, BreakerHalfOpen), []);
    assert_eq!(told(&mut notices, BreakerHalfOpen, BreakerClosed), [], "within the minute");
    let later = notices.due(now + PAUSE);
    assert_eq!(later.len(), 1);
    assert_eq!((later[0].from, later[0].to), (BreakerHalfOpen, BreakerClosed));
}

proptest! {
    /// Whatever happens: no rule is told twice within a minute, each change is told or counted, and the last
    /// one is told.
    #[test]
    fn each_change_is_told_or_counted_and_the_last_one_is_true(
        steps in prop::collection::vec((0..90u64, 0..5usize), 1..200),
    ) {
        let all = [Ready, NotReady, CrashLoop, Failed, Starting];
        let mut scene = Scene::new(vec![everything()]);
        let rule = everything();
        let (mut now, mut wanted, mut told) = (0, 0, Vec::new());
        let mut last = None;
        for (pause, to) in steps {
            now += pause;
            if scene.notices.next_deadline().is_some_and(|at| at <= scene.at(now)) {
                told.extend(scene.due(now).into_iter().map(|telling| (now, telling)));
            }
            let (from, to) = (scene.state, all[to]);
            if from == to {
                continue;
            }
            if rule.on.contains(&ChangeKind::of(from, to)) {
                wanted += 1;
                last = Some(ChangeKind::of(from, to));
            }
            told.extend(scene.change(now, to).into_iter().map(|telling| (now, telling)));
        }
        now += PAUSE.as_secs();
        let end = scene.due(now);
        told.extend(end.into_iter().map(|telling| (now, telling)));
        prop_assert!(told.is_sorted_by(|one, next| one.0 + PAUSE.as_secs() <= next.0), "{told:?}");
        prop_assert_eq!(told.iter().map(|(_, telling)| telling.left_out + 1).sum::<u64>(), wanted);
        prop_assert_eq!(told.last().map(|(_, telling)| telling.event), last);
        prop_assert_eq!(scene.notices.next_deadline(), None);
    }
}
