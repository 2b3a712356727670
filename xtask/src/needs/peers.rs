//! The peers of conformance come from slow registries: they are fetched while the compiler works.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context;

use super::{answers, command};
use crate::programs::cache;

/// Starts to fetch what is missing, in the background; conformance waits for it, and says what went
/// wrong if something did. Gives back what is wrong at once: no peers, and no registry either.
pub(super) fn begin(root: &Path) -> anyhow::Result<Option<String>> {
    let folder = cache()?.join("peers");
    if !folder.join("stamp").is_file() && !reaches_registry() {
        return Ok(Some(format!(
            "the peers of conformance: they are not in {}, and the npm registry is not reached; with a \
             network, conformance/setup.sh fetches them",
            folder.display()
        )));
    }
    let setup = root.join("conformance/setup.sh");
    command(&setup)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("can't start {}", setup.display()))?;
    Ok(None)
}

/// Asks for one of the packages that will be fetched.
fn reaches_registry() -> bool {
    let once = ["--fetch-retries=0", "--fetch-timeout=20000"];
    let asked = ["view", "@modelcontextprotocol/conformance", "name"];
    answers(Path::new("npm"), &[&asked[..], &once[..]].concat())
}
