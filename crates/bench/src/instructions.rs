//! Counts the user instructions of a small call in a daemon, under callgrind.
//!
//! Two runs differ only in the number of calls. The difference of their totals, divided by the
//! difference of calls, is the cost of a call; start, session and end cancel out. Each run is made
//! twice and the lower total counts, since disturbances only add. Unlike times, instructions are
//! the same on a busy machine: the figure repeats within 0.5 %.

mod callgrind;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use callgrind::Version;

use crate::run::kind::{Kind, Upstream};
use crate::run::peers::Programs;
use crate::run::setup::Setup;
use crate::run::until_interrupted;

/// Calls of both runs before those that are counted: pools fill, buffers grow, counters appear.
const WARM_UP_CALLS: u32 = 500;
/// The default number of calls: about twenty times the work of start and end.
pub(crate) const CALLS: u32 = 5_000;
/// Times that each run is made.
const REPETITIONS: u32 = 2;
/// A call takes about 1 ms under callgrind; this is for a machine that is busy with other things.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Longest time from the signal to the end, when the file is written.
const ENDING: Duration = Duration::from_secs(60);
/// Ids of calls repeat only after so many.
const IDS: u64 = 1_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct InstructionsArgs {
    /// A `mainstay` program, built for release.
    binary: PathBuf,
    /// The servers behind; without it, those that the valgrind here can do.
    #[arg(long, value_enum, value_delimiter = ',')]
    upstream: Vec<Upstream>,
    /// Calls that are counted.
    #[arg(long, default_value_t = CALLS, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    calls: u32,
    /// Keep callgrind's file, for `callgrind_annotate`; of the stdio server, `.stdio` is added to
    /// the name.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

/// The instruction counter, after valgrind was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counter {
    valgrind: Version,
}

/// Prints the instructions for a call of each server behind.
pub(crate) fn main(args: &InstructionsArgs) -> Result<()> {
    until_interrupted(async {
        let counter = Counter::find().await?;
        let mut found = serde_json::Map::new();
        for upstream in counter.choose(&args.upstream)? {
            let profile = args.profile.as_deref().map(|file| profile_name(file, upstream));
            let each =
                counter.count(&args.binary, upstream, args.calls, profile.as_deref()).await?;
            if args.json {
                found.insert(upstream.name().to_owned(), each.round().into());
            } else {
                println!("{each:.0} user instructions for a call, server over {}", upstream.name());
            }
        }
        if args.json {
            println!("{}", serde_json::Value::Object(found));
        }
        Ok(())
    })
}

// === impl Counter ===

impl Counter {
    /// Looks for valgrind.
    ///
    /// # Errors
    ///
    /// When valgrind can't be run. The message says what to do about it.
    pub(crate) async fn find() -> Result<Self> {
        Ok(Self { valgrind: callgrind::find().await? })
    }

    /// Whether a daemon in front of `upstream` can be counted.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn can(self, upstream: Upstream) -> Result<()> {
        ensure!(
            upstream == Upstream::Http || self.valgrind.watches_processes(),
            "the daemon needs pidfd_open to watch the processes it starts; valgrind {} does not \
             know it, 3.21 and newer do",
            self.valgrind
        );
        Ok(())
    }

    /// The wanted ones, all of which must be possible; of none, all that are, and a word about the
    /// others.
    fn choose(self, wanted: &[Upstream]) -> Result<Vec<Upstream>> {
        let mut chosen = Vec::new();
        let all = if wanted.is_empty() { &Upstream::ALL[..] } else { wanted };
        for &upstream in all {
            match self.can(upstream) {
                Ok(()) => chosen.push(upstream),
                Err(why) if wanted.is_empty() => {
                    eprintln!("server over {}: not counted: {why}", upstream.name());
                }
                Err(why) => return Err(why),
            }
        }
        Ok(chosen)
    }

    /// User instructions for a call through the daemon `binary`. The file of a longer run is copied
    /// to `profile`.
    pub(crate) async fn count(
        self,
        binary: &Path,
        upstream: Upstream,
        calls: u32,
        profile: Option<&Path>,
    ) -> Result<f64> {
        let folder = tempfile::tempdir()?;
        let programs = Programs::mainstay(binary)?.within(callgrind::words(folder.path()));
        let (mut few, mut many) = (u64::MAX, u64::MAX);
        for _ in 0..REPETITIONS {
            let file = run(&programs, folder.path(), upstream, WARM_UP_CALLS).await?;
            few = few.min(total(&file)?);
            let file = run(&programs, folder.path(), upstream, WARM_UP_CALLS + calls).await?;
            many = many.min(total(&file)?);
            if let Some(to) = profile {
                fs::copy(&file, to).with_context(|| format!("cannot write {}", to.display()))?;
            }
        }
        let more = many.checked_sub(few).context("more calls took fewer instructions")?;
        Ok(more as f64 / f64::from(calls))
    }
}

// === helpers ===

/// Starts the daemon, makes `calls` and ends it; gives callgrind's file.
async fn run(
    programs: &Programs,
    folder: &Path,
    upstream: Upstream,
    calls: u32,
) -> Result<PathBuf> {
    let mut setup = Setup::start(programs, Kind::Mainstay, upstream).await?;
    let made = make(&setup, calls).await;
    let mut daemon = setup.proxy.take().context("the daemon is a process")?;
    daemon.terminate()?;
    let ended = daemon.ended(ENDING).await;
    setup.stop().await;
    made?;
    ensure!(ended.is_some(), "the daemon does not end under callgrind: {}", daemon.last_words());
    Ok(callgrind::file(folder, daemon.pid))
}

/// Makes `calls`, one after the other, all of one session on one connection.
async fn make(setup: &Setup, calls: u32) -> Result<()> {
    let (mut connection, session) = setup.open().await?;
    let mut call = session.prepare(0, false);
    for number in 0..calls {
        call.number(number, IDS);
        match tokio::time::timeout(CALL_LIMIT, call.send(&mut connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => bail!("call {number} failed: {failure:?}"),
            Err(_) => bail!("call {number} is not answered in ten seconds"),
        }
    }
    session.close(&mut connection).await?;
    Ok(())
}

fn total(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("callgrind left no file {}", file.display()))?;
    callgrind::total(&text)
}

fn profile_name(file: &Path, upstream: Upstream) -> PathBuf {
    match upstream {
        Upstream::Http => file.to_owned(),
        Upstream::Stdio => {
            let mut name = file.as_os_str().to_owned();
            name.push(".stdio");
            name.into()
        }
    }
}
