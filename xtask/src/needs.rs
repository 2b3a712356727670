//! What the suites need beside the compiler: installed where that can be done, or named all at once
//! before anything long runs.

use std::path::Path;

use anyhow::{Context, bail};

use crate::programs::{answers, cargo, command, tools};

mod install;
mod peers;

#[cfg(test)]
mod tests;

/// Something without which a suite can't run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Need {
    what: &'static str,
    /// Suites that use it.
    suites: &'static [&'static str],
    /// A command that ends well where it is there. `cargo` is the one of this run.
    check: &'static [&'static str],
    from: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A crate with a program, at a version, which goes into the cache folder.
    Crates { name: &'static str, version: &'static str },
    /// Packages of Debian, which root can install.
    Debian(&'static [&'static str]),
    /// A part of the toolchain, by the command that adds it.
    Toolchain(&'static str),
}

const NEEDS: [Need; 19] = [
    Need {
        what: "rustfmt",
        suites: &["format"],
        check: &["cargo", "fmt", "--version"],
        from: Source::Toolchain("rustup component add rustfmt"),
    },
    Need {
        what: "clippy",
        suites: &["lints"],
        check: &["cargo", "clippy", "--version"],
        from: Source::Toolchain("rustup component add clippy"),
    },
    Need {
        what: "cargo-deny",
        suites: &["dependencies"],
        check: &["cargo-deny", "--version"],
        from: Source::Crates { name: "cargo-deny", version: "0.20.2" },
    },
    Need {
        what: "cargo-nextest",
        suites: &["tests"],
        check: &["cargo-nextest", "nextest", "--version"],
        from: Source::Crates { name: "cargo-nextest", version: "0.9.143" },
    },
    Need {
        what: "nginx",
        suites: &["tests"],
        check: &["nginx", "-v"],
        from: Source::Debian(&["nginx-light"]),
    },
    Need {
        what: "redis-server",
        suites: &["tests"],
        check: &["redis-server", "--version"],
        from: Source::Debian(&["redis-server"]),
    },
    Need {
        what: "PostgreSQL",
        suites: &["tests"],
        // Debian puts its programs beside each other by version, and into nobody's PATH.
        check: &["sh", "-c", "ls /usr/lib/postgresql/*/bin/postgres"],
        from: Source::Debian(&["postgresql"]),
    },
    Need {
        what: "openssl",
        suites: &["tests"],
        check: &["openssl", "version"],
        from: Source::Debian(&["openssl"]),
    },
    Need {
        what: "curl",
        suites: &["tests"],
        check: &["curl", "--version"],
        from: Source::Debian(&["curl"]),
    },
    Need {
        what: "zsh",
        suites: &["tests"],
        check: &["zsh", "--version"],
        from: Source::Debian(&["zsh"]),
    },
    Need {
        what: "fish",
        suites: &["tests"],
        check: &["fish", "--version"],
        from: Source::Debian(&["fish"]),
    },
    Need {
        what: "busybox",
        suites: &["tests"],
        check: &["busybox", "sh", "-c", ":"],
        from: Source::Debian(&["busybox"]),
    },
    Need {
        what: "systemd-analyze",
        suites: &["tests"],
        check: &["systemd-analyze", "--version"],
        from: Source::Debian(&["systemd"]),
    },
    Need {
        what: "a C++ compiler",
        suites: &["fuzz"],
        check: &["c++", "--version"],
        from: Source::Debian(&["g++"]),
    },
    Need {
        what: "node",
        suites: &["conformance"],
        check: &["node", "--version"],
        from: Source::Debian(&["nodejs"]),
    },
    Need {
        what: "npm",
        suites: &["conformance"],
        check: &["npm", "--version"],
        from: Source::Debian(&["npm"]),
    },
    Need {
        what: "Python 3.11 or later",
        suites: &["tests", "conformance"],
        check: &["python3", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
        from: Source::Debian(&["python3"]),
    },
    Need {
        what: "Python's venv",
        suites: &["conformance"],
        check: &["python3", "-c", "import venv, ensurepip"],
        from: Source::Debian(&["python3-venv"]),
    },
    Need {
        what: "git",
        suites: &["conformance"],
        check: &["git", "--version"],
        from: Source::Debian(&["git"]),
    },
];

/// Sees that all is there that these suites need, and begins to fetch the peers of conformance.
///
/// # Errors
/// When something is missing that can't be installed here: names all of that, and how to get it.
pub(crate) fn provide(root: &Path, suites: &[&str]) -> anyhow::Result<()> {
    let wanted: Vec<Need> = NEEDS
        .into_iter()
        .filter(|need| need.suites.iter().any(|suite| suites.contains(suite)))
        .collect();
    let mut problems = Vec::new();
    let missing: Vec<Need> = wanted.iter().copied().filter(|need| !is_here(need)).collect();
    let can_install = install::has_apt_as_root();
    let (own, others) = split(&missing, can_install);
    problems.extend(told(&others));
    // Nothing is fetched for a run that can't be.
    if problems.is_empty() {
        problems.extend(install::all(&own));
        let left = own.iter().filter(|need| problems.is_empty() && !is_here(need));
        let left: Vec<String> =
            left.map(|need| format!("{}: was installed and does not answer", need.what)).collect();
        problems.extend(left);
    }
    if problems.is_empty() && suites.contains(&"conformance") {
        problems.extend(peers::begin(root).context("the peers of conformance")?);
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!("missing, and can't be installed here:\n  {}", problems.join("\n  "))
}

fn is_here(need: &Need) -> bool {
    let [program, arguments @ ..] = need.check else { return true };
    if *program == "cargo" {
        return answers(&cargo(), arguments);
    }
    answers(Path::new(program), arguments)
}

/// What is installed here, and what somebody else has to.
fn split(missing: &[Need], can_install: bool) -> (Vec<Need>, Vec<Need>) {
    let is_ours = |need: &&Need| match need.from {
        Source::Crates { .. } => true,
        Source::Debian(_) => can_install,
        Source::Toolchain(_) => false,
    };
    missing.iter().copied().partition(|need| is_ours(&need))
}

/// What is missing and how to get it: packages in one command.
fn told(missing: &[Need]) -> Vec<String> {
    let (debian, others): (Vec<Need>, Vec<Need>) =
        missing.iter().partition(|need| matches!(need.from, Source::Debian(_)));
    let mut told: Vec<String> =
        others.iter().map(|need| format!("{}: {}", need.what, how(need.from))).collect();
    if !debian.is_empty() {
        let names: Vec<&str> = debian.iter().map(|need| need.what).collect();
        let packages: Vec<&str> =
            debian.iter().flat_map(|need| install::packages(need.from)).copied().collect();
        told.push(format!("{}: {}", names.join(", "), how_packages(&packages)));
    }
    told
}

fn how_packages(packages: &[&str]) -> String {
    format!("as root on Debian or Ubuntu, `apt-get install {}`", packages.join(" "))
}

fn how(from: Source) -> String {
    match from {
        Source::Crates { name, version } => {
            let folder =
                tools().map_or_else(|_| "CACHE/tools".into(), |tools| tools.display().to_string());
            format!("cargo install --locked --root {folder} {name}@{version}")
        }
        Source::Debian(packages) => how_packages(packages),
        Source::Toolchain(command) => format!("`{command}`"),
    }
}
