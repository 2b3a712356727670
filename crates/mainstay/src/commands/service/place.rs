//! What a service manager has to know of a daemon: its program, its files and its variables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The program and the files of a daemon. All paths are absolute, UTF-8 and without control characters.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) program: PathBuf,
    pub(super) config: PathBuf,
    pub(super) state: PathBuf,
    /// The variables that the configuration refers to, except those that every process has.
    pub(super) variables: BTreeSet<String>,
}

/// A path that can't be written into a file of a service manager.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} can't be written into a file for a service manager: it is not UTF-8 or has control characters"
)]
pub(super) struct UnfitPath(PathBuf);

/// Variables that a service manager or a container sets itself.
const OWN: [&str; 3] = ["HOME", "PATH", "USER"];

// === impl Place ===

impl Place {
    /// Collects the facts; `text` is that of the configuration.
    ///
    /// # Errors
    /// When a path can't be written into a text.
    pub(super) fn new(
        program: &Path,
        config: &Path,
        state: &Path,
        text: &str,
    ) -> Result<Self, UnfitPath> {
        let fit = |path: &Path| {
            let is_fit = path.to_str().is_some_and(|text| !text.contains(char::is_control));
            if is_fit { Ok(path.to_owned()) } else { Err(UnfitPath(path.to_owned())) }
        };
        let mut variables = mainstay_config::variables(text);
        variables.retain(|name| !OWN.contains(&&**name));
        Ok(Self { program: fit(program)?, config: fit(config)?, state: fit(state)?, variables })
    }

    /// The file for variables, beside the configuration.
    pub(super) fn env_file(&self) -> PathBuf {
        self.config.with_extension("env")
    }
}
