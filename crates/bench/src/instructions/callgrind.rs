//! Valgrind's callgrind: its command line, and the count in the file it writes at the end.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;

/// Deadline of `valgrind --version`.
const LOOKING: Duration = Duration::from_secs(30);

/// The first version that supports `pidfd_open`, with which the daemon watches processes.
const WATCHES_PROCESSES: Version = Version { major: 3, minor: 21 };

/// A version of valgrind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
}

/// Looks for valgrind.
///
/// # Errors
///
/// When valgrind can't be run. The message says what to do about it.
pub(crate) async fn find() -> Result<Version> {
    let mut command = Command::new("valgrind");
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LOOKING, command.output())
        .await
        .context("`valgrind --version` does not end")?;
    let missing = "valgrind is needed to count instructions and can't be run; \
                   on Debian: apt-get install valgrind, or `make yardsticks` as root";
    let output = output.context(missing)?;
    ensure!(output.status.success(), missing);
    String::from_utf8_lossy(&output.stdout).parse()
}

/// The words before a program's own command line that have its instructions counted. `folder` gets
/// the file, whose name ends with the id of the process.
pub(crate) fn words(folder: &Path) -> Vec<OsString> {
    let mut out = OsString::from("--callgrind-out-file=");
    out.push(folder.join("callgrind.out.%p"));
    // One worker: with more, chance decides which of them wakes which, and that takes instructions.
    let before = ["env", "TOKIO_WORKER_THREADS=1", "valgrind", "--tool=callgrind", "--quiet"];
    before.into_iter().map(OsString::from).chain([out]).collect()
}

/// The file of process `pid`.
pub(crate) fn file(folder: &Path, pid: u32) -> PathBuf {
    folder.join(format!("callgrind.out.{pid}"))
}

/// The total of a callgrind file with the content `text`.
///
/// # Errors
///
/// When the text is not a complete callgrind file.
pub(crate) fn total(text: &str) -> Result<u64> {
    let after = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let Some(events) = after("events:") else {
        bail!("not a file of callgrind's: it names no events");
    };
    // `Ir`, instructions read, stands first unless it was asked for more.
    let at = events
        .split_ascii_whitespace()
        .position(|event| event == "Ir")
        .context("instructions were not counted")?;
    let totals = after("totals:").context("the file is not whole: it has no totals")?;
    let field = totals.split_ascii_whitespace().nth(at).context("a total is missing")?;
    field.parse().with_context(|| format!("{field:?} is no count"))
}

// === impl Version ===

impl Version {
    /// Whether a daemon that starts processes can run within it.
    pub(crate) fn watches_processes(self) -> bool {
        self >= WATCHES_PROCESSES
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    /// Parses the output of `valgrind --version`.
    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let mut parts = text.trim().strip_prefix("valgrind-")?.split('.');
            Some(Self { major: parts.next()?.parse().ok()?, minor: parts.next()?.parse().ok()? })
        };
        read().with_context(|| format!("valgrind has no version but {text:?}"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# callgrind format\nversion: 1\ncreator: callgrind-3.19.0\npid: 42\n\
                        cmd:  ./mainstay up\npart: 1\n\n\nevents: Ir\nsummary: 123\n\n\
                        fn=(1) main\n1 100\n+3 23\n\ntotals: 123\n";

    #[test]
    fn the_total_is_read() {
        assert_eq!(total(FILE).expect("a file"), 123);
        let more =
            FILE.replace("events: Ir", "events: Dr Ir").replace("totals: 123", "totals: 7 123");
        assert_eq!(total(&more).expect("a file"), 123);
    }

    #[test]
    fn a_file_that_can_not_be_read_is_an_error() {
        for (text, wanted) in [
            (String::new(), "names no events"),
            (FILE.replace("events: Ir", "events: Dr"), "not counted"),
            (FILE.replace("totals: 123\n", ""), "not whole"),
            (FILE.replace("totals: 123", "totals: "), "missing"),
            (FILE.replace("totals: 123", "totals: x"), "no count"),
        ] {
            let error = total(&text).expect_err(wanted).to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn versions_are_read_and_compared() {
        let version = |text: &str| text.parse::<Version>();
        for (text, watches) in [
            ("valgrind-3.19.0\n", false),
            ("valgrind-3.21.0", true),
            ("valgrind-3.25.0.GIT", true),
            ("valgrind-4.0.1", true),
        ] {
            assert_eq!(version(text).expect(text).watches_processes(), watches, "{text}");
        }
        assert_eq!(version("valgrind-3.19.0").expect("one").to_string(), "3.19");
        for text in ["", "valgrind", "valgrind-x.1", "3.19.0"] {
            assert!(version(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_file_is_named_by_its_process() {
        let folder = Path::new("/f");
        assert_eq!(words(folder)[5], "--callgrind-out-file=/f/callgrind.out.%p");
        assert_eq!(file(folder, 7), Path::new("/f/callgrind.out.7"));
    }
}
