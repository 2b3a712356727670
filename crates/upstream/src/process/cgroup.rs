//! Control groups: one for each run of an instance with limits, which holds it and everything that it starts.
//!
//! ```text
//!   version 2   BASE/mainstay/MARK/SERVER-INSTANCE.LIFE
//!   version 1   the same below the base of each controller: memory, cpu, cpuacct, pids
//! ```
//!
//! BASE is the group of the daemon itself, so that what bounds the daemon bounds its servers, too. The mark in
//! the path tells whose groups they are, whoever comes after a dead daemon.
//!
//! Version 2 lets only groups without processes of their own pass controllers on. There the daemon first moves
//! itself and its children out of BASE, into `BASE/mainstay-daemon`.

mod base;
mod control_group;
mod counters;
mod files;
mod mounts;
mod remains;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mainstay_model::resource::LimitedBy;

pub(super) use self::base::GroupHost;
pub(super) use self::control_group::ControlGroup;
pub(super) use self::counters::GroupUsage;
pub(super) use self::remains::GroupRemains;

/// A part of the kernel that bounds groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Controller {
    Memory,
    Cpu,
    /// Counts the CPU time of groups in version 1. In version 2 that is a part of [`Controller::Cpu`].
    CpuAccount,
    Pids,
}

/// Which interface of the kernel controls groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupVersion {
    V1,
    V2,
}

/// Folders of controllers: of the base of a daemon, of all its groups, or of one group. With version 2, all are
/// the same.
pub(super) type Folders = BTreeMap<Controller, PathBuf>;

/// The folder below the base that holds the groups of all daemons with this base.
const ALL_GROUPS: &str = "mainstay";

/// The group that a daemon moves itself to where version 2 wants its base to be empty.
const DAEMON_GROUP: &str = "mainstay-daemon";

// === impl Controller ===

impl Controller {
    const ALL: [Self; 4] = [Self::Memory, Self::Cpu, Self::CpuAccount, Self::Pids];

    /// The name of the kernel.
    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::CpuAccount => "cpuacct",
            Self::Pids => "pids",
        }
    }
}

// === impl GroupVersion ===

impl GroupVersion {
    pub(super) const fn limited_by(self) -> LimitedBy {
        match self {
            Self::V1 => LimitedBy::CgroupV1,
            Self::V2 => LimitedBy::CgroupV2,
        }
    }
}

/// The folder for the groups of one daemon.
fn of_daemon(base: &Path, mark: &str) -> PathBuf {
    base.join(ALL_GROUPS).join(mark)
}

/// The different folders among those of all controllers.
fn distinct(folders: &Folders) -> Vec<&Path> {
    let mut all: Vec<&Path> = folders.values().map(PathBuf::as_path).collect();
    all.sort_unstable();
    all.dedup();
    all
}
