//! Queries to `npm`, and the parsing of its answers.

use std::collections::BTreeSet;
use std::path::Path;

use mainstay_config::packages::Package;
use serde_json::Value;

use super::error::FetchError;
use super::tool::PackageManager;
use crate::packages::record::Digests;

/// The newest version that matches a command's package.
pub(super) async fn newest(
    tool: &PackageManager<'_>,
    package: &Package,
    options: &[String],
) -> Result<String, FetchError> {
    let answer = view(tool, &package.wanted, &["version"], options).await?;
    let versions = match &answer {
        Value::String(version) => vec![version.as_str()],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let newest = versions.into_iter().max_by_key(|version| numbers(version));
    newest.map(str::to_owned).ok_or_else(|| FetchError::NoPackage(package.written.clone()))
}

/// Sorts versions: npm answers a range with all versions in it, in no reliable order.
fn numbers(version: &str) -> (Vec<u64>, bool) {
    let end = version.find(['-', '+']).unwrap_or(version.len());
    let numbers = version[..end].split('.').map(|part| part.parse().unwrap_or(0)).collect();
    (numbers, !version[end..].starts_with('-'))
}

/// The registry's digest of a version.
pub(super) async fn digests(
    tool: &PackageManager<'_>,
    package: &Package,
    options: &[String],
) -> Result<Digests, FetchError> {
    let version = package.version.clone().unwrap_or_default();
    let none = || FetchError::NoVersion { name: package.name.clone(), version: version.clone() };
    let answer =
        view(tool, &package.at(&version), &["dist.integrity", "dist.shasum"], options).await?;
    let digest = match (&answer["dist.integrity"], &answer["dist.shasum"]) {
        (Value::String(integrity), _) => integrity.clone(),
        // Releases from before 2017 have no better digest.
        (_, Value::String(shasum)) => format!("sha1-{shasum}"),
        _ => return Err(none()),
    };
    Ok(Digests { name: package.name.clone(), version, digests: BTreeSet::from([digest]) })
}

async fn view(
    tool: &PackageManager<'_>,
    what: &str,
    fields: &[&str],
    options: &[String],
) -> Result<Value, FetchError> {
    let mut arguments = vec!["view".to_owned(), what.to_owned()];
    arguments.extend(fields.iter().map(|&field| field.to_owned()));
    arguments.push("--json".to_owned());
    arguments.extend(options.iter().filter(|option| option.contains('=')).cloned());
    let answer = tool.run(&arguments, Path::new("/"), &[], "").await?;
    if answer.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&answer).map_err(|_| FetchError::Answer("npm view"))
}

/// Installs packages into a folder.
pub(super) async fn install(
    tool: &PackageManager<'_>,
    packages: &[Package],
    options: &[String],
    folder: &Path,
) -> Result<(), FetchError> {
    std::fs::write(folder.join("package.json"), "{\"private\": true}\n")
        .map_err(FetchError::Folder)?;
    let own = ["install", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
    let mut arguments: Vec<_> = own.map(str::to_owned).to_vec();
    // Overrides the user's settings: the digests are read from the lock file.
    arguments.extend(["--package-lock=true", "--save=true", "--save-exact"].map(str::to_owned));
    // Installs into the working folder, which has a `package.json`. `--prefix` would do that, too, but also
    // have npm read another global configuration than `npx` reads, without the machine's registry.
    arguments.push("--global=false".to_owned());
    arguments.extend(options.iter().cloned());
    arguments.extend(packages.iter().map(|package| package.written.clone()));
    tool.run(&arguments, folder, &[], "").await?;
    Ok(())
}

/// Checks that the installed files have the registry's digests.
pub(super) fn check(folder: &Path, expected: &Digests) -> Result<(), FetchError> {
    let lock = json(&folder.join("package-lock.json"))?;
    let entry = &lock["packages"][format!("node_modules/{}", expected.name)];
    let found = entry["integrity"].as_str().unwrap_or("none");
    let is_old = expected.digests.iter().all(|digest| digest.starts_with("sha1-"));
    if entry["version"] == expected.version && (is_old || expected.digests.contains(found)) {
        return Ok(());
    }
    let (name, version) = (expected.name.clone(), expected.version.clone());
    Err(FetchError::Digest { name, version, found: found.to_owned() })
}

/// The program of a package: its only one, or the one with the package's name.
pub(super) fn program(folder: &Path, package: &Package) -> Result<String, FetchError> {
    let manifest = json(&folder.join("node_modules").join(&package.name).join("package.json"))?;
    let own = package.name.rsplit('/').next().unwrap_or(&package.name);
    let program = match &manifest["bin"] {
        Value::String(_) => Some(own.to_owned()),
        Value::Object(all) if all.len() == 1 => all.keys().next().cloned(),
        Value::Object(all) => all.contains_key(own).then(|| own.to_owned()),
        _ => None,
    };
    program.ok_or_else(|| FetchError::NoProgram(package.name.clone()))
}

fn json(path: &Path) -> Result<Value, FetchError> {
    let text = std::fs::read(path).map_err(FetchError::Folder)?;
    serde_json::from_slice(&text).map_err(|_| FetchError::Answer("npm install"))
}
