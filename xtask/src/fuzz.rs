//! Bounded runs of the fuzz targets, with the stable compiler and nothing installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::programs::cargo;
use crate::sources;

/// How the code under test is instrumented: counters on every edge, and comparisons traced so that
/// the fuzzer learns which bytes a branch wants. All of this is stable; sanitizers are not, and
/// without `unsafe` there is little for them to find.
const INSTRUMENTED: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 --cfg fuzzing";

/// Unless another time is given.
const SECONDS: u32 = 30;
/// For each target among the suites: what was found before and what is shallow comes up again at once.
const SECONDS_BRIEFLY: u32 = 10;

/// Larger inputs only make runs slower: what can go wrong goes wrong in small ones.
const INPUT_BYTES_MAX: u32 = 4096;

/// `[SECONDS] [NAME…]`: runs the named targets, or all of them.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<String> {
    let folder = root.join("fuzz");
    let (seconds, named) = match arguments.split_first() {
        Some((first, rest)) if first.bytes().all(|byte| byte.is_ascii_digit()) => {
            (first.parse().context("seconds")?, rest)
        }
        _ => (SECONDS, arguments),
    };
    let all = targets(&folder)?;
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("no target `{unknown}`; there are: {}", all.join(", "));
    }
    let chosen = if named.is_empty() { &all } else { named };
    let runs = fuzz_each(&folder, chosen, seconds)?;
    Ok(format!("fuzzed for {seconds} s each, nothing found: {}", runs.join(", ")))
}

/// Compiles all targets and runs each of them briefly. Returns how often each ran.
pub(crate) fn briefly(root: &Path) -> anyhow::Result<Vec<String>> {
    let folder = root.join("fuzz");
    fuzz_each(&folder, &targets(&folder)?, SECONDS_BRIEFLY)
}

fn fuzz_each(folder: &Path, names: &[String], seconds: u32) -> anyhow::Result<Vec<String>> {
    ensure!(!names.is_empty(), "there are no targets in {}", folder.display());
    let built = build(folder)?;
    names.iter().map(|name| fuzz(folder, &built.join(name), name, seconds)).collect()
}

fn targets(folder: &Path) -> anyhow::Result<Vec<String>> {
    let files = sources::rust_files(&folder.join("fuzz_targets"))?;
    let names = files.iter().map(|file| sources::folder_name(&file.with_extension("")));
    Ok(names.collect())
}

/// Builds all targets and says where they are. Instrumented code has a target folder of its own.
fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let built = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(shared) => Path::new(&shared).join("fuzz"),
        None => folder.join("target"),
    };
    let target = host()?;
    let status = Command::new(cargo())
        .args(["build", "--release", "--target", &target])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", &built)
        .env("RUSTFLAGS", INSTRUMENTED)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .context("can't start cargo")?;
    ensure!(status.success(), "the fuzz targets don't build");
    Ok(built.join(target).join("release"))
}

/// This machine, as the compiler calls it. With a target named, build scripts are not instrumented.
fn host() -> anyhow::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("can't start rustc")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what it compiles for")
}

/// Runs one target for so long; returns its name and how many inputs it had.
fn fuzz(folder: &Path, program: &Path, name: &str, seconds: u32) -> anyhow::Result<String> {
    let own = |kind: &str| Path::new(kind).join(name);
    for kind in ["corpus", "artifacts"] {
        std::fs::create_dir_all(folder.join(own(kind)))?;
    }
    println!("fuzz: {name}");
    let output = Command::new(program)
        .current_dir(folder)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .args(["-timeout=10", "-rss_limit_mb=1024", "-verbosity=0", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix=artifacts/{name}/"))
        .args([own("corpus"), own("seeds")])
        .output()
        .with_context(|| format!("can't start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{said}\n{name}: something was found, see fuzz/artifacts/{name}"
    );
    let runs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let runs: u64 = runs.and_then(|runs| runs.trim().parse().ok()).unwrap_or_default();
    ensure!(runs > 0, "{said}\n{name}: nothing was run");
    println!("fuzz: {name}: {runs} runs");
    Ok(format!("{name}: {runs} runs"))
}
