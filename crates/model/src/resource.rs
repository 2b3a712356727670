//! Resource limits as they are in force.

use serde::{Deserialize, Serialize};

/// A resource that is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// In bytes.
    Memory,
    /// In bytes. No maximum, but what is taken last.
    MemoryReservation,
    /// In thousandths of a CPU.
    Cpus,
    /// Processes and threads.
    Processes,
    /// Open files of each process.
    Files,
}

/// What keeps a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitedBy {
    #[serde(rename = "cgroup v1")]
    CgroupV1,
    #[serde(rename = "cgroup v2")]
    CgroupV2,
    /// A limit of each process by itself.
    #[serde(rename = "rlimit")]
    Rlimit,
}

/// One limit of an instance, as it is in force and used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitStatus {
    pub kind: LimitKind,
    /// In the unit of the kind.
    pub max: u64,
    /// `None`: not known. Of CPUs: within the last seconds.
    pub used: Option<u64>,
    /// How often it stopped the instance since that was started: processes killed for want of memory, processes
    /// that could not be started, tenths of a second in which it had to wait for a CPU.
    pub hits: u64,
    /// `None`: it is not in force.
    pub by: Option<LimitedBy>,
    /// Why it is not in force, or what it does not do, as a sentence without its subject.
    pub note: Option<String>,
}

// === impl LimitKind ===

impl LimitKind {
    pub const ALL: [Self; 5] =
        [Self::Memory, Self::MemoryReservation, Self::Cpus, Self::Processes, Self::Files];

    /// As configurations have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::MemoryReservation => "memory_reservation",
            Self::Cpus => "cpus",
            Self::Processes => "processes",
            Self::Files => "files",
        }
    }
}

// === impl LimitedBy ===

impl LimitedBy {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CgroupV1 => "cgroup v1",
            Self::CgroupV2 => "cgroup v2",
            Self::Rlimit => "rlimit",
        }
    }
}

/// A size as configurations have it, in the largest unit that needs no fraction: `4GiB`.
pub fn size_in_words(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, scale)| bytes >= *scale) {
        // In tenths, rounded.
        Some((unit, scale)) => {
            let tenths = (u128::from(bytes) * 10 + u128::from(scale) / 2) / u128::from(scale);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::size_in_words;

    #[test]
    fn sizes_are_in_tenths_of_the_largest_unit() {
        for (bytes, words) in [
            (4 << 30, "4.0 GiB"),
            (300 << 20, "300.0 MiB"),
            (512_000_000, "488.3 MiB"),
            (3 << 10, "3.0 KiB"),
            (1000, "1000 B"),
            (0, "0 B"),
        ] {
            assert_eq!(size_in_words(bytes), words);
        }
    }
}
