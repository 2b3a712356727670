//! Packages as commands name them, and the runners that fetch and run them.

/// A program that fetches a package and runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    Npx,
    NpmExec,
    PnpmDlx,
    Bunx,
    Uvx,
    UvToolRun,
    PipxRun,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Registry {
    Npm,
    Pypi,
}

/// A package as a command names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub registry: Registry,
    /// The name without extras.
    pub name: String,
    /// `[a,b]` of Python packages; else empty.
    pub extras: String,
    /// The one version that is meant; none where it may be another one tomorrow.
    pub version: Option<String>,
    /// The package as written in the command.
    pub written: String,
    /// The version or range to look up in the registry, to find out which version is meant now.
    pub wanted: String,
}

/// Why a command of a package runner can't be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    #[error("the command names no package")]
    NoPackage,
    #[error("what `{0}` does is unknown")]
    Option(String),
    #[error("`{0}` is not a package of a registry")]
    NotOfRegistry(String),
    #[error("arguments after the package may be the runner's own; write `--` before them")]
    Ambiguous,
}

/// The parsed words of a command.
pub(super) struct RunnerWords {
    pub(super) packages: Vec<Package>,
    pub(super) options: Vec<String>,
    pub(super) program: Option<String>,
    pub(super) words: usize,
}

/// The file name of a program.
pub(super) fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

// === impl Runner ===

impl Runner {
    /// The runner at the beginning of a command, and the number of words of its name.
    pub(super) fn at_start(words: &[&str]) -> Option<(Self, usize)> {
        let program = base(words.first()?);
        let second = words.get(1).copied().unwrap_or_default();
        let third = words.get(2).copied().unwrap_or_default();
        Some(match (program, second, third) {
            ("npx", ..) => (Self::Npx, 1),
            ("npm", "exec" | "x", _) => (Self::NpmExec, 2),
            ("pnpm", "dlx", _) => (Self::PnpmDlx, 2),
            ("pnpx", ..) => (Self::PnpmDlx, 1),
            ("bunx", ..) => (Self::Bunx, 1),
            ("bun", "x", _) => (Self::Bunx, 2),
            ("uvx", ..) => (Self::Uvx, 1),
            ("uv", "tool", "run") => (Self::UvToolRun, 3),
            ("pipx", "run", _) => (Self::PipxRun, 2),
            _ => return None,
        })
    }

    /// The runner's name, as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Npx => "npx",
            Self::NpmExec => "npm exec",
            Self::PnpmDlx => "pnpm dlx",
            Self::Bunx => "bunx",
            Self::Uvx => "uvx",
            Self::UvToolRun => "uv tool run",
            Self::PipxRun => "pipx run",
        }
    }
}

// === impl Registry ===

impl Registry {
    pub fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pypi => "pypi",
        }
    }
}

// === impl Package ===

impl Package {
    /// The package with exactly this version, as a command names it.
    pub fn at(&self, version: &str) -> String {
        match self.registry {
            Registry::Npm => format!("{}@{version}", self.name),
            Registry::Pypi => format!("{}{}=={version}", self.name, self.extras),
        }
    }
}
