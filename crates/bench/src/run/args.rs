//! Command-line arguments of a run.

use std::path::PathBuf;

use super::kind::Kind;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunArgs {
    /// Two seconds a cell, one round, few repetitions: to see that it works, not how fast.
    #[arg(long)]
    pub(super) quick: bool,
    /// Rounds of each cell; the median counts.
    #[arg(long)]
    pub(super) rounds: Option<usize>,
    /// Measured seconds a cell.
    #[arg(long)]
    pub(super) seconds: Option<f64>,
    /// Wait so many seconds at most for a calm machine before each cell.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(super) calm: f64,
    /// Measure only rows whose name contains one of these parts, separated by `|`; names are those
    /// of cells and observations.
    #[arg(long, value_name = "PARTS")]
    pub(super) only: Option<String>,
    /// Measure only these targets.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(super) targets: Vec<Kind>,
    /// Write the results into this folder; a partial run (`--quick`, `--only`, `--targets`) is only
    /// printed without it.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}
