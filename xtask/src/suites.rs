//! Everything that has to hold before a change goes in, suite by suite, with the minutes each took.
//!
//! A suite that fails does not keep the next ones from running: one run shows all that is wrong.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use crate::programs::cargo;
use crate::{floors, fuzz, maps, needs, requirements};

mod watched;

#[cfg(test)]
mod tests;

type Run = fn(&Path) -> anyhow::Result<Vec<String>>;

/// In the order they run: what is quick and often wrong comes first.
const SUITES: [(&str, Run); 7] = [
    ("format", format),
    ("lists", lists),
    ("dependencies", dependencies),
    ("lints", lints),
    ("tests", tests),
    ("fuzz", fuzz::briefly),
    ("conformance", conformance),
];

/// The names of the suites, in the order in which they run.
pub(crate) const NAMES: [&str; SUITES.len()] = {
    let mut names = [""; SUITES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = SUITES[at].0;
        at += 1;
    }
    names
};

struct Outcome {
    name: &'static str,
    took: Duration,
    /// The lines with which its runners ended, or why it failed.
    said: anyhow::Result<Vec<String>>,
}

/// Runs the named suites, or all of them, once all that they need is there.
pub(crate) fn run(root: &Path, named: &[String]) -> anyhow::Result<String> {
    let chosen = chosen(named)?;
    needs::provide(root, &chosen)?;
    let mut outcomes = Vec::new();
    for (name, suite) in SUITES {
        if !chosen.contains(&name) {
            continue;
        }
        println!("== {name}");
        let began = Instant::now();
        let said = suite(root);
        if let Err(error) = &said {
            eprintln!("{error:#}");
        }
        outcomes.push(Outcome { name, took: began.elapsed(), said });
    }
    let table = table(&outcomes);
    ensure!(outcomes.iter().all(|outcome| outcome.said.is_ok()), "a suite failed\n{table}");
    Ok(table)
}

/// Installs what the named suites need, or all of them, and runs none.
pub(crate) fn prepare(root: &Path, named: &[String]) -> anyhow::Result<String> {
    let chosen = chosen(named)?;
    needs::provide(root, &chosen)?;
    Ok(format!("all is here that is needed for {}", chosen.join(", ")))
}

fn chosen(named: &[String]) -> anyhow::Result<Vec<&'static str>> {
    if let Some(unknown) = named.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!("no suite `{unknown}`; there are: {}", NAMES.join(", "));
    }
    let is_chosen = |name: &&str| named.is_empty() || named.iter().any(|chosen| chosen == name);
    Ok(NAMES.into_iter().filter(is_chosen).collect())
}

fn table(outcomes: &[Outcome]) -> String {
    let mut lines = vec!["== minutes".to_owned()];
    for Outcome { name, took, said } in outcomes {
        let word = if said.is_ok() { "ok" } else { "FAILED" };
        lines.push(format!("{name:<14}{:>6.1}  {word}", took.as_secs_f64() / 60.0));
        match said {
            Ok(said) => lines.extend(said.iter().map(|line| format!("{:22}{line}", ""))),
            Err(error) => {
                let why = format!("{error:#}");
                lines.extend(why.lines().map(|line| format!("{:22}{}", "", line.trim())));
            }
        }
    }
    lines.join("\n")
}

fn format(root: &Path) -> anyhow::Result<Vec<String>> {
    watched::run(root, &cargo(), &["fmt", "--all", "--check"])?;
    watched::run(&root.join("fuzz"), &cargo(), &["fmt", "--check"])?;
    watched::run(&root.join("examples/ai-stack/embeddings"), &cargo(), &["fmt", "--check"])
}

fn lints(root: &Path) -> anyhow::Result<Vec<String>> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    watched::run(root, &cargo(), &arguments)
}

fn lists(root: &Path) -> anyhow::Result<Vec<String>> {
    Ok(vec![requirements::check(root)?, floors::check(root)?, maps::check(root)?])
}

/// Licences, duplicates and sources.
fn dependencies(root: &Path) -> anyhow::Result<Vec<String>> {
    let checks = ["check", "licenses", "bans", "sources"];
    watched::run(root, Path::new("cargo-deny"), &checks)
}

fn tests(root: &Path) -> anyhow::Result<Vec<String>> {
    // One more than there are processors, because many tests wait for times to pass.
    let threads = std::thread::available_parallelism().map_or(2, usize::from) + 1;
    let threads = threads.to_string();
    let arguments = ["nextest", "run", "--workspace", "--no-fail-fast", "--test-threads", &threads];
    watched::run(root, &cargo(), &arguments)
}

/// The protocol's own suite, and real clients and servers, through the gateway. The programs are
/// those the tests are built with: for fewer packages, features would differ, and with them what
/// has to be compiled.
fn conformance(root: &Path) -> anyhow::Result<Vec<String>> {
    watched::run(root, &cargo(), &["build", "--workspace", "--bins", "--tests"])?;
    watched::run(root, &root.join("conformance/gateway.sh"), &[])
}
