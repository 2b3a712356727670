//! The table of transitions as stories, one line a step: `event -> State effects`.
//!
//! Waits are without scatter, so they read as the contract writes them. `lost` and the other
//! news come from the present life; `stale-lost` from the one before it.

use std::time::{Duration, Instant};

use mainstay_model::settings::RestartRule;
use mainstay_model::status::InstanceState;

use super::{Effect, Lifecycle, LifecycleEvent, RestartPolicy, RunEvent, RunNo};

fn limits() -> RestartPolicy {
    RestartPolicy::default()
}

struct Story {
    lifecycle: Lifecycle,
    now: Instant,
}

fn check(limits: RestartPolicy, story: &str) {
    let now = Instant::now();
    let mut told = Story { lifecycle: Lifecycle::new(limits, now), now };
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (event, expected) = line.split_once("->").expect("event -> outcome");
        let outcome = told.take(event.trim());
        let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(outcome, expected, "in the line `{line}` of{story}");
    }
}

impl Story {
    fn take(&mut self, words: &str) -> String {
        let present = self.lifecycle.run_no();
        let before = RunNo(present.0 - u64::from(words.starts_with("stale-")));
        let reason = || "it died".to_owned();
        let event = match words.trim_start_matches("stale-") {
            "start" => LifecycleEvent::Start,
            "spawned" => LifecycleEvent::Heard(before, RunEvent::Spawned),
            "ready" => LifecycleEvent::Heard(before, RunEvent::Ready),
            "lost" => LifecycleEvent::Heard(before, RunEvent::Lost { reason: reason() }),
            "finished" | "served" => {
                let served = words == "served";
                LifecycleEvent::Heard(before, RunEvent::Finished { reason: reason(), served })
            }
            "wanted" => LifecycleEvent::Wanted,
            "unused" => LifecycleEvent::Unused { reason: reason() },
            "exited" => LifecycleEvent::Heard(before, RunEvent::Exited { reason: reason() }),
            "unfit" => LifecycleEvent::Heard(before, RunEvent::Unfit { reason: reason() }),
            "fit" => LifecycleEvent::Heard(before, RunEvent::Fit),
            "resume" => LifecycleEvent::Resume,
            "unserveable" => {
                LifecycleEvent::Heard(before, RunEvent::Unserveable { reason: reason() })
            }
            "stop" => LifecycleEvent::Stop,
            "stopped" => LifecycleEvent::Stopped,
            "tick" => LifecycleEvent::Tick,
            wait => {
                self.now += duration(wait.strip_prefix("wait ").expect("a known event"));
                LifecycleEvent::Tick
            }
        };
        let mut effects = Vec::new();
        match self.lifecycle.step(self.now, event, &mut effects) {
            Ok(()) => {
                effects.iter().fold(format!("{:?}", self.lifecycle.state()), |line, effect| {
                    format!("{line} {}", word(effect))
                })
            }
            Err(_) => format!("illegal in {:?}", self.lifecycle.state()),
        }
    }
}

fn word(effect: &Effect) -> &'static str {
    match effect {
        Effect::Spawn(_) => "spawn",
        Effect::Handshake => "handshake",
        Effect::OpenGate => "open",
        Effect::ShutGate => "shut",
        Effect::Kill => "kill",
    }
}

fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.find(char::is_alphabetic).expect("a unit"));
    let number = number.parse().expect("a number");
    match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        _ => panic!("{text}"),
    }
}

#[test]
fn a_life_from_start_to_stop() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        stop             -> Draining      shut kill
        stopped          -> Stopped
        start            -> Starting      spawn
        ",
    );
}

#[test]
fn the_first_restart_of_one_that_served_is_at_once_and_later_ones_wait_longer() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        lost             -> Starting      shut kill spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        lost             -> BackingOff    shut kill
        wait 999ms       -> BackingOff
        wait 1ms         -> Starting      spawn
        lost             -> BackingOff    kill
        wait 1999ms      -> BackingOff
        wait 1ms         -> Starting      spawn
        ",
    );
}

#[test]
fn one_that_never_served_waits_before_its_first_restart() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        lost             -> BackingOff    kill
        wait 1s          -> Starting      spawn
        spawned          -> Handshaking   handshake
        lost             -> BackingOff    kill
        wait 1999ms      -> BackingOff
        wait 1ms         -> Starting      spawn
        ",
    );
}

#[test]
fn a_minute_of_health_makes_up_for_failures() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        lost             -> BackingOff    kill
        wait 1s          -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        wait 59s         -> Ready
        wait 1s          -> Ready
        lost             -> Starting      shut kill spawn
        lost             -> BackingOff    kill
        wait 1s          -> Starting      spawn
        ",
    );
}

#[test]
fn health_counts_from_the_time_and_not_from_ticks() {
    let (mut lifecycle, now) = ready(limits());
    lose(&mut lifecycle, now);
    assert_eq!(lifecycle.state(), InstanceState::Starting);
    let now = serve(&mut lifecycle, now);
    lose(&mut lifecycle, now + Duration::from_secs(60));
    assert_eq!(lifecycle.state(), InstanceState::Starting);
}

#[test]
fn a_start_has_one_deadline_for_all_its_parts() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        wait 119s        -> Starting
        wait 1s          -> BackingOff    kill
        wait 5s          -> Starting      spawn
        wait 100s        -> Starting
        spawned          -> Handshaking   handshake
        wait 19s         -> Handshaking
        wait 1s          -> BackingOff    kill
        ",
    );
}

#[test]
fn more_than_five_restarts_in_five_minutes_is_a_crash_loop() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        lost             -> BackingOff    kill
        wait 1s          -> Starting      spawn
        lost             -> BackingOff    kill
        wait 2s          -> Starting      spawn
        lost             -> BackingOff    kill
        wait 4s          -> Starting      spawn
        lost             -> BackingOff    kill
        wait 8s          -> Starting      spawn
        lost             -> BackingOff    kill
        wait 16s         -> Starting      spawn
        lost             -> BackingOff    kill
        wait 32s         -> Starting      spawn
        lost             -> CrashLooping  kill
        wait 299s        -> CrashLooping
        wait 1s          -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        lost             -> CrashLooping  shut kill
        wait 300s        -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        wait 60s         -> Ready
        lost             -> Starting      shut kill spawn
        lost             -> BackingOff    kill
        ",
    );
}

#[test]
fn one_that_serves_briefly_between_crashes_loops_all_the_same() {
    let mut story = String::from("start -> Starting spawn\n");
    let life = "spawned -> Handshaking handshake
                ready -> Ready open\n";
    story.push_str(life);
    story.push_str("lost -> Starting shut kill spawn\n");
    for wait in ["1s", "2s", "4s", "8s", "16s"] {
        story.push_str(life);
        story.push_str("lost -> BackingOff shut kill\n");
        story.push_str(&format!("wait {wait} -> Starting spawn\n"));
    }
    story.push_str(life);
    story.push_str("lost -> CrashLooping shut kill\n");
    check(limits(), &story);
}

#[test]
fn what_can_not_be_served_is_tried_again_rarely() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        unserveable      -> Failed        kill
        wait 299s        -> Failed
        wait 1s          -> Starting      spawn
        unserveable      -> Failed        kill
        start            -> Starting      spawn
        spawned          -> Handshaking   handshake
        unserveable      -> Failed        kill
        stop             -> Draining      kill
        stopped          -> Stopped
        start            -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        unserveable      -> Failed        shut kill
        ",
    );
}

#[test]
fn one_that_ends_itself_when_idle_is_restarted_once_and_then_rests() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        wait 4s          -> Ready
        finished         -> Starting      shut kill spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        wait 4s          -> Ready
        finished         -> Idle          shut kill
        wait 3600s       -> Idle
        finished         -> Idle
        wanted           -> Starting      spawn
        wanted           -> Starting
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        wanted           -> Ready
        wait 4s          -> Ready
        finished         -> Idle          shut kill
        stop             -> Draining      kill
        stopped          -> Stopped
        wanted           -> Stopped
        ",
    );
}

#[test]
fn one_that_is_stopped_when_idle_rests_until_it_is_wanted() {
    check(
        RestartPolicy { revivals_max: 0, ..limits() },
        "
        start            -> Starting      spawn
        unused           -> Starting
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        unused           -> Idle          shut kill
        unused           -> Idle
        wanted           -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        wait 1s          -> Ready
        finished         -> Idle          shut kill
        start            -> Starting      spawn
        ",
    );
}

#[test]
fn an_end_without_an_error_that_comes_at_once_or_in_the_handshake_is_a_loss() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        finished         -> BackingOff    kill
        wait 1s          -> Starting      spawn
        spawned          -> Handshaking   handshake
        finished         -> BackingOff    kill
        wait 2s          -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        wait 999ms       -> Ready
        finished         -> BackingOff    shut kill
        wait 4s          -> Starting      spawn
        ",
    );
}

#[test]
fn an_instance_that_ends_right_after_a_call_has_not_failed() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        served           -> Starting      shut kill spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        served           -> Idle          shut kill
        ",
    );
}

#[test]
fn starts_that_reach_their_time_limit_three_times_in_a_row_are_a_crash_loop() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        wait 120s        -> BackingOff    kill
        wait 4s          -> BackingOff
        wait 1s          -> Starting      spawn
        spawned          -> Handshaking   handshake
        wait 120s        -> BackingOff    kill
        wait 9s          -> BackingOff
        wait 1s          -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        wait 60s         -> Ready
        lost             -> Starting      shut kill spawn
        wait 120s        -> BackingOff    kill
        wait 5s          -> Starting      spawn
        wait 120s        -> BackingOff    kill
        wait 10s         -> Starting      spawn
        wait 120s        -> CrashLooping  kill
        wait 300s        -> Starting      spawn
        wait 120s        -> CrashLooping  kill
        ",
    );
}

#[test]
fn an_instance_whose_probe_fails_gets_no_calls_and_is_not_restarted() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        spawned          -> Handshaking   handshake
        unfit            -> Handshaking
        ready            -> Ready         open
        unfit            -> Unhealthy     shut
        unfit            -> Unhealthy
        wait 600s        -> Unhealthy
        fit              -> Ready         open
        fit              -> Ready
        unfit            -> Unhealthy     shut
        lost             -> Starting      kill spawn
        ",
    );
}

#[test]
fn a_job_is_done_when_it_exits_with_code_0_and_tried_again_when_it_fails() {
    check(
        RestartPolicy { is_job: true, ..limits() },
        "
        start            -> Starting      spawn
        spawned          -> Handshaking   handshake
        lost             -> BackingOff    kill
        wait 1s          -> Starting      spawn
        spawned          -> Handshaking   handshake
        exited           -> Done          kill
        wait 600s        -> Done
        start            -> Starting      spawn
        stop             -> Draining      kill
        ",
    );
}

#[test]
fn what_loaded_for_a_while_before_it_was_lost_was_interrupted() {
    let begun = Instant::now();
    for (millis, is_interrupted) in [(500, false), (1000, true)] {
        let mut lifecycle = Lifecycle::new(limits(), begun);
        let mut effects = Vec::new();
        lifecycle.step(begun, LifecycleEvent::Start, &mut effects).unwrap();
        let lost = RunEvent::Lost { reason: "killed".to_owned() };
        let event = LifecycleEvent::Heard(lifecycle.run_no(), lost);
        lifecycle.step(begun + Duration::from_millis(millis), event, &mut effects).unwrap();
        assert_eq!(lifecycle.was_interrupted(), is_interrupted, "{millis} ms");
    }
}

#[test]
fn the_rule_for_restarts_decides_what_follows_an_end() {
    let with = |rule| RestartPolicy { rule, ..limits() };
    let begin = "
        start            -> Starting      spawn
        spawned          -> Handshaking   handshake
        ready            -> Ready         open
        ";
    for (rule, end) in [
        (RestartRule::Always, "exited -> Starting shut kill spawn"),
        (RestartRule::OnFailure, "exited -> Stopped shut kill"),
        (RestartRule::OnFailure, "lost -> Starting shut kill spawn"),
        (RestartRule::Never, "exited -> Stopped shut kill"),
        (
            RestartRule::Never,
            "lost -> Failed shut kill\nwait 900s -> Failed\nstart -> Starting spawn",
        ),
        (RestartRule::Never, "unserveable -> Failed shut kill\nwait 900s -> Failed"),
    ] {
        check(with(rule), &format!("{begin}{end}"));
    }
}

#[test]
fn what_resumes_after_a_need_is_back_has_not_forgotten_its_losses() {
    let begin = "
        start            -> Starting      spawn
        lost             -> BackingOff    kill
        stop             -> Draining      kill
        stopped          -> Stopped
        ";
    check(
        limits(),
        &format!("{begin}resume -> Starting spawn\nlost -> BackingOff kill\nwait 1s -> BackingOff"),
    );
    check(
        limits(),
        &format!(
            "{begin}start -> Starting spawn\nlost -> BackingOff kill\nwait 1s -> Starting spawn"
        ),
    );
    check(limits(), "start -> Starting spawn\nresume -> illegal in Starting");
}

#[test]
fn stop_works_from_anywhere_and_twice() {
    check(
        limits(),
        "
        stop             -> Stopped
        start            -> Starting      spawn
        stop             -> Draining      kill
        stop             -> Draining
        lost             -> Draining
        tick             -> Draining
        stopped          -> Stopped
        start            -> Starting      spawn
        spawned          -> Handshaking   handshake
        stop             -> Draining      kill
        stopped          -> Stopped
        start            -> Starting      spawn
        lost             -> BackingOff    kill
        stop             -> Draining      kill
        wait 10s         -> Draining
        stopped          -> Stopped
        ",
    );
}

#[test]
fn late_news_of_an_earlier_life_changes_nothing() {
    check(
        limits(),
        "
        start            -> Starting      spawn
        lost             -> BackingOff    kill
        lost             -> BackingOff
        ready            -> BackingOff
        wait 1s          -> Starting      spawn
        stale-lost       -> Starting
        stale-spawned    -> Starting
        spawned          -> Handshaking   handshake
        stale-ready      -> Handshaking
        stale-unserveable -> Handshaking
        ready            -> Ready         open
        stale-lost       -> Ready
        ",
    );
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    check(
        limits(),
        "
        stopped          -> illegal in Stopped
        start            -> Starting      spawn
        start            -> illegal in Starting
        ready            -> illegal in Starting
        stopped          -> illegal in Starting
        spawned          -> Handshaking   handshake
        spawned          -> illegal in Handshaking
        ready            -> Ready         open
        ready            -> illegal in Ready
        start            -> illegal in Ready
        stop             -> Draining      shut kill
        start            -> illegal in Draining
        ",
    );
}

#[test]
fn it_says_why_since_when_and_when_next() {
    let begin = Instant::now();
    let mut lifecycle = Lifecycle::new(limits(), begin);
    let mut effects = Vec::new();
    assert_eq!((lifecycle.next_deadline(), lifecycle.reason()), (None, None));

    lifecycle.step(begin, LifecycleEvent::Start, &mut effects).unwrap();
    assert_eq!(lifecycle.next_deadline(), Some(begin + limits().start));

    let died = begin + Duration::from_secs(3);
    let lost = LifecycleEvent::Heard(
        lifecycle.run_no(),
        RunEvent::Lost { reason: "exited with 7".into() },
    );
    lifecycle.step(died, lost, &mut effects).unwrap();
    let retry = Some(died + Duration::from_secs(1));
    assert_eq!(
        (lifecycle.since(), lifecycle.retry_at(), lifecycle.next_deadline()),
        (died, retry, retry)
    );
    assert_eq!((lifecycle.reason(), lifecycle.restarts()), (Some("exited with 7"), 0));

    let again = died + Duration::from_secs(1);
    lifecycle.step(again, LifecycleEvent::Tick, &mut effects).unwrap();
    assert_eq!((lifecycle.reason(), lifecycle.restarts()), (Some("exited with 7"), 1));
    serve(&mut lifecycle, again);
    assert_eq!((lifecycle.reason(), lifecycle.retry_at()), (None, None));
    assert_eq!(lifecycle.next_deadline(), Some(again + limits().health));
    lifecycle.step(again + limits().health, LifecycleEvent::Tick, &mut effects).unwrap();
    assert_eq!((lifecycle.next_deadline(), lifecycle.since()), (None, again));
}

#[test]
fn a_late_start_says_how_long_it_was_given() {
    let begin = Instant::now();
    let mut lifecycle = Lifecycle::new(limits(), begin);
    let mut effects = Vec::new();
    lifecycle.step(begin, LifecycleEvent::Start, &mut effects).unwrap();
    lifecycle.step(begin + limits().start, LifecycleEvent::Tick, &mut effects).unwrap();
    assert_eq!(lifecycle.reason(), Some("it did not start within 120s"));
}

#[test]
fn waits_are_scattered_by_the_seed() {
    let wait = |seed| {
        let begin = Instant::now();
        let mut lifecycle = Lifecycle::new(RestartPolicy::new(limits().start, seed), begin);
        lifecycle.step(begin, LifecycleEvent::Start, &mut Vec::new()).unwrap();
        lose(&mut lifecycle, begin);
        lifecycle.retry_at().expect("it waits") - begin
    };
    assert_ne!(wait(1), wait(2));
    assert_eq!(wait(1), wait(1));
}

/// An instance that serves, and the time.
fn ready(limits: RestartPolicy) -> (Lifecycle, Instant) {
    let now = Instant::now();
    let mut lifecycle = Lifecycle::new(limits, now);
    lifecycle.step(now, LifecycleEvent::Start, &mut Vec::new()).unwrap();
    serve(&mut lifecycle, now);
    (lifecycle, now)
}

fn serve(lifecycle: &mut Lifecycle, now: Instant) -> Instant {
    for news in [RunEvent::Spawned, RunEvent::Ready] {
        let heard = LifecycleEvent::Heard(lifecycle.run_no(), news);
        lifecycle.step(now, heard, &mut Vec::new()).unwrap();
    }
    now
}

fn lose(lifecycle: &mut Lifecycle, now: Instant) {
    let lost = LifecycleEvent::Heard(lifecycle.run_no(), RunEvent::Lost { reason: String::new() });
    lifecycle.step(now, lost, &mut Vec::new()).unwrap();
}
