//! Queries to `uv`, and the parsing of its answers.

use std::path::Path;

use mainstay_config::packages::Package;

use super::error::FetchError;
use super::tool::PackageManager;
use crate::packages::record::Digests;

/// The newest version that matches a command's package.
pub(super) async fn newest(
    tool: &PackageManager<'_>,
    package: &Package,
    options: &[String],
) -> Result<String, FetchError> {
    let answer = compile(tool, &package.wanted, &[], options).await?;
    let pinned = answer.lines().find_map(|line| line.trim().split_once("=="));
    let version = pinned.map(|(_, version)| version.split([' ', ';']).next().unwrap_or_default());
    version.map(str::to_owned).ok_or_else(|| FetchError::NoPackage(package.written.clone()))
}

/// The digests of all files of a release. The installer chooses the file for this machine.
pub(super) async fn digests(
    tool: &PackageManager<'_>,
    package: &Package,
    options: &[String],
) -> Result<Digests, FetchError> {
    let version = package.version.clone().unwrap_or_default();
    let answer = compile(tool, &package.at(&version), &["--generate-hashes"], options).await?;
    let hashes = answer.split_whitespace().filter_map(|word| word.strip_prefix("--hash="));
    let digests = Digests {
        name: package.name.clone(),
        version: version.clone(),
        digests: hashes.map(str::to_owned).collect(),
    };
    if digests.digests.is_empty() {
        return Err(FetchError::NoVersion { name: package.name.clone(), version });
    }
    Ok(digests)
}

async fn compile(
    tool: &PackageManager<'_>,
    requirement: &str,
    own: &[&str],
    options: &[String],
) -> Result<String, FetchError> {
    let fixed = ["pip", "compile", "-", "--no-deps", "--no-header", "--no-annotate", "--quiet"];
    let mut arguments: Vec<_> = fixed.iter().chain(own).map(|&word| word.to_owned()).collect();
    // Options about linking and about other tools have no effect here.
    let is_of_use = |option: &&String| {
        !["--link-mode", "--with-requirements"].iter().any(|other| option.starts_with(other))
    };
    arguments.extend(options.iter().filter(is_of_use).cloned());
    Ok(tool.run(&arguments, Path::new("/"), &[], &format!("{requirement}\n")).await?)
}

/// Installs a tool with its extra packages into a folder.
pub(super) async fn install(
    tool: &PackageManager<'_>,
    packages: &[Package],
    options: &[String],
    folder: &Path,
) -> Result<(), FetchError> {
    // Without it the first start compiles all imports, which takes seconds.
    let own = ["tool", "install", "--no-progress", "--compile-bytecode"];
    let mut arguments: Vec<_> = own.map(str::to_owned).to_vec();
    arguments.extend(options.iter().cloned());
    for package in packages.iter().skip(1) {
        arguments.push(format!("--with={}", pinned(package)));
    }
    arguments.extend(packages.first().map(pinned));
    let (tools, programs) = (folder.join("tools"), folder.join("bin"));
    let variables = [("UV_TOOL_DIR", &*tools), ("UV_TOOL_BIN_DIR", &*programs)];
    tool.run(&arguments, folder, &variables, "").await?;
    Ok(())
}

fn pinned(package: &Package) -> String {
    package.at(package.version.as_deref().unwrap_or_default())
}
