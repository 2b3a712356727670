//! Limits of servers, on the kernel of this machine.

use std::path::{Path, PathBuf};

use mainstay_model::InstanceId;
use mainstay_model::resource::{LimitKind, LimitStatus, LimitedBy};
use mainstay_model::settings::{Cpus, LimitsSpec, ProcessSpec};
use mainstay_upstream::process::{Exit, ProcessHost, RunningProcess, StopGraces};

use crate::support::{
    World, command, exec_command, guard_command, is_alive, name, numbers, python, sh, until,
};

const MIB: u64 = 1 << 20;

fn with(spec: ProcessSpec, limits: LimitsSpec) -> ProcessSpec {
    ProcessSpec { limits, ..spec }
}

const NONE: LimitsSpec = LimitsSpec {
    memory_bytes_max: None,
    memory_bytes_reserved: None,
    cpus_max: None,
    processes_max: None,
    files_max: None,
};

const FEW: LimitsSpec = LimitsSpec { processes_max: Some(20), ..NONE };
const SMALL: LimitsSpec = LimitsSpec { memory_bytes_max: Some(64 * MIB), ..NONE };

async fn limits(world: &World, process: &RunningProcess) -> Vec<LimitStatus> {
    world.host.limits_of_all(vec![process.pid()]).await.pop().flatten().expect("it has limits")
}

async fn limit(world: &World, process: &RunningProcess, kind: LimitKind) -> LimitStatus {
    let all = limits(world, process).await;
    all.into_iter().find(|limit| limit.kind == kind).expect("it has this limit")
}

/// Whether control groups keep this limit here. Says so if not.
async fn is_of_group(world: &World, process: &RunningProcess, kind: LimitKind) -> bool {
    let limit = limit(world, process, kind).await;
    let is = matches!(limit.by, Some(LimitedBy::CgroupV1 | LimitedBy::CgroupV2));
    if !is {
        eprintln!("skipped: {}", limit.note.unwrap_or_default());
    }
    is
}

/// The folders of control groups that hold groups of this state folder's daemons.
pub(crate) fn groups(state: &Path) -> Vec<PathBuf> {
    let Ok(folders) = std::fs::read_dir(state.join("processes")) else { return Vec::new() };
    let marks: Vec<_> = folders.flatten().map(|folder| folder.path().join("groups")).collect();
    let read = |file: &PathBuf| std::fs::read(file).ok();
    let recorded = marks.iter().filter_map(read);
    recorded.flat_map(|text| serde_json::from_slice::<Vec<PathBuf>>(&text).unwrap()).collect()
}

pub(crate) fn exist(groups: &[PathBuf]) -> Vec<&PathBuf> {
    groups.iter().filter(|group| group.exists()).collect()
}

/// Children that leave their group, their session and their parent, as long as the kernel allows it.
const BOMB: &str = "import os, time\n\
    print(os.getpid(), flush=True)\n\
    while True:\n \
      try:\n  \
        if os.fork() == 0:\n   os.setsid()\n   os.environ.clear()\n \
      except BlockingIOError:\n  time.sleep(0.01)\n";

#[tokio::test]
async fn a_fork_bomb_is_bounded_named_and_ended_to_the_last_process() {
    let world = World::open().await;
    // Nothing would bound it where there are no groups.
    let mut harmless = world.spawn(&with(sh("exec sleep 600"), FEW)).await;
    let is_bounded = is_of_group(&world, &harmless, LimitKind::Processes).await;
    harmless.stop(StopGraces::ABANDONED).await;
    if !is_bounded {
        return world.close().await;
    }
    let mut bomb = world.spawn(&with(python(BOMB), FEW)).await;
    let mut processes;
    loop {
        processes = limit(&world, &bomb, LimitKind::Processes).await;
        assert!(processes.used <= Some(20), "{processes:?}");
        if processes.hits > 100 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(processes.max, 20);
    let hits: u64 = world.host.limit_hits().iter().map(|(.., hits)| hits).sum();
    assert!(hits >= processes.hits, "{hits}");
    let folders = groups(world.state.path());
    assert!(!folders.is_empty());
    // Others are not disturbed.
    let mut other = world.spawn(&sh("sleep 600 & echo $!; wait")).await;
    numbers(&mut other, 1).await;
    bomb.stop(StopGraces::ABANDONED).await;
    for folder in &folders {
        let left = std::fs::read_dir(folder).unwrap().flatten().filter(|it| it.path().is_dir());
        assert_eq!(left.count(), 0, "a group is left in {}", folder.display());
    }
    other.stop(StopGraces::ABANDONED).await;
    world.close().await;
    assert!(exist(&folders).is_empty(), "{folders:?}");
}

#[tokio::test]
async fn what_uses_more_memory_than_its_limit_is_killed_and_that_is_said() {
    let world = World::open().await;
    let hog = python("import time\nx = b'x' * (256 << 20)\ntime.sleep(600)");
    let mut process = world.spawn(&with(hog, SMALL)).await;
    let kept = is_of_group(&world, &process, LimitKind::Memory).await;
    let exit = process.wait().await;
    if kept {
        assert_eq!(exit, Exit::OverMemoryLimit { limit_bytes: 64 * MIB });
        assert!(exit.to_string().contains("`limits.memory` = 64.0 MiB"), "{exit}");
        let remedy = process.remedy().await.expect("a remedy").words;
        assert!(remedy.contains("raise `limits.memory`"), "{remedy}");
    } else {
        // Without a group, it can't have the memory.
        assert_eq!(exit, Exit::Code(1));
    }
    process.stop(StopGraces::NONE).await;
    // A kill by somebody is not taken for one of the kernel.
    let mut other = world.spawn(&with(sh("sleep 600 & echo $!; wait"), SMALL)).await;
    numbers(&mut other, 1).await;
    crate::support::kill(i32::try_from(other.pid()).unwrap());
    let exit = other.wait().await;
    assert!(!matches!(exit, Exit::OverMemoryLimit { .. }), "{exit:?}");
    other.stop(StopGraces::NONE).await;
    world.close().await;
}

/// Has a child that needs too much memory and is killed, then prints the signal of its death.
const CHILD_KILLED: &str = "import os, time\n\
    if os.fork() == 0:\n \
      x = b'x' * (256 << 20)\n \
      os._exit(0)\n\
    print(os.wait()[1] & 127, flush=True)\n\
    time.sleep(600)";

#[tokio::test]
async fn a_kill_by_somebody_long_after_one_of_the_kernel_is_told_from_it() {
    let world = World::open().await;
    let mut process = world.spawn(&with(python(CHILD_KILLED), SMALL)).await;
    let memory = limit(&world, &process, LimitKind::Memory).await;
    // With version 2, the kernel kills the whole group.
    if memory.by == Some(LimitedBy::CgroupV1) {
        assert_eq!(numbers(&mut process, 1).await, [9]);
        assert_eq!(limit(&world, &process, LimitKind::Memory).await.hits, 1);
        // As long as the kill of the child could explain the end of its parent, and a second.
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        crate::support::kill(i32::try_from(process.pid()).unwrap());
        assert_eq!(process.wait().await, Exit::KilledBySomebody);
    }
    process.stop(StopGraces::NONE).await;
    world.close().await;
}

#[tokio::test]
async fn a_process_that_root_has_put_into_another_group_is_shown() {
    let world = World::open().await;
    let mut process = world.spawn(&with(sh("sleep 600 & echo $!; wait"), SMALL)).await;
    let child = numbers(&mut process, 1).await[0];
    let memory = limit(&world, &process, LimitKind::Memory).await;
    // Its base, which bounds it no more.
    let base = groups(world.state.path()).first().map(|group| group.join("../../cgroup.procs"));
    let has_left = memory.by == Some(LimitedBy::CgroupV1)
        && base.is_some_and(|base| std::fs::write(base, child.to_string()).is_ok());
    if has_left {
        assert_eq!(memory.note, None);
        let begin = std::time::Instant::now();
        loop {
            let memory = limit(&world, &process, LimitKind::Memory).await;
            if let Some(note) = memory.note {
                assert!(note.contains("have left the control group: 1"), "{note}");
                break;
            }
            assert!(begin.elapsed() < crate::support::CAP, "no note");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
    process.stop(StopGraces::ABANDONED).await;
    world.close().await;
}

/// Works as hard as it can for two seconds of the clock, then prints its CPU time in milliseconds.
const BUSY: &str = "import time\n\
    begin = time.monotonic()\n\
    while time.monotonic() < begin + 2: pass\n\
    print(int(time.process_time() * 1000), flush=True)\n\
    time.sleep(600)";

#[tokio::test]
async fn what_wants_more_cpu_time_than_its_limit_is_slowed_down() {
    let world = World::open().await;
    let half = LimitsSpec { cpus_max: Some(Cpus::from_thousandths(500)), ..NONE };
    let mut process = world.spawn(&with(python(BUSY), half)).await;
    if is_of_group(&world, &process, LimitKind::Cpus).await {
        let used = numbers(&mut process, 1).await[0];
        // A second, with what a period may be too long. Without the limit, two, or as much as others leave.
        assert!(used < 1_300, "{used} ms");
        let limit = limit(&world, &process, LimitKind::Cpus).await;
        assert_eq!(limit.max, 500);
        assert!(limit.hits > 0, "{limit:?}");
    }
    process.stop(StopGraces::ABANDONED).await;
    world.close().await;
}

#[tokio::test]
async fn use_and_limit_are_shown_together() {
    let world = World::open().await;
    let s0 = LimitsSpec {
        memory_bytes_max: Some(4 << 30),
        memory_bytes_reserved: Some(2 << 30),
        cpus_max: Some(Cpus::from_thousandths(2000)),
        processes_max: Some(64),
        files_max: Some(512),
    };
    let script =
        "import os, time\nx = b'x' * (64 << 20)\nos.fork()\nprint(1, flush=True)\ntime.sleep(600)";
    let mut process = world.spawn(&with(python(script), s0)).await;
    numbers(&mut process, 2).await;
    if is_of_group(&world, &process, LimitKind::Memory).await {
        let all = limits(&world, &process).await;
        let kinds: Vec<_> = all.iter().map(|limit| limit.kind).collect();
        assert_eq!(kinds, LimitKind::ALL);
        let [memory, reserved, cpus, processes, files] = &all[..] else { panic!("{all:?}") };
        assert_eq!((memory.max, reserved.max), (4 << 30, 2 << 30));
        let used = memory.used.expect("counted");
        assert!((64 * MIB..1 << 30).contains(&used), "{used}");
        assert_eq!((cpus.max, cpus.hits), (2000, 0));
        assert_eq!((processes.max, processes.used), (64, Some(2)));
        assert_eq!((files.max, files.by), (512, Some(LimitedBy::Rlimit)));
        assert!(
            reserved
                .note
                .as_deref()
                .is_some_and(|note| note.contains("taken first") || note.contains("protected"))
        );
    }
    process.stop(StopGraces::ABANDONED).await;
    assert_eq!(world.host.limits_of_all(vec![process.pid()]).await, [None]);
    world.close().await;
}

#[tokio::test]
async fn a_server_without_limits_has_no_group_and_no_record_of_one() {
    let world = World::open().await;
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let files = LimitsSpec { files_max: Some(64), ..NONE };
    for spec in [sh("echo $$; exec sleep 600"), with(sh("echo $$; exec sleep 600"), files)] {
        let mut process = world.spawn(&spec).await;
        let pid = numbers(&mut process, 1).await[0];
        let its = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        assert_eq!(its, own);
        process.stop(StopGraces::ABANDONED).await;
    }
    assert!(groups(world.state.path()).is_empty());
    world.close().await;
}

#[tokio::test]
async fn what_left_its_group_and_session_ends_with_its_instance() {
    let world = World::open().await;
    // Nothing but its control group tells whose it is: its environment and its limits are others.
    let script = "import os, resource, sys, time\n\
        if os.fork() == 0:\n \
          os.setsid()\n \
          if os.fork(): os._exit(0)\n \
          resource.setrlimit(10, (100, 100))\n \
          os.execve('/bin/sh', ['sh', '-c', 'echo $$; exec sleep 600'], {})\n\
        time.sleep(600)";
    let mut process = world.spawn(&with(python(script), FEW)).await;
    let pid = numbers(&mut process, 1).await[0];
    assert!(is_alive(pid));
    if is_of_group(&world, &process, LimitKind::Processes).await {
        process.stop(StopGraces::NONE).await;
        assert!(!is_alive(pid), "it outlived its instance");
    }
    process.stop(StopGraces::NONE).await;
    world.close().await;
}

#[tokio::test]
async fn without_control_groups_the_process_itself_is_limited_and_what_is_missing_is_said() {
    let (state, machine) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let host = ProcessHost::open_on(
        state.path(),
        guard_command(state.path()),
        exec_command(),
        machine.path(),
    )
    .await
    .unwrap();
    let world = World { state, host };
    let limits_wanted = LimitsSpec {
        memory_bytes_max: Some(512 * MIB),
        memory_bytes_reserved: Some(16 * MIB),
        cpus_max: Some(Cpus::from_thousandths(500)),
        processes_max: Some(64),
        files_max: Some(99),
    };
    let script = "import resource, time\n\
        print(resource.getrlimit(resource.RLIMIT_DATA)[1])\n\
        print(resource.getrlimit(resource.RLIMIT_NOFILE)[1])\n\
        try:\n x = b'x' * (1 << 30)\n\
        except MemoryError: print(1, flush=True)\n\
        time.sleep(600)";
    let mut process = world.spawn(&with(python(script), limits_wanted)).await;
    assert_eq!(numbers(&mut process, 3).await, [512 << 20, 99, 1]);
    let all = limits(&world, &process).await;
    let by: Vec<_> = all.iter().map(|limit| limit.by).collect();
    let rlimit = Some(LimitedBy::Rlimit);
    assert_eq!(by, [rlimit, None, None, None, rlimit]);
    for limit in &all[..4] {
        let note = limit.note.as_deref().expect("a note");
        assert!(note.contains("no control groups are mounted"), "{note}");
    }
    process.stop(StopGraces::ABANDONED).await;

    if rustix::process::getuid().is_root() {
        let mut spec = sh("ulimit -p; exec sleep 600");
        spec.user = Some("nobody".to_owned());
        let mut process = world.spawn(&with(spec, FEW)).await;
        assert_eq!(numbers(&mut process, 1).await, [20]);
        let processes = limit(&world, &process, LimitKind::Processes).await;
        assert_eq!(processes.by, rlimit);
        assert!(processes.note.unwrap().contains("all processes of user nobody"));
        process.stop(StopGraces::ABANDONED).await;
    }
    world.close().await;
}

/// A machine with version 2, as a tree of files. What the kernel does with them is not tested here.
#[tokio::test]
async fn version_2_gets_its_files_written() {
    let (state, machine) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = machine.path();
    let base = root.join("sys/fs/cgroup/system.slice/mainstay.service");
    std::fs::create_dir_all(root.join("proc/self")).unwrap();
    std::fs::create_dir_all(&base).unwrap();
    let mounts = "26 20 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
    std::fs::write(root.join("proc/self/mountinfo"), mounts).unwrap();
    std::fs::write(root.join("proc/self/cgroup"), "0::/system.slice/mainstay.service\n").unwrap();
    std::fs::write(base.join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
    let host =
        ProcessHost::open_on(state.path(), guard_command(state.path()), exec_command(), root)
            .await
            .unwrap();
    let world = World { state, host };
    let wanted = LimitsSpec {
        memory_bytes_max: Some(64 * MIB),
        memory_bytes_reserved: Some(32 * MIB),
        cpus_max: Some(Cpus::from_thousandths(1500)),
        processes_max: Some(9),
        files_max: None,
    };
    let spec = with(command(&["sleep", "600"]), wanted);
    let mut process = world.host.spawn(&spec, &name("far"), InstanceId(7)).await.unwrap();
    let of_daemon = groups(world.state.path()).pop().expect("recorded");
    assert!(of_daemon.starts_with(base.join("mainstay")), "{of_daemon:?}");
    let group = of_daemon.join("far-i7.0");
    let read = |file: &str| std::fs::read_to_string(group.join(file)).unwrap();
    for (file, expected) in [
        ("memory.max", (64 * MIB).to_string()),
        ("memory.low", (32 * MIB).to_string()),
        ("cpu.max", "150000 100000".to_owned()),
        ("pids.max", "9".to_owned()),
        ("cgroup.procs", process.pid().to_string()),
    ] {
        assert_eq!(read(file), expected, "{file}");
    }
    let by = |limit: &LimitStatus| limit.by == Some(LimitedBy::CgroupV2);
    let write = |file: &str, text: &str| std::fs::write(group.join(file), text).unwrap();
    write("memory.current", "33554432\n");
    write("memory.stat", "anon 1\ninactive_file 1048576\n");
    write("pids.current", "3\n");
    write("pids.events", "max 12\n");
    write("cpu.stat", "usage_usec 100\nnr_throttled 4\n");
    write("memory.events", "low 0\noom 1\noom_kill 2\n");
    let all = limits(&world, &process).await;
    assert!(all.iter().all(by), "{all:?}");
    let seen: Vec<_> = all.iter().map(|limit| (limit.used, limit.hits)).collect();
    assert_eq!(seen[0], (Some(31 * MIB), 2));
    assert_eq!(seen[3], (Some(3), 12));
    assert_eq!(seen[2].1, 4);
    // Killed at one stroke, where the kernel can.
    write("cgroup.kill", "0");
    process.stop(StopGraces::NONE).await;
    assert_eq!(read("cgroup.kill"), "1");
    assert_eq!(read("pids.max"), "0");
    world.host.shutdown().await;
    until("no process is left", || crate::support::children().is_empty()).await;
}
