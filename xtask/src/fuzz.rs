//! Bounded runs of the fuzz targets, with the stable compiler and nothing installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

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

const TARGET: &str = "x86_64-unknown-linux-gnu";

const SECONDS: u32 = 30;

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
    let built = build(&folder)?;
    for name in chosen {
        fuzz(&folder, &built.join(name), name, seconds)?;
    }
    Ok(format!("fuzzed for {seconds} s each, nothing found: {}", chosen.join(", ")))
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
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--target", TARGET])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", &built)
        .env("RUSTFLAGS", INSTRUMENTED)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .context("can't start cargo")?;
    ensure!(status.success(), "the fuzz targets don't build");
    Ok(built.join(TARGET).join("release"))
}

fn fuzz(folder: &Path, program: &Path, name: &str, seconds: u32) -> anyhow::Result<()> {
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
    println!("fuzz: {name}: {} runs", runs.unwrap_or("uncounted").trim());
    Ok(())
}
