//! What is told about servers that start, crash, rest and come back: the lifecycle decides, the watch looks.

use std::time::{Duration, Instant};

use mainstay_model::status::InstanceState;
use mainstay_model::{ChangeKind, Condition, InstanceId};
use proptest::prelude::*;

use super::{ServerWatch, Sight};
use crate::lifecycle::{Lifecycle, LifecycleEvent, RestartPolicy, RunEvent};

struct Server {
    lifecycle: Lifecycle,
    watch: ServerWatch,
    now: Instant,
    told: Vec<String>,
}

impl Server {
    fn new() -> Self {
        let now = Instant::now();
        let lifecycle = Lifecycle::new(RestartPolicy::default(), now);
        Self { lifecycle, watch: ServerWatch::new(now), now, told: Vec::new() }
    }

    fn step(&mut self, event: LifecycleEvent) {
        let finished = matches!(event, LifecycleEvent::Heard(_, RunEvent::Finished { .. }));
        let before = self.watch.told();
        // An event that the state does not allow changes nothing.
        let _ = self.lifecycle.step(self.now, event, &mut Vec::new());
        let shift = self.watch.see_primary(self.now, Sight::of(&self.lifecycle, finished));
        if let Some(shift) = shift {
            assert_eq!(shift.from, before);
            assert_ne!(shift.from, shift.to);
            self.told.push(ChangeKind::of(shift.from, shift.to).as_str().to_owned());
        }
        assert_eq!(shift.map_or(before, |shift| shift.to), self.watch.told());
    }

    fn hear(&mut self, event: RunEvent) {
        self.step(LifecycleEvent::Heard(self.lifecycle.run_no(), event));
    }

    fn up(&mut self) {
        self.hear(RunEvent::Spawned);
        self.hear(RunEvent::Ready);
    }

    fn lose(&mut self) {
        self.hear(RunEvent::Lost { reason: "it died".to_owned() });
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.step(LifecycleEvent::Tick);
    }

    /// Lets it die at once whenever it is started.
    fn die_for(&mut self, starts: usize) {
        for _ in 0..starts {
            self.lose();
            if let Some(at) = self.lifecycle.retry_at() {
                self.now = at;
                self.step(LifecycleEvent::Tick);
            }
        }
    }

    #[track_caller]
    fn told(&mut self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut self.told), expected);
    }
}

#[test]
fn a_server_that_is_killed_is_not_ready_and_then_back() {
    let mut server = Server::new();
    server.step(LifecycleEvent::Start);
    server.up();
    server.told(&["starting", "ready"]);
    server.wait(100);
    server.lose();
    server.told(&["not-ready"]);
    server.up();
    server.told(&["back"]);
}

#[test]
fn a_server_that_fails_once_at_its_start_is_told_too() {
    let mut server = Server::new();
    server.step(LifecycleEvent::Start);
    server.die_for(1);
    server.up();
    server.told(&["starting", "not-ready", "back"]);
}

/// The coordination server of the field reports crashed 109,000 times, and nobody saw it: one line among
/// hundreds of thousands that all looked alike.
#[test]
fn a_crash_loop_of_109_000_starts_is_told_once() {
    let mut server = Server::new();
    server.step(LifecycleEvent::Start);
    server.die_for(109_000);
    server.told(&["starting", "not-ready", "crash-loop"]);
    server.up();
    server.told(&["back"]);
}

#[test]
fn a_server_that_can_not_be_served_stays_failed_while_it_is_tried() {
    let mut server = Server::new();
    server.step(LifecycleEvent::Start);
    for _ in 0..3 {
        server.hear(RunEvent::Unserveable { reason: "no such program".to_owned() });
        server.wait(300);
    }
    server.told(&["starting", "failed"]);
    server.up();
    server.told(&["back"]);
}

#[test]
fn a_server_that_ends_itself_or_rests_is_in_no_trouble() {
    let mut server = Server::new();
    server.step(LifecycleEvent::Start);
    server.up();
    server.wait(10);
    let finished = || RunEvent::Finished { reason: "it ended itself".to_owned(), served: true };
    server.hear(finished());
    server.up();
    server.told(&["starting", "ready", "starting", "ready"]);
    server.wait(10);
    server.hear(finished());
    server.step(LifecycleEvent::Wanted);
    server.up();
    server.told(&["idle", "starting", "ready"]);
    server.step(LifecycleEvent::Stop);
    server.told(&[]);
    server.step(LifecycleEvent::Stopped);
    server.told(&["stopped"]);
}

#[test]
fn another_instance_that_is_given_up_degrades_a_ready_server() {
    let mut server = Server::new();
    let (now, other) = (server.now, InstanceId(7));
    assert_eq!(server.watch.see_other(now, other, InstanceState::CrashLooping), None);
    server.step(LifecycleEvent::Start);
    server.up();
    server.told(&["starting", "degraded"]);
    let shift = server.watch.forget(now, other).unwrap();
    assert_eq!((shift.from, shift.to), (Condition::Degraded, Condition::Ready));
    for state in [InstanceState::BackingOff, InstanceState::Starting, InstanceState::Ready] {
        assert_eq!(server.watch.see_other(now, other, state), None, "it comes and goes");
    }
    let later = now + Duration::from_secs(9);
    let shift = server.watch.see_other(later, other, InstanceState::Failed).unwrap();
    assert_eq!((shift.to, shift.because_of), (Condition::Degraded, Some(other)));
    assert_eq!(shift.lasted, Duration::from_secs(9));
    // A try does not end it, success does.
    assert_eq!(server.watch.see_other(later, other, InstanceState::Starting), None);
    let shift = server.watch.see_other(later, other, InstanceState::Ready).unwrap();
    assert_eq!(shift.to, Condition::Ready);
    // The server itself counts more.
    server.watch.see_other(later, other, InstanceState::Failed);
    server.lose();
    server.told(&["not-ready"]);
}

fn happening() -> impl Strategy<Value = LifecycleEvent> {
    let own = |event| {
        Just(LifecycleEvent::Heard(
            Lifecycle::new(RestartPolicy::default(), Instant::now()).run_no(),
            event,
        ))
    };
    let reason = String::new;
    prop_oneof![
        2 => Just(LifecycleEvent::Start),
        1 => Just(LifecycleEvent::Stop),
        1 => Just(LifecycleEvent::Stopped),
        2 => Just(LifecycleEvent::Wanted),
        1 => Just(LifecycleEvent::Unused { reason: reason() }),
        4 => own(RunEvent::Spawned),
        4 => own(RunEvent::Ready),
        4 => own(RunEvent::Lost { reason: reason() }),
        2 => any::<bool>().prop_flat_map(move |served| own(RunEvent::Finished { reason: reason(), served })),
        1 => own(RunEvent::Unserveable { reason: reason() }),
        6 => Just(LifecycleEvent::Tick),
    ]
}

/// A server that was lost waits for its need, starts anew, and is back.
#[test]
fn a_server_that_waited_for_a_need_is_back_after_trouble() {
    let now = Instant::now();
    let mut watch = ServerWatch::new(now);
    let lifecycle = Lifecycle::new(RestartPolicy::default(), now);
    let sight = |state| Sight { state, ..Sight::of(&lifecycle, false) };
    let mut told = Vec::new();
    for state in [
        InstanceState::Ready,
        InstanceState::BackingOff,
        InstanceState::Waiting,
        InstanceState::Starting,
        InstanceState::Ready,
    ] {
        told.extend(watch.see_primary(now, sight(state)).map(|shift| (shift.from, shift.to)));
    }
    assert_eq!(told.last(), Some(&(Condition::NotReady, Condition::Ready)));
}

proptest! {
    /// What was told last is what the lifecycle shows, and a server that is ready is never told to be in
    /// trouble.
    #[test]
    fn what_is_told_is_what_is(steps in prop::collection::vec((0..400u64, happening()), 0..200)) {
        let mut server = Server::new();
        for (pause, event) in steps {
            server.now += Duration::from_secs(pause);
            match event {
                LifecycleEvent::Heard(_, event) => server.hear(event),
                event => server.step(event),
            }
            let told = server.watch.told();
            match server.lifecycle.state() {
                InstanceState::Ready | InstanceState::Done => {
                    prop_assert_eq!(told, Condition::Ready);
                }
                InstanceState::Degraded => prop_assert_eq!(told, Condition::Degraded),
                InstanceState::Waiting | InstanceState::Held => {
                    prop_assert_eq!(told, Condition::Waiting);
                }
                InstanceState::Idle => prop_assert_eq!(told, Condition::Idle),
                InstanceState::Stopped => prop_assert_eq!(told, Condition::Stopped),
                InstanceState::Failed => prop_assert_eq!(told, Condition::Failed),
                InstanceState::CrashLooping => prop_assert_eq!(told, Condition::CrashLoop),
                InstanceState::BackingOff | InstanceState::Unhealthy => {
                    prop_assert_eq!(told, Condition::NotReady);
                }
                InstanceState::Draining => {}
                InstanceState::Starting | InstanceState::Handshaking => {
                    prop_assert!(told == Condition::Starting || told.is_trouble(), "{:?}", told);
                }
            }
        }
    }
}
