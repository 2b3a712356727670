//! The results of a comparison.

use std::path::PathBuf;

use serde::Serialize;

use super::pairs::{Pair, PairedCell};
use crate::run::hardware::Hardware;

/// The cell in which HAProxy takes part.
pub(super) const BESIDE_HAPROXY: &str = "http-32";

/// The results of a comparison.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) began: String,
    pub(super) hardware: Hardware,
    pub(super) old: PathBuf,
    pub(super) new: PathBuf,
    pub(super) rounds: u32,
    pub(super) seconds: f64,
    pub(super) cells: Vec<PairedCell>,
    /// KiB for a session.
    pub(super) idle: Vec<Named>,
    /// User instructions for a call.
    pub(super) instructions: Vec<Named>,
    /// What could not be measured, and why.
    pub(super) notes: Vec<String>,
    pub(super) verdicts: Vec<Verdict>,
}

/// A figure of both.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Named {
    pub(super) name: &'static str,
    #[serde(flatten)]
    pub(super) pair: Pair,
}

/// A line of the budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) figure: f64,
    pub(crate) at_most: f64,
    /// None when the rounds disagree.
    pub(crate) kept: Option<bool>,
}
