//! What is set before the program begins: limits, user, folder; and what that may hang on.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use mainstay_model::InstanceId;
use mainstay_testkit::HungMount;
use mainstay_upstream::process::{SpawnError, StopGraces};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::support::{
    CAP, World, children, command, is_alive, name, numbers, python, sh, until, with_env,
};

async fn output_of(world: &World, spec: &mainstay_model::settings::ProcessSpec) -> String {
    let mut process = world.spawn(spec).await;
    let mut output = String::new();
    let read = process.take_stdout().expect("not taken").read_to_string(&mut output).await;
    read.expect("readable");
    process.stop(StopGraces::default()).await;
    output.trim().to_owned()
}

/// The limits as the very first instruction of the program would find them.
const LIMITS: &str = "ulimit -Sn; ulimit -Hn";

#[tokio::test]
async fn all_of_thirty_started_at_once_have_the_right_limit_from_the_first_instruction() {
    let first = Rlimit { current: Some(321), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, first).unwrap();
    let world = World::open().await;
    // What a daemon does for itself, once it runs.
    setrlimit(Resource::Nofile, Rlimit { current: first.maximum, ..first }).unwrap();
    let hard = first.maximum.map_or("unlimited".to_owned(), |hard| hard.to_string());
    let specs: Vec<_> = (0..30).map(|_| sh(LIMITS)).collect();
    let outputs =
        futures_util::future::join_all(specs.iter().map(|spec| output_of(&world, spec))).await;
    for output in outputs {
        assert_eq!(output, format!("321\n{hard}"));
    }
    world.close().await;
}

#[tokio::test]
async fn a_configured_limit_is_soft_and_hard_or_says_why_not() {
    let world = World::open().await;
    let mut spec = sh(LIMITS);
    spec.limits.files_max = Some(77);
    assert_eq!(output_of(&world, &spec).await, "77\n77");
    // Beyond what the kernel lets anybody have.
    spec.limits.files_max = Some(1 << 40);
    let failed = world.host.spawn(&spec, &name("test"), InstanceId(1)).await.unwrap_err();
    assert!(matches!(failed, SpawnError::Files { .. }), "{failed:?}");
    assert!(failed.is_permanent() && failed.hint().is_some());
    world.close().await;
}

#[tokio::test]
async fn a_server_runs_as_its_user_with_that_users_groups_and_home() {
    let world = World::open().await;
    let mut spec = sh("id -u; id -g; id -G; echo $HOME; echo $USER");
    spec.user = Some("nobody".to_owned());
    if !rustix::process::getuid().is_root() {
        let failed = world.host.spawn(&spec, &name("test"), InstanceId(1)).await.unwrap_err();
        assert!(matches!(failed, SpawnError::User { .. }), "{failed:?}");
        return world.close().await;
    }
    let found = output_of(&world, &spec).await;
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), 5, "{found}");
    assert_eq!(lines[0], "65534", "{found}");
    assert_ne!(lines[1], "0", "{found}");
    assert!(!lines[2].split(' ').any(|group| group == "0"), "a group of the daemon: {found}");
    assert_eq!(lines[4], "nobody", "{found}");

    spec = with_env(sh("id -g; id -G; echo $HOME"), "HOME", "/configured");
    spec.user = Some("12345".to_owned());
    spec.group = Some("54321".to_owned());
    assert_eq!(output_of(&world, &spec).await, "54321\n54321\n/configured");
    world.close().await;
}

#[tokio::test]
async fn a_daemon_that_may_not_switch_users_says_so() {
    let world = World::open().await;
    let mut spec = sh("true");
    for (user, group, text, hint) in [
        (Some("no-such-user"), None, "no user \"no-such-user\"", "/etc/passwd"),
        (Some("987654"), None, "no user \"987654\"", "set `group`"),
        (None, Some("no-such-group"), "no group \"no-such-group\"", "/etc/group"),
    ] {
        spec.user = user.map(ToOwned::to_owned);
        spec.group = group.map(ToOwned::to_owned);
        let failed = world.host.spawn(&spec, &name("test"), InstanceId(1)).await.unwrap_err();
        assert!(failed.to_string().contains(text), "{failed}");
        assert!(failed.is_permanent(), "{failed}");
        assert!(failed.hint().expect("a hint").contains(hint), "{failed}");
    }
    // What it is already, anybody may be.
    let us = rustix::process::getuid().as_raw().to_string();
    spec = sh("id -u");
    spec.user = Some(us.clone());
    spec.group = Some(rustix::process::getgid().as_raw().to_string());
    assert_eq!(output_of(&world, &spec).await, us);
    world.close().await;
}

#[tokio::test]
async fn nothing_is_handed_to_a_shell() {
    let world = World::open().await;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    std::fs::write(&script, "echo a shell ran this\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let spec = command(&[script.to_str().unwrap()]);
    let failed = world.host.spawn(&spec, &name("test"), InstanceId(1)).await.unwrap_err();
    assert!(matches!(failed, SpawnError::NotAProgram { .. }), "{failed:?}");
    assert!(failed.is_permanent() && failed.hint().expect("a hint").contains("#!"));
    world.close().await;
}

#[tokio::test]
async fn the_program_finds_signals_as_a_shell_would_leave_them() {
    let world = World::open().await;
    let script = "import signal; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL); \
                  print([l for l in open('/proc/self/status') if l.startswith('SigBlk')][0])";
    let found = output_of(&world, &python(script)).await;
    assert!(found.starts_with("True\nSigBlk:\t0000000000000000"), "{found}");
    // `yes` ends by the broken pipe, and would complain if that were ignored.
    let found = output_of(&world, &sh("(yes; echo ended by $? >&2) 2>&1 | head -1; true")).await;
    assert_eq!(found, "y");
    world.close().await;
}

#[tokio::test]
async fn what_lies_on_a_mount_that_hangs_holds_up_its_own_start_and_nothing_else() {
    let Some(hung) = HungMount::try_new() else { return };
    let world = World::open().await;
    let mut in_folder = sh("true");
    in_folder.cwd = Some(hung.path().to_owned());
    let by_path = command(&[hung.join("server").to_str().unwrap()]);
    let searched = with_env(command(&["server"]), "PATH", hung.path().to_str().unwrap());
    let spawn = |spec| {
        let host = world.host.clone();
        tokio::spawn(async move { host.spawn(&spec, &name("hung"), InstanceId(2)).await })
    };
    // More than a runtime has threads for what blocks.
    let mut starts = Vec::new();
    for _ in 0..4 {
        for spec in [&in_folder, &by_path, &searched] {
            starts.push(spawn(spec.clone()));
        }
    }
    until("all wait for the mount", || children().len() > starts.len()).await;
    // Others start and end meanwhile, and blocking work is done.
    assert_eq!(output_of(&world, &sh("echo here")).await, "here");
    timeout(CAP, tokio::task::spawn_blocking(|| ())).await.expect("in time").unwrap();
    assert!(starts.iter().all(|start| !start.is_finished()));

    // A start that is given up leaves nothing, and the stop of the host ends the others.
    let before = children().len();
    starts.remove(0).abort();
    until("the helper of an abandoned start ends", || children().len() < before).await;
    timeout(Duration::from_secs(20), world.host.shutdown()).await.expect("shutdown is not held up");
    for start in starts {
        let start = timeout(CAP, start).await.expect("in time").unwrap();
        assert!(start.is_err() || start.is_ok_and(|process| process.has_ended()));
    }
    world.close().await;
}

#[tokio::test]
async fn the_number_of_a_server_is_its_own_from_the_start() {
    let world = World::open().await;
    let mut process = world.spawn(&sh("echo $$; sleep 600")).await;
    let pid = numbers(&mut process, 1).await[0];
    assert_eq!(u32::try_from(pid).unwrap(), process.pid());
    assert!(is_alive(pid));
    process.stop(StopGraces::ABANDONED).await;
    world.close().await;
}

#[tokio::test]
async fn the_memory_of_a_server_counts_what_came_of_it() {
    let world = World::open().await;
    let script = "import os, time\nif os.fork() == 0:\n os.setsid()\n x = b'x' * (64 << 20)\n \
                  print(1, flush=True)\n time.sleep(600)\ntime.sleep(600)";
    let mut process = world.spawn(&python(script)).await;
    numbers(&mut process, 1).await;
    let bytes = world.host.memory(process.pid()).await.expect("it lives");
    assert!((64 << 20..1 << 30).contains(&bytes), "{bytes}");
    process.stop(StopGraces::ABANDONED).await;
    assert_eq!(world.host.memory(process.pid()).await, None);
    world.close().await;
}
