//! The group of one run of an instance.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_model::resource::LimitKind;
use mainstay_model::settings::{Cpus, LimitsSpec};

use super::base::ReadyGroups;
use super::counters::{GroupUsage, oom_kills, usage};
use super::{Controller, Folders, GroupVersion, distinct, files};

/// A group with one run of an instance in it. Removed by [`remove`](Self::remove), and by a sweep.
#[derive(Debug, Clone)]
pub(in crate::process) struct ControlGroup {
    version: GroupVersion,
    folders: Folders,
    /// Why controllers are missing, as the rest of a sentence.
    missing: Vec<(Controller, String)>,
}

/// The time within which a group gets its share of the CPUs. The kernel's own default.
const PERIOD: Duration = Duration::from_millis(100);

// === impl ControlGroup ===

impl ControlGroup {
    /// # Errors
    /// Why there can't be one, as the rest of a sentence. Nothing is left then.
    pub(super) fn make(ready: &ReadyGroups, name: &str) -> Result<Self, String> {
        let ReadyGroups { version, folders, missing } = ready;
        let mut group = Self {
            version: *version,
            folders: Folders::new(),
            missing: missing.iter().map(|(of, why)| (*of, why.clone())).collect(),
        };
        for (controller, above) in folders {
            let folder = above.join(name);
            match files::make(&folder) {
                Ok(()) => _ = group.folders.insert(*controller, folder),
                Err(error) => group.missing.push((*controller, error.to_string())),
            }
        }
        match (group.folders.is_empty(), group.missing.first()) {
            (true, Some((_, why))) => Err(why.clone()),
            _ => Ok(group),
        }
    }

    pub(in crate::process) fn version(&self) -> GroupVersion {
        self.version
    }

    /// Puts one limit into force.
    ///
    /// # Errors
    /// Why that is not possible, as the rest of a sentence.
    pub(in crate::process) fn set(&self, kind: LimitKind, spec: &LimitsSpec) -> Result<(), String> {
        let LimitsSpec {
            memory_bytes_max,
            memory_bytes_reserved,
            cpus_max,
            processes_max,
            files_max: _,
        } = *spec;
        let done = match (kind, memory_bytes_max, memory_bytes_reserved, cpus_max, processes_max) {
            (LimitKind::Memory, Some(bytes), ..) => self.memory(bytes),
            (LimitKind::MemoryReservation, _, Some(bytes), ..) => self.reserve(bytes),
            (LimitKind::Cpus, _, _, Some(cpus), _) => self.cpus(cpus),
            (LimitKind::Processes, .., Some(count)) => {
                self.write(Controller::Pids, "pids.max", &count.to_string())
            }
            _ => Ok(()),
        };
        done.map_err(|error| error.to_string())
    }

    fn memory(&self, bytes: u64) -> io::Result<()> {
        let text = bytes.to_string();
        let at = self.folder(Controller::Memory)?;
        match self.version {
            GroupVersion::V1 => {
                files::write(at, "memory.limit_in_bytes", &text)?;
                // With swap space, which would make room for more otherwise.
                files::write_if_there(at, "memory.memsw.limit_in_bytes", &text)
            }
            GroupVersion::V2 => {
                files::write(at, "memory.max", &text)?;
                files::write_if_there(at, "memory.swap.max", "0")?;
                // What is left of an instance without one of its processes is no use to anybody.
                files::write_if_there(at, "memory.oom.group", "1")
            }
        }
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let text = bytes.to_string();
        let at = self.folder(Controller::Memory)?;
        match self.version {
            GroupVersion::V1 => files::write(at, "memory.soft_limit_in_bytes", &text),
            GroupVersion::V2 => {
                // A group is protected as far as those above it are, of which two are the daemon's.
                for above in at.ancestors().skip(1).take(2) {
                    files::write(above, "memory.low", "max")?;
                }
                files::write(at, "memory.low", &text)
            }
        }
    }

    fn cpus(&self, cpus: Cpus) -> io::Result<()> {
        let period = PERIOD.as_micros();
        let quota = u128::from(cpus.thousandths()) * period / 1000;
        let at = self.folder(Controller::Cpu)?;
        match self.version {
            GroupVersion::V1 => {
                files::write(at, "cpu.cfs_period_us", &period.to_string())?;
                files::write(at, "cpu.cfs_quota_us", &quota.to_string())
            }
            GroupVersion::V2 => files::write(at, "cpu.max", &format!("{quota} {period}")),
        }
    }

    /// Puts a process into the group. Everything that it starts from now on is in it, too.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(in crate::process) fn enter(&self, pid: i32) -> io::Result<()> {
        distinct(&self.folders)
            .into_iter()
            .try_for_each(|folder| files::write(folder, "cgroup.procs", &pid.to_string()))
    }

    /// The processes in the group.
    pub(in crate::process) fn processes(&self) -> Vec<i32> {
        let mut all: Vec<i32> =
            distinct(&self.folders).into_iter().flat_map(files::processes).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether a living process is in another group than this or one below it. False if that can't be read.
    pub(in crate::process) fn is_left_by(&self, pid: i32) -> bool {
        let name = self.folders.values().next().and_then(|folder| folder.file_name()?.to_str());
        let groups = files::groups_of(pid);
        let (Some(name), Some(groups)) = (name, groups) else { return false };
        let is_ours = |controllers: &str| match self.version {
            GroupVersion::V1 => controllers
                .split(',')
                .any(|word| self.folders.keys().any(|controller| controller.name() == word)),
            GroupVersion::V2 => controllers.is_empty(),
        };
        left(&groups, name, is_ours)
    }

    /// Keeps its processes from starting others, so that they can be killed faster than they multiply, and kills
    /// them where the kernel can do that at one stroke.
    pub(in crate::process) fn kill(&self) {
        kill(distinct(&self.folders).into_iter());
    }

    pub(in crate::process) fn usage(&self) -> GroupUsage {
        usage(self.version, &self.folders)
    }

    /// Processes that the kernel killed for want of memory.
    pub(in crate::process) fn oom_kills(&self) -> u64 {
        oom_kills(self.version, &self.folders)
    }

    /// Removes the group. Fails silently while processes are in it; a sweep removes it then.
    pub(in crate::process) fn remove(&self) {
        for folder in distinct(&self.folders) {
            if let Err(error) = files::remove(folder) {
                tracing::debug!(%error, group = %folder.display(), "can't remove a control group");
            }
        }
    }

    fn folder(&self, controller: Controller) -> io::Result<&Path> {
        let why = || self.missing.iter().find(|(of, _)| *of == controller);
        self.folders.get(&controller).map(PathBuf::as_path).ok_or_else(|| {
            let why = why().map_or("its controller is missing", |(_, why)| why.as_str());
            io::Error::other(why.to_owned())
        })
    }

    fn write(&self, controller: Controller, file: &str, value: &str) -> io::Result<()> {
        files::write(self.folder(controller)?, file, value)
    }
}

/// As [`ControlGroup::kill`], for any groups.
pub(super) fn kill<'a>(folders: impl Iterator<Item = &'a Path>) {
    for folder in folders {
        // Failure means that the kernel is older, or the controller another one.
        let _ = files::write_if_there(folder, "pids.max", "0");
        let _ = files::write_if_there(folder, "cgroup.kill", "1");
    }
}

/// Whether a process with these lines of `/proc/PID/cgroup` is in another group than the one called `name`.
/// `is_ours`: which lines tell, by their controllers.
fn left(groups: &str, name: &str, is_ours: impl Fn(&str) -> bool) -> bool {
    groups.lines().any(|line| {
        // The number of the hierarchy, its controllers and the path.
        let Some((controllers, path)) =
            line.split_once(':').and_then(|(_, rest)| rest.split_once(':'))
        else {
            return false;
        };
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        is_ours(controllers) && !path.split('/').any(|part| part == name)
    })
}

#[cfg(test)]
mod tests {
    use super::left;

    #[test]
    fn a_process_is_outside_where_its_path_does_not_have_the_name_of_the_group() {
        let v1 = |path: &str| {
            left(&format!("9:name=systemd:/\n4:memory:{path}\n"), "one-0.7", |it| it == "memory")
        };
        assert!(v1("/") && v1("/mainstay/m/one-0.70") && v1("/mainstay/m"));
        assert!(!v1("/mainstay/m/one-0.7") && !v1("/../m/one-0.7") && !v1("/m/one-0.7/own"));
        assert!(!v1("/mainstay/m/one-0.7 (deleted)"));
        let v2 = |path: &str| left(&format!("0::{path}\n"), "one-0.7", str::is_empty);
        assert!(v2("/app") && !v2("/app/one-0.7"));
        assert!(!left("", "one-0.7", str::is_empty));
    }
}
