//! The resource limits of servers and services.

use std::fmt;

use serde::Serialize;

/// What one instance of a server or service may use, with everything that it starts. `None`: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LimitsSpec {
    /// Memory in bytes. An instance that wants more is ended.
    pub memory_bytes_max: Option<u64>,
    /// Memory in bytes that is taken from the instance last, when the machine has too little. Never more than
    /// `memory_bytes_max`.
    pub memory_bytes_reserved: Option<u64>,
    /// An instance that wants more is slowed down.
    pub cpus_max: Option<Cpus>,
    /// Processes and threads. An instance can't start more.
    pub processes_max: Option<u64>,
    /// Open files of each process.
    pub files_max: Option<u64>,
}

/// A part of the machine's CPUs: their time in each second of the clock, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Cpus(u32);

// === impl LimitsSpec ===

impl LimitsSpec {
    /// Whether anything is limited that concerns all processes of an instance together.
    pub const fn needs_group(&self) -> bool {
        let Self { memory_bytes_max, memory_bytes_reserved, cpus_max, processes_max, files_max: _ } =
            self;
        memory_bytes_max.is_some()
            || memory_bytes_reserved.is_some()
            || cpus_max.is_some()
            || processes_max.is_some()
    }
}

// === impl Cpus ===

impl Cpus {
    pub const fn from_thousandths(thousandths: u32) -> Self {
        Self(thousandths)
    }

    pub const fn thousandths(self) -> u32 {
        self.0
    }
}

/// As configurations have it: `2`, `0.5`.
impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1000, self.0 % 1000);
        if part == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{part:03}").trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::{Cpus, LimitsSpec};

    #[test]
    fn cpus_are_shown_as_they_are_written() {
        for (thousandths, shown) in
            [(2000, "2"), (500, "0.5"), (10, "0.01"), (1250, "1.25"), (1, "0.001")]
        {
            assert_eq!(Cpus::from_thousandths(thousandths).to_string(), shown);
        }
    }

    #[test]
    fn a_limit_on_files_alone_needs_no_group() {
        let files = LimitsSpec { files_max: Some(64), ..LimitsSpec::default() };
        assert!(!files.needs_group());
        assert!(LimitsSpec { processes_max: Some(64), ..files }.needs_group());
    }
}
