//! Finds the programs under test, and fetches missing peers.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use super::args::RunArgs;
use super::kind::Kind;

/// Compiling a peer takes minutes; half an hour means that it hangs.
const INSTALLING: Duration = Duration::from_secs(1800);

/// The programs by kind. A missing program has a note that says why.
#[derive(Debug)]
pub(crate) struct Programs {
    /// This program: servers, yardstick, load.
    pub(crate) bench: PathBuf,
    found: BTreeMap<Kind, PathBuf>,
    /// A command that the program under test runs within. Empty: none.
    within: Vec<OsString>,
    notes: BTreeMap<Kind, String>,
}

/// A peer as its registry knows it.
#[derive(Debug, Clone, Copy)]
struct Peer {
    registry: Registry,
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Registry {
    Crates,
    Pypi,
    Npm,
}

const fn peer(registry: Registry, name: &'static str, version: &'static str) -> Peer {
    Peer { registry, name, version }
}

// === impl Programs ===

impl Programs {
    pub(crate) async fn find(args: &RunArgs) -> Result<Self> {
        let mut programs = Self::none()?;
        let bench = programs.bench.clone();
        for kind in Kind::ALL {
            if !args.targets.is_empty() && !args.targets.contains(&kind) {
                continue;
            }
            let found = match kind {
                Kind::Direct | Kind::Bare => Ok(bench.clone()),
                Kind::Nginx => installed("nginx"),
                Kind::Haproxy => installed("haproxy"),
                Kind::Mainstay => mainstay(&bench),
                Kind::McpProxy => peer(Registry::Crates, "mcp-proxy", "0.6.0").path().await,
                Kind::McpProxyPypi => peer(Registry::Pypi, "mcp-proxy", "0.13.0").path().await,
                Kind::Fastmcp => peer(Registry::Pypi, "fastmcp", "4.1.0").path().await,
                Kind::Supergateway => peer(Registry::Npm, "supergateway", "4.0.0").path().await,
                Kind::McpProxyNpm => peer(Registry::Npm, "mcp-proxy", "6.7.19").path().await,
            };
            match found {
                Ok(path) => drop(programs.found.insert(kind, path)),
                Err(error) => drop(programs.notes.insert(kind, format!("{error:#}"))),
            }
        }
        Ok(programs)
    }

    /// Only the daemon at `path`.
    pub(crate) fn mainstay(path: &Path) -> Result<Self> {
        let mut programs = Self::none()?;
        let path =
            path.canonicalize().with_context(|| format!("no program at {}", path.display()))?;
        programs.found.insert(Kind::Mainstay, path);
        Ok(programs)
    }

    /// Only HAProxy.
    ///
    /// # Errors
    ///
    /// When it is not installed.
    pub(crate) fn haproxy() -> Result<Self> {
        let mut programs = Self::none()?;
        programs.found.insert(Kind::Haproxy, installed("haproxy")?);
        Ok(programs)
    }

    fn none() -> Result<Self> {
        let bench = env::current_exe().context("cannot find this program")?;
        Ok(Self { bench, found: BTreeMap::new(), within: Vec::new(), notes: BTreeMap::new() })
    }

    /// Runs the programs under test within another one: `words` and their own command line.
    pub(crate) fn within(self, words: Vec<OsString>) -> Self {
        Self { within: words, ..self }
    }

    /// The command line that starts `kind` with `args`.
    pub(crate) fn words(&self, kind: Kind, args: Vec<String>) -> Result<Vec<OsString>> {
        let mut words = self.within.clone();
        words.push(self.path(kind)?.into());
        words.extend(args.into_iter().map(OsString::from));
        Ok(words)
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

// === impl Peer ===

impl Peer {
    /// The path of the program, which is installed if it is missing.
    async fn path(self) -> Result<PathBuf> {
        let Self { registry, name, version } = self;
        let peers = cache()?.join("peers");
        let (folder, program) = match registry {
            Registry::Crates => (peers.clone(), peers.join("bin").join(name)),
            // Each gets its own environment, since their dependencies conflict.
            Registry::Pypi => {
                let folder = peers.join("bench").join(format!("{name}-pypi-{version}"));
                (folder.clone(), folder.join("bin").join(name))
            }
            Registry::Npm => {
                let folder = peers.join("bench").join(format!("{name}-npm-{version}"));
                (folder.clone(), folder.join("node_modules/.bin").join(name))
            }
        };
        if program.is_file() {
            return Ok(program);
        }
        eprintln!("installing {name} {version} into {}, once", folder.display());
        self.install(&folder).await?;
        if !program.is_file() {
            bail!("{name} {version} has no program {}", program.display());
        }
        Ok(program)
    }

    async fn install(self, folder: &Path) -> Result<()> {
        let Self { registry, name, version } = self;
        let installed = match registry {
            Registry::Crates => {
                let target = folder.join("target");
                let mut command = Command::new("cargo");
                command.args(["install", name, "--version", version, "--locked", "--quiet"]);
                command.arg("--root").arg(folder).arg("--target-dir").arg(&target);
                let installed = finish(command).await;
                // The build takes gigabytes, which are not needed once the program is there.
                let _ = std::fs::remove_dir_all(target);
                installed
            }
            Registry::Pypi => {
                let mut command = Command::new("python3");
                command.args(["-m", "venv", "--clear"]).arg(folder);
                finish(command).await?;
                let mut command = Command::new(folder.join("bin/pip"));
                command.args(["install", "--quiet", "--disable-pip-version-check"]);
                command.arg(format!("{name}=={version}"));
                finish(command).await
            }
            Registry::Npm => {
                let mut command = Command::new("npm");
                command.args([
                    "install",
                    "--silent",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                ]);
                command.arg("--prefix").arg(folder).arg(format!("{name}@{version}"));
                finish(command).await
            }
        };
        installed.with_context(|| format!("{name} {version} can't be installed"))
    }
}

// === helpers ===

/// Runs an installer to its end.
async fn finish(mut command: Command) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let tool = command.as_std().get_program().to_string_lossy().into_owned();
    let status = tokio::time::timeout(INSTALLING, command.status())
        .await
        .with_context(|| format!("{tool} takes too long"))?
        .with_context(|| format!("cannot run {tool}"))?;
    if !status.success() {
        bail!("{tool} ended with {status}");
    }
    Ok(())
}

/// A program of the system's; those of daemons are often in folders that only root looks in.
fn installed(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .with_context(|| {
            format!("not installed; as root: make yardsticks, or apt-get install {name}")
        })
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

/// `MAINSTAY_CACHE`, else `mainstay` in the user's cache folder.
fn cache() -> Result<PathBuf> {
    let from = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("MAINSTAY_CACHE")
        .or_else(|| Some(from("XDG_CACHE_HOME")?.join("mainstay")))
        .or_else(|| Some(from("HOME")?.join(".cache/mainstay")))
        .context("no cache folder: set MAINSTAY_CACHE")
}
