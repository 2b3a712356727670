//! Processes whose CPU time is measured along.

use std::str::FromStr;

use anyhow::{Context as _, Result};

/// A process and its name in the report.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(super) name: String,
    pub(super) pid: u32,
}

// === impl Watched ===

impl FromStr for Watched {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, pid) = text.split_once('=').context("expected NAME=PID")?;
        Ok(Self { name: name.to_owned(), pid: pid.parse().context("a process id is a number")? })
    }
}
