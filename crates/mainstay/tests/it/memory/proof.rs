//! The attacks in full, against a daemon in a control group of 300 MiB: `cargo xtask proof memory`.
//!
//! `MAINSTAY_PROOF_BINARY` names another program to try them on. What it does not withstand is in the
//! table as well.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use mainstay_testkit::{Daemon, Site};
use serde_json::json;

use super::attacks::{self, Held};
use super::{Arena, Memory};

const MIB: u64 = 1 << 20;
const LIMIT: u64 = 300 * MIB;

/// What other clients may have to wait, and how soon the memory has to be back.
const CALL_MAX: Duration = Duration::from_secs(1);
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// How close to its beginning the memory has to come back.
const BACK_TO: u64 = 16 * MIB;

/// A control group of version 1, removed when dropped.
struct Group(PathBuf);

/// What an attack did.
struct Outcome {
    alive: bool,
    longest: Option<Duration>,
    before: u64,
    most: u64,
    after: u64,
    /// When the memory was back. None: it was not, or the daemon is gone.
    back: Option<Duration>,
    note: String,
}

// === impl Group ===

impl Group {
    /// Creates a group. None where that is not possible.
    fn create() -> Option<Self> {
        let name = format!("mainstay-proof-{}", std::process::id());
        let path = Path::new("/sys/fs/cgroup/memory").join(name);
        std::fs::create_dir(&path).ok()?;
        let group = Self(path);
        std::fs::write(group.0.join("memory.limit_in_bytes"), LIMIT.to_string()).ok()?;
        Some(group)
    }

    /// The start of a program in this group, after a line of shell.
    fn script(&self, before: &str) -> String {
        format!("echo $$ > {}/cgroup.procs; {before} exec \"$@\"", self.0.display())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The last process may need a moment to be gone.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn binary() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_BIN_EXE_mainstay"));
    std::env::var_os("MAINSTAY_PROOF_BINARY").map_or_else(own, PathBuf::from)
}

fn is_alive(pid: i32) -> bool {
    mainstay_testkit::process::Process::find(pid).is_some()
}

/// Runs one attack against a daemon of its own, which starts after a line of shell.
async fn run(
    before_start: &str,
    gateway: &str,
    sites: &[&Site],
    attack: impl AsyncFnOnce(&Arena) -> Held,
) -> Outcome {
    run_prepared(before_start, gateway, sites, async |_| (), async |arena, ()| attack(arena).await)
        .await
}

/// The same for an attack on what clients have done before, which counts as the beginning.
async fn run_prepared<T>(
    before_start: &str,
    gateway: &str,
    sites: &[&Site],
    prepare: impl AsyncFnOnce(&Arena) -> T,
    attack: impl AsyncFnOnce(&Arena, T) -> Held,
) -> Outcome {
    let group = Group::create().expect("it could be created before");
    let mut builder = Daemon::builder(binary()).script(&group.script(before_start));
    for (number, site) in sites.iter().enumerate() {
        builder = builder.url_server(&format!("list{number}"), &site.url());
    }
    let arena = Arena::start(builder, gateway).await;
    let pid = arena.daemon.pid();
    let prepared = prepare(&arena).await;
    let before = arena.memory().now;
    // An attack gives up when the daemon dies under it.
    let held = AssertUnwindSafe(attack(&arena, prepared)).catch_unwind().await;
    if let Err(failure) = &held
        && is_alive(pid)
    {
        panic!("the attack failed: {}", failure.downcast_ref::<String>().map_or("", |say| say));
    }
    // As long as the attack goes on, another client calls.
    let mut longest = Some(Duration::ZERO);
    let until = Instant::now() + Duration::from_secs(10);
    while let Some(so_far) = longest.filter(|_| Instant::now() < until) {
        let begun = Instant::now();
        let called = arena.witness.call("echo", json!({})).await;
        longest = called.ok().map(|_| so_far.max(begun.elapsed()));
    }
    // A process that is ending has no memory any more.
    let alive = is_alive(pid) && Memory::of(pid).now > 0;
    let most = if alive { arena.memory().most } else { LIMIT };
    drop(held);
    let begun = Instant::now();
    let mut back = None;
    let mut after = 0;
    while alive && is_alive(pid) && back.is_none() && begun.elapsed() < BACK_WITHIN {
        after = Memory::of(pid).now;
        back = (after < before + BACK_TO).then(|| begun.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut note = String::new();
    if alive {
        for kind in ["bodies", "answers", "streams", "lists", "questions"] {
            let refused = format!("mainstay_memory_refusals_total{{kind=\"{kind}\"}} ");
            let text = match arena.witness.plain("GET", "/metrics").await {
                Ok(mut reply) => reply.text().await.unwrap_or_default(),
                Err(_) => break,
            };
            let count = text.lines().find_map(|line| line.strip_prefix(&refused)).unwrap_or("0");
            if count != "0" {
                note.push_str(&format!(" {count} {kind}"));
            }
        }
    }
    Outcome { alive, longest, before, most, after, back, note }
}

impl Outcome {
    fn row(&self, name: &str) -> String {
        let time = |time: Option<Duration>| match time {
            Some(time) => format!("{:.2} s", time.as_secs_f64()),
            None => "never".to_owned(),
        };
        format!(
            "{name:<34} {:<6} {:>9} {:>8} {:>8} {:>8} {:>9} {}",
            if self.alive { "alive" } else { "KILLED" },
            time(self.longest),
            format!("{} MiB", self.before / MIB),
            format!("{} MiB", self.most / MIB),
            format!("{} MiB", self.after / MIB),
            time(self.back),
            self.note
        )
    }

    fn holds(&self) -> bool {
        self.alive && self.back.is_some() && self.longest.is_some_and(|longest| longest < CALL_MAX)
    }
}

/// The lists of a server stay as long as it is configured, so their memory does not come back.
fn holds_for_lists(outcome: &Outcome) -> bool {
    outcome.alive && outcome.longest.is_some_and(|longest| longest < CALL_MAX)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and root: `make proof`"]
#[expect(clippy::print_stdout, reason = "the table is what is asked for")]
async fn every_attack_is_withstood_in_300_mib() {
    let Some(group) = Group::create() else {
        println!("skipped: there is no control group of version 1 for memory that can be changed");
        return;
    };
    drop(group);
    println!("{}: {} MiB", binary().display(), LIMIT / MIB);
    println!(
        "{:<34} {:<6} {:>9} {:>8} {:>8} {:>8} {:>9} refused",
        "attack", "daemon", "others", "before", "most", "after", "back in"
    );
    let mut held = Vec::new();
    let mut judge = |name: &str, outcome: &Outcome, holds: bool| {
        println!("{}", outcome.row(name));
        if !holds {
            held.push(name.to_owned());
        }
    };
    let name = "150 unfinished bodies of 4 MiB";
    let outcome =
        run("", "", &[], async |arena| attacks::unfinished_bodies(arena, 150, 4 << 20).await).await;
    judge(name, &outcome, outcome.holds());
    let name = "20 unread answers of 50 MiB";
    let outcome =
        run("", "", &[], async |arena| attacks::unread_answers(arena, 20, 50 << 20).await).await;
    judge(name, &outcome, outcome.holds());
    let name = "20 unread streams of 15 MiB";
    let outcome =
        run("", "", &[], async |arena| attacks::unread_streams(arena, 20, 15 << 20).await).await;
    judge(name, &outcome, outcome.holds());
    let name = "a batch of 100 answers of 10 MiB";
    let outcome = run("", "", &[], async |arena| attacks::batch(arena, 100, 10 << 20).await).await;
    judge(name, &outcome, outcome.holds());
    let name = "1,200 unread questions of 1 MB";
    let prepare = async |arena: &Arena| attacks::interactive_sessions(arena, 75).await;
    let outcome = run_prepared("", "", &[], prepare, async |_, clients| {
        attacks::unread_questions(&clients, (4, 4), 1_000_000).await
    })
    .await;
    judge(name, &outcome, outcome.holds());
    let name = "60 unread streams of notifications";
    let outcome =
        run("", "", &[], async |arena| attacks::unread_notifications(arena, 60, 500).await).await;
    judge(name, &outcome, outcome.holds());
    let name = "2,200 heads of 30 KB without an end";
    let outcome =
        run("", "", &[], async |arena| attacks::endless_heads(arena, 2_200, 30_000).await).await;
    judge(name, &outcome, outcome.holds());
    let name = "400 connections, 200 descriptors";
    let outcome =
        run("ulimit -n 200;", "", &[], async |arena| attacks::connections(arena, 400).await).await;
    judge(name, &outcome, outcome.holds());
    let sites: Vec<_> = (0..4).map(|_| Site::start(&["--fat=30", "--endless"])).collect();
    let name = "4 servers, list pages of 30 MB";
    let outcome = run("", "", &sites.iter().collect::<Vec<_>>(), async |_| {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Held::default()
    })
    .await;
    judge(name, &outcome, holds_for_lists(&outcome));
    let name = "20,000 sessions never used";
    let outcome = run("", "", &[], async |arena| {
        attacks::initializes(&arena.daemon, 20_000).await;
        Held::default()
    })
    .await;
    judge(name, &outcome, holds_for_lists(&outcome));
    assert!(held.is_empty(), "not withstood: {}", held.join(", "));
}
