//! Installing: programs of crates into the cache folder, packages of Debian as root.

use std::path::Path;
use std::process::Command;

use super::{Need, Source, answers, cargo, command, how, tools};

/// Whether packages of Debian can be installed by whoever runs this.
pub(super) fn has_apt_as_root() -> bool {
    let user = Command::new("id").arg("-u").output();
    let is_root = user.is_ok_and(|said| said.stdout.trim_ascii() == b"0");
    is_root && answers(Path::new("apt-get"), &["--version"])
}

/// Installs all of these; what did not work, and how to get it otherwise.
pub(super) fn all(needs: &[Need]) -> Vec<String> {
    let mut problems = Vec::new();
    let debian: Vec<&str> = needs.iter().flat_map(|need| packages(need.from)).copied().collect();
    if !debian.is_empty()
        && let Err(why) = packages_of_debian(&debian)
    {
        let failed = needs.iter().filter(|need| !packages(need.from).is_empty());
        problems.extend(failed.map(|need| format!("{}: {why}; {}", need.what, how(need.from))));
    }
    for need in needs {
        if let Source::Crates { name, version } = need.from
            && let Err(why) = program_of_crate(name, version)
        {
            problems.push(format!("{}: {why}; {}", need.what, how(need.from)));
        }
    }
    problems
}

pub(super) fn packages(from: Source) -> &'static [&'static str] {
    match from {
        Source::Debian(packages) => packages,
        Source::Crates { .. } | Source::Toolchain(_) => &[],
    }
}

/// No service of a package is started.
fn packages_of_debian(packages: &[&str]) -> Result<(), String> {
    println!("installing {}", packages.join(" "));
    let quiet = ["-y", "-qq", "--no-install-recommends"];
    let updated = run(command(Path::new("apt-get")).args(["update", "-qq"]));
    updated?;
    let mut install = command(Path::new("apt-get"));
    install.arg("install").args(quiet).args(packages);
    run(install.env("RUNLEVEL", "1").env("DEBIAN_FRONTEND", "noninteractive"))
}

/// A target folder of the tests would be rebuilt for it.
fn program_of_crate(name: &str, version: &str) -> Result<(), String> {
    println!("installing {name} {version}");
    let root = tools().map_err(|error| error.to_string())?;
    let mut install = command(&cargo());
    install.args(["install", "--locked", "--quiet", "--root"]).arg(root);
    install.arg(format!("{name}@{version}")).env_remove("CARGO_TARGET_DIR");
    run(&mut install)
}

/// Runs a command; on failure, why: the last line that it said.
fn run(command: &mut Command) -> Result<(), String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("can't start {shown}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("{shown} failed: {}", last.trim()))
}
