//! Where the programs under test are, and fetching the peer that is not there yet.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use super::Args;
use super::setup::Kind;

const PEER: &str = "mcp-proxy";
const PEER_VERSION: &str = "0.6.0";
/// Compiling a peer takes minutes; half an hour means that it hangs.
const INSTALLING: Duration = Duration::from_secs(1800);

/// The programs by kind; a kind whose program is missing has a note that says why.
#[derive(Debug)]
pub(crate) struct Programs {
    /// This very program: servers, yardstick, load.
    pub(crate) bench: PathBuf,
    found: BTreeMap<Kind, PathBuf>,
    notes: BTreeMap<Kind, String>,
}

// === impl Programs ===

impl Programs {
    pub(crate) async fn find(args: &Args) -> Result<Self> {
        let bench = env::current_exe().context("cannot find this program")?;
        let mut programs =
            Self { bench: bench.clone(), found: BTreeMap::new(), notes: BTreeMap::new() };
        for kind in Kind::ALL {
            if !args.targets.is_empty() && !args.targets.contains(&kind) {
                continue;
            }
            let found = match kind {
                Kind::Direct | Kind::Bare => Ok(bench.clone()),
                Kind::Mainstay => mainstay(&bench),
                Kind::McpProxy => peer().await,
            };
            match found {
                Ok(path) => drop(programs.found.insert(kind, path)),
                Err(error) => drop(programs.notes.insert(kind, format!("{error:#}"))),
            }
        }
        Ok(programs)
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.found.contains_key(&kind)
    }

    pub(crate) fn path(&self, kind: Kind) -> Result<&Path> {
        self.found
            .get(&kind)
            .map(PathBuf::as_path)
            .with_context(|| format!("{} is not here", kind.title()))
    }

    /// Why some targets are left out.
    pub(crate) fn notes(&self) -> BTreeMap<Kind, String> {
        self.notes.clone()
    }
}

/// `MAINSTAY_BIN`, or the program built beside this one.
fn mainstay(bench: &Path) -> Result<PathBuf> {
    let path =
        env::var_os("MAINSTAY_BIN").map_or_else(|| bench.with_file_name("mainstay"), PathBuf::from);
    if !path.is_file() {
        bail!("no program at {}", path.display());
    }
    Ok(path)
}

async fn peer() -> Result<PathBuf> {
    let root = cache()?.join("peers");
    let path = root.join("bin").join(PEER);
    if path.is_file() {
        return Ok(path);
    }
    eprintln!("installing {PEER} {PEER_VERSION} into {}, once", root.display());
    let mut command = Command::new("cargo");
    command
        .args(["install", PEER, "--version", PEER_VERSION, "--locked", "--quiet", "--root"])
        .arg(&root);
    command.arg("--target-dir").arg(root.join("target")).stdin(Stdio::null()).kill_on_drop(true);
    let status = tokio::time::timeout(INSTALLING, command.status())
        .await
        .context("installing takes too long")?;
    // Gigabytes that nobody needs once the program is there.
    let _ = std::fs::remove_dir_all(root.join("target"));
    if !status.context("cannot run cargo")?.success() || !path.is_file() {
        bail!("{PEER} {PEER_VERSION} can't be installed");
    }
    Ok(path)
}

/// `MAINSTAY_CACHE`, else `mainstay` in the user's cache folder.
fn cache() -> Result<PathBuf> {
    let from = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("MAINSTAY_CACHE")
        .or_else(|| Some(from("XDG_CACHE_HOME")?.join("mainstay")))
        .or_else(|| Some(from("HOME")?.join(".cache/mainstay")))
        .context("no cache folder: set MAINSTAY_CACHE")
}
