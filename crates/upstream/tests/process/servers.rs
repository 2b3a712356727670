//! Servers that behave badly, and what stays of them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use mainstay_model::InstanceId;
use mainstay_model::settings::ProcessSpec;
use mainstay_upstream::process::{Exit, RunningProcess, SpawnError, StopGraces};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

use crate::roles::SPREADS;
use crate::support::{
    CAP, World, children, command, descriptors, is_alive, name, numbers, python, records, sh,
    state_of, until, with_env,
};

/// Long for what must not be waited out, short for what must.
const PATIENT: StopGraces = StopGraces::new(CAP, CAP);
const HASTY: StopGraces = StopGraces::new(Duration::from_millis(50), Duration::from_millis(300));

async fn exit_of(process: &RunningProcess) -> Exit {
    timeout(CAP, process.wait()).await.expect("it ends in time")
}

#[tokio::test]
async fn a_server_answers_and_ends_when_its_input_does() {
    let world = World::open().await;
    let mut process = world.spawn(&sh("cat; echo bye >&2; exit 3")).await;
    assert_eq!(records(world.state.path()), 1);
    let mut stdin = process.take_stdin().unwrap();
    stdin.write_all(b"hello\n").await.unwrap();
    let mut output = BufReader::new(process.take_stdout().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).await.unwrap();
    assert_eq!(line, "hello\n");
    assert!(process.take_stdin().is_none() && process.take_stdout().is_none());

    drop(stdin);
    let begin = Instant::now();
    let exit = process.stop(PATIENT).await;
    assert!(begin.elapsed() < CAP, "it was waited for in vain");
    assert_eq!(exit, Exit::Code(3));
    assert_eq!(exit.to_string(), "exited with code 3");
    assert_eq!(process.stderr_tail().lines(), ["bye"]);
    assert_eq!(process.stop(PATIENT).await, Exit::Code(3), "stop may be called again");
    assert_eq!(records(world.state.path()), 0);
    world.close().await;
}

#[tokio::test]
async fn how_it_ended_is_told_in_plain_words() {
    let world = World::open().await;
    for (script, words) in [
        ("exit 0", "exited by itself, without an error"),
        ("exit 7", "exited with code 7"),
        ("no-such-command", "exited with code 127 (a command was not found)"),
        ("kill -SEGV $$", "crashed with signal 11 (SEGV: memory that is not its own)"),
    ] {
        let process = world.spawn(&sh(script)).await;
        assert_eq!(exit_of(&process).await.to_string(), words, "{script}");
    }
    // Where the kernel counts kills for want of memory, there was none.
    let killed = exit_of(&world.spawn(&sh("kill -KILL $$")).await).await;
    assert!(matches!(killed, Exit::KilledBySomebody | Exit::Signal(9)), "{killed}");
    world.close().await;
}

#[tokio::test]
async fn a_tree_that_ignores_everything_is_killed_as_a_whole() {
    let world = World::open().await;
    let mut process = world.spawn(&python(SPREADS)).await;
    let pids = numbers(&mut process, 3).await;
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    assert_eq!(process.stop(HASTY).await, Exit::Signal(9));
    assert!(!pids.iter().any(|pid| is_alive(*pid)), "stop returned before the tree was gone");
    world.close().await;
}

#[tokio::test]
async fn a_tree_that_listens_is_only_asked() {
    let world = World::open().await;
    let script = "trap 'echo asked >&2; exit 5' TERM; sleep 600 & echo $!; wait";
    let mut process = world.spawn(&sh(script)).await;
    let child = numbers(&mut process, 1).await[0];
    let graces = StopGraces::new(Duration::ZERO, CAP);
    assert_eq!(process.stop(graces).await, Exit::Code(5));
    assert_eq!(process.stderr_tail().lines(), ["asked"], "asked more than once");
    assert!(!is_alive(child));
    world.close().await;
}

#[tokio::test]
async fn what_a_dead_server_leaves_is_ended_too() {
    let world = World::open().await;
    let script = "sleep 600 & echo $!; setsid sleep 601 & echo $!; read line";
    let mut process = world.spawn(&sh(script)).await;
    let left = numbers(&mut process, 2).await;
    drop(process.take_stdin());
    assert_eq!(exit_of(&process).await, Exit::Code(1));
    until("its children ended", || !left.iter().any(|pid| is_alive(*pid))).await;
    drop(process);
    world.close().await;
}

#[tokio::test]
async fn a_child_that_cleans_its_environment_is_found_by_its_parents() {
    let world = World::open().await;
    let script = "env -i setsid sleep 600 & echo $!; sleep 601";
    let mut process = world.spawn(&sh(script)).await;
    let child = numbers(&mut process, 1).await[0];
    process.stop(HASTY).await;
    assert!(!is_alive(child));
    world.close().await;
}

#[tokio::test]
async fn one_whose_first_thread_has_ended_still_lives() {
    let world = World::open().await;
    let script = r#"
import ctypes, os, platform, signal, threading, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=lambda: time.sleep(600)).start()
print(os.getpid(), flush=True)
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
"#;
    let mut process = world.spawn(&python(script)).await;
    let pid = numbers(&mut process, 1).await[0];
    until("its first thread ended", || state_of(pid) == Some('Z')).await;
    assert!(timeout(Duration::from_millis(100), process.wait()).await.is_err());
    assert_eq!(process.stop(HASTY).await, Exit::Signal(9));
    assert_eq!(state_of(pid), None);
    world.close().await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_long_graces() {
    let world = World::open().await;
    let mut process = world.spawn(&python(SPREADS)).await;
    let pids = numbers(&mut process, 3).await;
    let stopping = tokio::spawn(async move {
        let forever = StopGraces::new(10 * CAP, 10 * CAP);
        process.stop(forever).await
    });
    tokio::task::yield_now().await;
    timeout(CAP, world.host.shutdown()).await.expect("in time");
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
    assert_eq!(stopping.await.unwrap(), Exit::Signal(9));
    world.close().await;
}

#[tokio::test]
async fn dropping_the_handle_ends_the_tree() {
    let world = World::open().await;
    let mut process = world.spawn(&python(SPREADS)).await;
    let pids = numbers(&mut process, 3).await;
    drop(process);
    until("all of it ended", || !pids.iter().any(|pid| is_alive(*pid))).await;
    world.close().await;
}

#[tokio::test]
async fn shutdown_ends_what_is_still_held() {
    let world = World::open().await;
    let mut process = world.spawn(&python(SPREADS)).await;
    let pids = numbers(&mut process, 3).await;
    world.host.shutdown().await;
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
    assert_eq!(process.wait().await, Exit::Signal(9));
    let late = world.host.spawn(&sh("true"), &name("late"), InstanceId(2)).await;
    assert!(matches!(late, Err(SpawnError::Stopping)));
    world.close().await;
}

#[tokio::test]
async fn one_that_never_reads_is_stopped_all_the_same() {
    let world = World::open().await;
    let mut process = world.spawn(&sh("sleep 600")).await;
    let mut stdin = process.take_stdin().unwrap();
    let flood = timeout(Duration::from_millis(200), stdin.write_all(&[b'x'; 1 << 20])).await;
    assert!(flood.is_err(), "somebody read it");
    drop(stdin);
    assert_eq!(process.stop(HASTY).await, Exit::Signal(15));
    world.close().await;
}

#[tokio::test]
async fn a_flood_of_errors_neither_blocks_it_nor_fills_us() {
    let world = World::open().await;
    let script = "import sys\nfor n in range(200_000): print('line', n, file=sys.stderr)";
    let process = world.spawn(&python(script)).await;
    assert_eq!(exit_of(&process).await, Exit::Code(0));
    let tail = process.stderr_tail();
    assert_eq!(tail.lines_total(), 200_000);
    assert_eq!(tail.lines().len(), 64);
    assert_eq!(tail.last_line().as_deref(), Some("line 199999"));
    world.close().await;
}

#[tokio::test]
async fn it_gets_its_own_environment_and_no_descriptor_of_ours() {
    // What whoever started us let us inherit, servers inherit as well.
    let inherited = BTreeSet::from_iter(
        std::fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|fd| {
            let fd = fd.file_name().into_string().ok()?;
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
            const CLOSED_ON_EXEC: u32 = 0o2_000_000;
            (u32::from_str_radix(flags.trim(), 8).ok()? & CLOSED_ON_EXEC == 0).then_some(fd)
        }),
    );
    let world = World::open().await;
    let spec = with_env(sh("env; ls /proc/self/fd | tr '\\n' ' '"), "GIVEN", "x y");
    let mut process = world.spawn(&spec).await;
    let mut output = String::new();
    process.take_stdout().unwrap().read_to_string(&mut output).await.unwrap();
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines.contains(&"GIVEN=x y"), "{output}");
    assert!(lines.iter().any(|line| line.starts_with("MAINSTAY_MARK=") && line.contains(".i1.")));
    assert!(lines.iter().any(|line| line.starts_with("PATH=")));
    assert!(!output.contains("CARGO"), "{output}");
    let found = lines.last().expect("a line").split(' ').filter(|fd| !fd.is_empty());
    let ours = found.filter(|fd| !inherited.contains(*fd));
    // That one is of the shell before the helper of these tests.
    let ours: Vec<&str> = ours.filter(|fd| *fd != crate::support::KEPT_OUTPUT).collect();
    // The folder that `ls` reads.
    assert_eq!(ours.len(), 1, "{ours:?} beside {inherited:?}");
    world.close().await;
}

#[tokio::test]
async fn what_can_not_start_says_which_step_failed_and_what_helps() {
    let world = World::open().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = file("plain", "hello", 0o644);
    let script = file("script", "import sys\n", 0o755);
    let mut other = b"\x7fELF\x02\x01\x01".to_vec();
    other.resize(18, 0);
    other.extend([22, 0]);
    other.resize(64, 0);
    let path = folder.path().join("other");
    std::fs::write(&path, other).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let other = path.to_str().unwrap().to_owned();
    let foreign = file("foreign", "#!/no/such/interpreter\n", 0o755);
    let gone = folder.path().join("gone");
    let mut nowhere = sh("true");
    nowhere.cwd = Some(gone);
    let mut searched = with_env(command(&["plain"]), "PATH", folder.path().to_str().unwrap());
    searched.cwd = Some("/".into());
    let cases = [
        (command(&[]), "the command is empty", "name a program", true),
        (command(&["no-such-program"]), "\"no-such-program\" was not found", "install it", true),
        (command(&["/no/such"]), "\"/no/such\" was not found", "check the path", true),
        (command(&["npx -y x"]), "was not found", r#"["npx", "-y", "x"]"#, true),
        (command(&[&plain]), "can't be executed", "chmod +x", true),
        (searched, "can't be executed", "chmod +x", true),
        (command(&[&foreign]), "the interpreter that", "head -1", true),
        (command(&[&script]), "names no interpreter (`#!`), exec format error", "`#!`", true),
        (command(&[&other]), "another processor (s390x), exec format error", "built for", true),
        (nowhere, "the working folder", "mount", false),
        (command(&["sh", "a\0b"]), "could not be started", "zero bytes", true),
    ];
    for (spec, text, hint, permanent) in cases {
        let failed = world.host.spawn(&spec, &name("test"), InstanceId(1)).await.unwrap_err();
        assert!(failed.to_string().contains(text), "{failed}");
        let given = failed.hint().expect("a hint");
        assert!(given.contains(hint), "{failed}: {given}");
        assert_eq!(failed.is_permanent(), permanent, "{failed}");
    }
    assert_eq!(records(world.state.path()), 0);
    world.close().await;
}

#[tokio::test]
async fn orphans_are_reaped() {
    let world = World::open().await;
    // Each leaves a process without a parent that ends at once, in its group and outside.
    let script = "for n in 1 2 3; do (sleep 0.01 &); (setsid sleep 0.01 &); done; echo 0; cat";
    let mut process = world.spawn(&sh(script)).await;
    numbers(&mut process, 1).await;
    let zombies = || children().into_iter().filter(|pid| state_of(*pid) == Some('Z')).count();
    let sleepers = || children().len() > 2;
    until("no zombie stays", || zombies() == 0 && !sleepers()).await;
    process.stop(PATIENT).await;
    world.close().await;
}

/// Forks twice into a session of its own, where it lives on with an empty environment. Prints the number of
/// the process, and stays itself.
const LEAVES: &str = r#"
import os, resource, time
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        #LIMITS
        os.write(writer, str(os.getpid()).encode())
        for number in range(3, 20):
            try: os.close(number)
            except OSError: pass
        null = os.open("/dev/null", os.O_RDWR)
        for number in range(3): os.dup2(null, number)
        os.execve("/bin/sleep", ["sleep", "600"], {})
    os._exit(0)
os.wait()
print(os.read(reader, 20).decode(), flush=True)
time.sleep(600)
"#;

/// The same, which gives up its label, too: the limit on file locks.
fn leaves_no_trace() -> ProcessSpec {
    python(&LEAVES.replace("#LIMITS", "resource.setrlimit(10, (resource.RLIM_INFINITY,) * 2)"))
}

#[tokio::test]
async fn a_process_that_left_its_instance_ends_with_it_while_older_ones_run() {
    let world = World::open().await;
    let mut older = world.spawn(&sh("sleep 600")).await;
    for is_killed in [false, true] {
        let mut server = world.spawn(&python(LEAVES)).await;
        let stray = numbers(&mut server, 1).await[0];
        until("the daemon inherits it", || children().contains(&stray)).await;
        let mut other = world.spawn(&sh("exit 0")).await;
        other.stop(StopGraces::default()).await;
        assert!(is_alive(stray), "its instance still runs");
        if is_killed {
            kill_process(
                Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap(),
                Signal::KILL,
            )
            .unwrap();
        } else {
            server.stop(StopGraces::ABANDONED).await;
        }
        until("it is ended, and no zombie is left", || state_of(stray).is_none()).await;
        assert!(is_alive(i32::try_from(older.pid()).unwrap()));
    }
    older.stop(StopGraces::ABANDONED).await;
    world.close().await;
}

#[tokio::test]
async fn a_process_that_left_no_trace_ends_after_the_instance_that_may_have_started_it() {
    let world = World::open().await;
    let mut server = world.spawn(&leaves_no_trace()).await;
    let stray = numbers(&mut server, 1).await[0];
    let is_orphan = || children().contains(&stray);
    until("the daemon inherits it", is_orphan).await;
    // The kernel counts starts in hundredths of a second.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut later = world.spawn(&sh("sleep 600")).await;
    // As long as its instance runs, it may be of use.
    let mut other = world.spawn(&sh("exit 0")).await;
    other.stop(StopGraces::default()).await;
    let is_known = || records(world.state.path()) == 3;
    until("it is recorded beside two servers", is_known).await;
    assert!(is_alive(stray), "its instance still runs");
    server.stop(StopGraces::ABANDONED).await;
    until("it is ended, and no zombie is left", || state_of(stray).is_none()).await;
    assert!(is_alive(i32::try_from(later.pid()).unwrap()));
    later.stop(StopGraces::ABANDONED).await;
    world.close().await;
}

#[tokio::test]
async fn the_end_of_the_daemon_is_the_end_of_whatever_left_no_trace() {
    let world = World::open().await;
    let mut server = world.spawn(&leaves_no_trace()).await;
    let stray = numbers(&mut server, 1).await[0];
    until("the daemon inherits it", || children().contains(&stray)).await;
    world.close().await;
    assert!(!is_alive(stray));
}

#[tokio::test]
async fn a_hundred_quick_ones_leave_nothing() {
    let world = World::open().await;
    world.spawn(&sh("true")).await.stop(PATIENT).await;
    let before = descriptors();
    for _ in 0..10 {
        let mut running = Vec::new();
        for _ in 0..10 {
            running.push(world.spawn(&sh("exit 0")).await);
        }
        for mut process in running {
            assert_eq!(process.stop(PATIENT).await, Exit::Code(0));
        }
    }
    assert_eq!(records(world.state.path()), 0);
    assert_eq!(children().len(), 1, "only the guard");
    until("descriptors of tasks that are ending are closed", || descriptors() <= before).await;
    world.close().await;
}
