//! Probes that run a command.

use std::time::{Duration, Instant};

use mainstay_model::settings::{ProbeCheck, ProbeSpec, ProcessSpec};
use mainstay_supervisor::probe::{Failure, Outcome};
use mainstay_testkit::HungMount;
use mainstay_upstream::probe::{ProbedRun, Prober};

use crate::support::{CAP, World, children, command, is_alive, name, records, sh, until, with_env};

fn prober(world: &World, process: &ProcessSpec, timeout: Duration) -> Prober {
    let check = ProbeCheck::Command(process.clone());
    let spec = ProbeSpec { timeout, ..ProbeSpec::new(check) };
    Prober::new(&spec, &name("db"), &world.host)
}

async fn checked(world: &World, process: &ProcessSpec) -> Outcome {
    prober(world, process, CAP).check(&ProbedRun::default()).await
}

async fn unfit(world: &World, process: &ProcessSpec) -> Failure {
    match checked(world, process).await {
        Outcome::Unfit(failure) => failure,
        other => panic!("not unfit: {other:?}"),
    }
}

/// The numbers that processes have written to a file, one a line.
fn written(file: &std::path::Path) -> Vec<i32> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

#[tokio::test]
async fn a_command_is_fit_with_code_0_and_says_why_it_is_not() {
    let world = World::open().await;
    assert_eq!(checked(&world, &sh("echo fine; exit 0")).await, Outcome::Passed);
    for (script, said) in [
        ("echo one; echo 'no response' ; exit 2", "exited with code 2: no response"),
        ("echo out; echo 'the cause' >&2; exit 3", "exited with code 3: the cause"),
        ("exit 4", "exited with code 4"),
        ("seq 100000; exit 5", "exited with code 5: 100000"),
        ("kill -SEGV $$", "crashed with signal 11 (SEGV: memory that is not its own)"),
    ] {
        let failure = unfit(&world, &sh(script)).await;
        assert_eq!(failure.reason, format!("its command {said}"));
        assert!(failure.brief.len() < 80 && !failure.brief.contains("cause"), "{failure:?}");
    }
    let failure = unfit(&world, &command(&["no-such-program"])).await;
    assert!(failure.reason.contains("\"no-such-program\" was not found"), "{failure:?}");
    assert!(!failure.brief.contains("no-such"), "{failure:?}");
    world.close().await;
}

#[tokio::test]
async fn a_command_has_the_environment_of_its_owner_and_its_secrets_are_masked() {
    let world = World::open().await;
    let mut spec =
        with_env(sh("echo \"wrong password $PGPASSWORD\"; exit 1"), "PGPASSWORD", "s3cr3t");
    spec.masked.insert("PGPASSWORD".to_owned());
    assert_eq!(
        unfit(&world, &spec).await.reason,
        "its command exited with code 1: wrong password ***"
    );
    // What it writes is not the output of its owner.
    assert!(checked(&world, &sh("echo ready >&2")).await == Outcome::Passed);
    assert!(world.host.output().after(0, None, None, 10).lines.is_empty());
    world.close().await;
}

#[tokio::test]
async fn a_command_that_does_not_end_is_silent_and_ends_with_all_that_it_has_started() {
    let world = World::open().await;
    let file = world.state.path().join("pids");
    let script = format!("echo $$ >> {0}; sleep 1000 & echo $! >> {0}; wait", file.display());
    let prober = prober(&world, &sh(&script), Duration::from_millis(700));
    let outcome = prober.check(&ProbedRun::default()).await;
    let Outcome::Silent(failure) = outcome else { panic!("not silent: {outcome:?}") };
    assert!(failure.reason.ends_with("within 700ms: its command does not end"), "{failure:?}");
    let pids = written(&file);
    assert_eq!(pids.len(), 2, "{pids:?}");
    until("both have ended", || !pids.iter().any(|pid| is_alive(*pid))).await;
    world.close().await;
}

#[tokio::test]
async fn dropping_a_check_ends_its_command() {
    let world = World::open().await;
    let file = world.state.path().join("pids");
    let prober = prober(&world, &sh(&format!("echo $$ > {}; sleep 1000", file.display())), CAP);
    let run = ProbedRun::default();
    tokio::select! {
        outcome = prober.check(&run) => panic!("it has ended: {outcome:?}"),
        () = until("it runs", || !written(&file).is_empty()) => {}
    }
    until("it has ended", || !is_alive(written(&file)[0])).await;
    world.close().await;
}

#[tokio::test]
async fn a_child_that_keeps_the_output_open_delays_no_check_and_does_not_stay() {
    let world = World::open().await;
    let file = world.state.path().join("pids");
    let begun = Instant::now();
    let spec = sh(&format!("sleep 1000 & echo $! > {}", file.display()));
    assert_eq!(checked(&world, &spec).await, Outcome::Passed);
    assert!(begun.elapsed() < CAP);
    until("the child has ended", || !is_alive(written(&file)[0])).await;
    world.close().await;
}

#[tokio::test]
async fn a_child_that_ignores_term_is_killed_and_is_no_failure_of_later_checks() {
    let world = World::open().await;
    let file = world.state.path().join("pids");
    let script = format!(
        "(trap '' TERM; echo x >> {0}.up; while :; do sleep 1; done) >/dev/null 2>&1 & echo $! >> {0}
        until [ -s {0}.up ]; do sleep 0.01; done; rm {0}.up",
        file.display()
    );
    let prober = prober(&world, &sh(&script), Duration::from_millis(1500));
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(prober.check(&ProbedRun::default()).await, Outcome::Passed);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(written(&file).len(), 5);
    until("no child is left", || !written(&file).into_iter().any(is_alive)).await;
    world.close().await;
}

#[tokio::test]
async fn t0_3_commands_that_ignore_their_end_never_pile_up() {
    let world = World::open().await;
    let file = world.state.path().join("pids");
    let script =
        format!("trap '' TERM; echo $$ >> {}; while :; do sleep 1000; done", file.display());
    let prober = prober(&world, &sh(&script), Duration::from_millis(400));
    for _ in 0..12 {
        let outcome = prober.check(&ProbedRun::default()).await;
        assert!(matches!(outcome, Outcome::Silent(_)), "{outcome:?}");
        let alive = written(&file).into_iter().filter(|pid| is_alive(*pid)).count();
        assert!(alive <= 1, "{alive} at once");
    }
    drop(prober);
    world.close().await;
}

#[tokio::test]
async fn t0_2_checks_on_a_mount_that_hangs_neither_pile_up_nor_hang() {
    let Some(mount) = HungMount::try_new() else { return };
    let world = World::open().await;
    let mut spec = sh("exit 0");
    spec.cwd = Some(mount.path().to_owned());
    let prober = prober(&world, &spec, Duration::from_millis(300));
    let mut most = 0;
    for _ in 0..10 {
        let outcome = prober.check(&ProbedRun::default()).await;
        assert!(matches!(outcome, Outcome::Silent(_)), "{outcome:?}");
        most = most.max(children().len());
    }
    // The guard of the host, the helper that hangs.
    assert!(most <= 2, "{most} children at once");
    drop(mount);
    drop(prober);
    world.close().await;
}

#[tokio::test]
async fn a_hundred_checks_leave_nothing_behind() {
    let world = World::open().await;
    let prober = prober(&world, &sh("exit 0"), CAP);
    let run = ProbedRun::default();
    assert_eq!(prober.check(&run).await, Outcome::Passed);
    until("nothing is left of it", || records(world.state.path()) == 0).await;
    let before = (crate::support::descriptors(), children().len());
    for _ in 0..100 {
        assert_eq!(prober.check(&run).await, Outcome::Passed);
    }
    until("nothing is left", || (crate::support::descriptors(), children().len()) <= before).await;
    world.close().await;
}
