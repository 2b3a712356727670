//! Random schedules: whatever happens in whatever order, some things always hold.

use std::time::{Duration, Instant};

use mainstay_model::settings::RestartRule;
use mainstay_model::status::InstanceState;
use proptest::prelude::*;

use super::{CrashLoop, Effect, Lifecycle, LifecycleEvent, RestartPolicy, RunEvent, RunNo};
use crate::backoff::Backoff;

/// One step of a schedule: how long nothing happens, then what does.
#[derive(Debug, Clone)]
struct Step {
    pause: Duration,
    happening: Happening,
}

#[derive(Debug, Clone)]
enum Happening {
    Start,
    Resume,
    Stop,
    Stopped,
    Wanted,
    Unused,
    Tick,
    /// A tick exactly when the machine asked for one.
    Due,
    /// An event of a run, so many before the present one.
    Heard {
        lives_ago: u64,
        news: RunEvent,
    },
}

/// The world around the machine, as its effects make it.
struct World {
    lifecycle: Lifecycle,
    limits: RestartPolicy,
    now: Instant,
    alive: Option<RunNo>,
    gate_open: bool,
    /// Restarts since the last start by hand.
    restarts: Vec<Instant>,
}

impl World {
    fn new(limits: RestartPolicy) -> Self {
        let now = Instant::now();
        let lifecycle = Lifecycle::new(limits, now);
        Self { lifecycle, limits, now, alive: None, gate_open: false, restarts: Vec::new() }
    }

    fn take(&mut self, step: Step) {
        self.now += step.pause;
        let started = matches!(step.happening, Happening::Start);
        let finished = matches!(
            step.happening,
            Happening::Wanted
                | Happening::Resume
                | Happening::Heard { news: RunEvent::Finished { .. }, .. }
        );
        let event = match step.happening {
            Happening::Start => LifecycleEvent::Start,
            Happening::Resume => LifecycleEvent::Resume,
            Happening::Stop => LifecycleEvent::Stop,
            Happening::Stopped => LifecycleEvent::Stopped,
            Happening::Wanted => LifecycleEvent::Wanted,
            Happening::Unused => LifecycleEvent::Unused { reason: String::new() },
            Happening::Tick => LifecycleEvent::Tick,
            Happening::Due => {
                self.now = self.now.max(self.lifecycle.next_deadline().unwrap_or(self.now));
                LifecycleEvent::Tick
            }
            Happening::Heard { lives_ago, news } => {
                let run_no = self.lifecycle.run_no().0.saturating_sub(lives_ago);
                LifecycleEvent::Heard(RunNo(run_no), news)
            }
        };
        let before = self.lifecycle.state();
        let mut effects = Vec::new();
        let outcome = self.lifecycle.step(self.now, event, &mut effects);
        if outcome.is_err() {
            assert_eq!(self.lifecycle.state(), before, "a refused event changes nothing");
            assert!(effects.is_empty(), "a refused event has no effect");
        }
        let was_loss =
            !matches!(before, InstanceState::Ready | InstanceState::Idle | InstanceState::Stopped);
        for effect in effects {
            self.carry_out(effect, started, finished && !was_loss);
        }
        self.check();
    }

    /// Carries out an effect. `revived` tells whether a start is wanted, or follows an end without an error.
    fn carry_out(&mut self, effect: Effect, started: bool, revived: bool) {
        match effect {
            Effect::Spawn(run_no) => {
                assert_eq!(self.alive, None, "spawned while another run was not ended");
                self.alive = Some(run_no);
                if started {
                    self.restarts.clear();
                } else if !revived {
                    self.restarts.push(self.now);
                }
            }
            Effect::Handshake => assert!(self.alive.is_some()),
            Effect::OpenGate => {
                assert!(self.alive.is_some() && !self.gate_open);
                self.gate_open = true;
            }
            Effect::ShutGate => {
                assert!(self.gate_open, "shut a gate that was not open");
                self.gate_open = false;
            }
            Effect::Kill => {
                assert!(!self.gate_open, "killed while calls could come in");
                self.alive = None;
            }
        }
    }

    fn check(&self) {
        use InstanceState::{
            BackingOff, CrashLooping, Failed, Handshaking, Ready, Starting, Unhealthy,
        };
        let state = self.lifecycle.state();
        assert_eq!(self.gate_open, state == Ready, "the gate is open exactly while ready");
        let lives = matches!(state, Starting | Handshaking | Ready | Unhealthy);
        assert_eq!(self.alive.is_some(), lives, "{state:?}");
        if let Some(run_no) = self.alive {
            assert_eq!(run_no, self.lifecycle.run_no());
        }
        let waits = match state {
            BackingOff | CrashLooping => true,
            Failed => self.limits.rule != RestartRule::Never,
            _ => false,
        };
        assert_eq!(self.lifecycle.retry_at().is_some(), waits, "{state:?}");
        if waits || matches!(state, Starting | Handshaking) {
            assert!(self.lifecycle.next_deadline().is_some(), "{state:?} would last for ever");
        }
        let Some(crash_loop) = self.limits.crash_loop else {
            assert_ne!(state, CrashLooping, "these limits have no crash loop");
            assert!(!self.lifecycle.is_crash_looping());
            return assert_eq!(self.lifecycle.history.kept(), 0, "restarts are kept for nothing");
        };
        let most = usize::from(crash_loop.restarts_max) + 1;
        assert!(
            self.lifecycle.history.kept() <= most,
            "{} restarts kept",
            self.lifecycle.history.kept()
        );
        if let Some(last) = self.restarts.last() {
            let within = |at: &&Instant| *last - **at < crash_loop.window;
            let count = self.restarts.iter().filter(within).count();
            assert!(count <= most, "{count} restarts in one window");
        }
    }
}

/// The limits of processes, of remote servers (which never crash-loop), and those between.
fn limits() -> impl Strategy<Value = RestartPolicy> {
    let processes =
        any::<u64>().prop_map(|seed| RestartPolicy::new(Duration::from_secs(120), seed));
    let backoff = Backoff::try_new(Duration::from_millis(250), Duration::from_secs(2));
    let remote = (processes.clone(), Just(backoff.expect("valid")))
        .prop_map(|(limits, backoff)| RestartPolicy { backoff, crash_loop: None, ..limits });
    let others =
        (processes.clone(), any::<u8>()).prop_map(|(limits, restarts_max)| RestartPolicy {
            crash_loop: Some(CrashLoop { restarts_max, ..CrashLoop::default() }),
            ..limits
        });
    let rule = prop::sample::select(vec![
        RestartRule::Always,
        RestartRule::Always,
        RestartRule::OnFailure,
        RestartRule::Never,
    ]);
    let kinds = prop_oneof![2 => processes, 2 => remote, 1 => others];
    (kinds, rule, prop::bool::weighted(0.2)).prop_map(|(limits, rule, is_job)| RestartPolicy {
        rule,
        is_job,
        ..limits
    })
}

fn happening() -> impl Strategy<Value = Happening> {
    let reason = String::new;
    let news = prop_oneof![
        4 => Just(RunEvent::Spawned),
        4 => Just(RunEvent::Ready),
        4 => Just(RunEvent::Lost { reason: reason() }),
        2 => any::<bool>().prop_map(|served| RunEvent::Finished { reason: String::new(), served }),
        1 => Just(RunEvent::Exited { reason: reason() }),
        2 => Just(RunEvent::Unfit { reason: reason() }),
        2 => Just(RunEvent::Fit),
        1 => Just(RunEvent::NotYet { reason: reason() }),
        1 => Just(RunEvent::Unserveable { reason: reason() }),
    ];
    prop_oneof![
        2 => Just(Happening::Start),
        1 => Just(Happening::Resume),
        1 => Just(Happening::Stop),
        1 => Just(Happening::Stopped),
        2 => Just(Happening::Wanted),
        1 => Just(Happening::Unused),
        2 => Just(Happening::Tick),
        8 => Just(Happening::Due),
        12 => (prop_oneof![6 => Just(0u64), 1 => 1..4u64], news)
            .prop_map(|(lives_ago, news)| Happening::Heard { lives_ago, news }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let pause = prop_oneof![6 => Just(0u64), 3 => 0..5_000u64, 1 => 0..400_000u64];
    (pause, happening())
        .prop_map(|(ms, happening)| Step { pause: Duration::from_millis(ms), happening })
}

proptest! {
    #[test]
    fn whatever_happens_the_rules_hold(
        limits in limits(),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new(limits);
        world.take(Step { pause: Duration::ZERO, happening: Happening::Start });
        for step in steps {
            world.take(step);
        }
    }

    /// Nobody but the clock and a server that dies as soon as it can: the worst case for a
    /// machine that restarts things.
    #[test]
    fn a_server_that_always_dies_is_tried_rarely(
        seed in any::<u64>(),
        comes_up in prop::collection::vec(0..3usize, 60),
    ) {
        let limits = RestartPolicy::new(Duration::from_secs(120), seed);
        let mut world = World::new(limits);
        let begin = world.now;
        let at_once = |happening| Step { pause: Duration::ZERO, happening };
        world.take(at_once(Happening::Start));
        for far in comes_up {
            for news in [RunEvent::Spawned, RunEvent::Ready].into_iter().take(far) {
                world.take(at_once(Happening::Heard { lives_ago: 0, news }));
            }
            let lost = RunEvent::Lost { reason: String::new() };
            world.take(at_once(Happening::Heard { lives_ago: 0, news: lost }));
            if world.lifecycle.state() != InstanceState::Starting {
                world.take(at_once(Happening::Due));
            }
        }
        let crash_loop = limits.crash_loop.expect("processes have one");
        let windows = (world.now - begin).as_secs() / crash_loop.window.as_secs();
        let bound = windows + 2 + u64::from(crash_loop.restarts_max);
        prop_assert!(world.lifecycle.restarts() <= bound, "{} > {bound}", world.lifecycle.restarts());
        prop_assert!(world.lifecycle.is_crash_looping());
    }

    /// Nobody but the clock, and a server that never finishes its handshake, whatever its time limit.
    #[test]
    fn a_server_that_never_finishes_its_handshake_crash_loops(
        seed in any::<u64>(),
        start_secs in 1..3600u64,
        spawns in prop::collection::vec(any::<bool>(), 20),
    ) {
        let limits = RestartPolicy::new(Duration::from_secs(start_secs), seed);
        let mut world = World::new(limits);
        let at_once = |happening| Step { pause: Duration::ZERO, happening };
        world.take(at_once(Happening::Start));
        for (at, spawns) in spawns.into_iter().enumerate() {
            if spawns {
                world.take(at_once(Happening::Heard { lives_ago: 0, news: RunEvent::Spawned }));
            }
            world.take(at_once(Happening::Due));
            let looping = world.lifecycle.state() == InstanceState::CrashLooping;
            prop_assert_eq!(looping, at >= 2, "after start {}", at + 1);
            world.take(at_once(Happening::Due));
            prop_assert_eq!(world.lifecycle.state(), InstanceState::Starting);
        }
    }

    /// A server that ends itself whenever it has nothing to do: it is never lost, and starts as often as
    /// it is wanted, with one restart beyond.
    #[test]
    fn a_server_that_ends_itself_when_idle_is_started_when_it_is_wanted(
        seed in any::<u64>(),
        revivals_max in 0..3u8,
        ready_for in prop::collection::vec((1_000..1_000_000u64, any::<bool>()), 1..100),
    ) {
        let limits =
            RestartPolicy { revivals_max, ..RestartPolicy::new(Duration::from_secs(120), seed) };
        let mut world = World::new(limits);
        let at_once = |happening| Step { pause: Duration::ZERO, happening };
        let heard = |news| at_once(Happening::Heard { lives_ago: 0, news });
        world.take(at_once(Happening::Start));
        for (ms, ends_itself) in ready_for {
            if world.lifecycle.state() == InstanceState::Idle {
                world.take(Step { pause: Duration::from_secs(3600), happening: Happening::Tick });
                prop_assert_eq!(world.lifecycle.state(), InstanceState::Idle, "nobody wants it");
                world.take(at_once(Happening::Wanted));
            }
            world.take(heard(RunEvent::Spawned));
            world.take(heard(RunEvent::Ready));
            prop_assert_eq!(world.lifecycle.state(), InstanceState::Ready);
            world.take(Step { pause: Duration::from_millis(ms), happening: Happening::Tick });
            world.take(match ends_itself {
                true => heard(RunEvent::Finished { reason: String::new(), served: false }),
                false => at_once(Happening::Unused),
            });
            prop_assert!(!world.lifecycle.is_crash_looping());
        }
        prop_assert!(world.lifecycle.restarts() <= u64::from(revivals_max));
    }

    /// A remote server that is away for days: tried again and again, and nothing grows by it.
    #[test]
    fn a_server_that_stays_away_is_tried_for_ever_and_costs_nothing(
        seed in any::<u64>(),
        comes_up in prop::collection::vec(0..3usize, 500),
    ) {
        let backoff = Backoff::try_new(Duration::from_millis(250), Duration::from_secs(2)).unwrap();
        let limits = RestartPolicy::new(Duration::from_secs(120), seed);
        let mut world = World::new(RestartPolicy { backoff, crash_loop: None, ..limits });
        let at_once = |happening| Step { pause: Duration::ZERO, happening };
        world.take(at_once(Happening::Start));
        for far in comes_up {
            for news in [RunEvent::Spawned, RunEvent::Ready].into_iter().take(far) {
                world.take(at_once(Happening::Heard { lives_ago: 0, news }));
            }
            let lost = RunEvent::Lost { reason: String::new() };
            world.take(at_once(Happening::Heard { lives_ago: 0, news: lost }));
            if world.lifecycle.state() != InstanceState::Starting {
                world.take(at_once(Happening::Due));
            }
        }
        prop_assert_eq!(world.lifecycle.restarts(), 500);
    }
}
