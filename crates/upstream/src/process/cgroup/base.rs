//! The groups of one daemon: where they are, and making sure that they can be used.

#![expect(clippy::disallowed_methods, reason = "no disk is behind the files of /proc")]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::control_group::ControlGroup;
use super::mounts::{OwnGroups, own_groups};
use super::{ALL_GROUPS, Controller, DAEMON_GROUP, Folders, GroupVersion, files, of_daemon};
use crate::process::procfs::{Snapshot, own_pid};
use crate::process::records::Folder;

/// Makes the groups of a daemon, as soon as one is wanted: a daemon without limits touches nothing. Clones share
/// it.
#[derive(Debug, Clone)]
pub(in crate::process) struct GroupHost {
    /// Stands before all paths. `/`, except in tests.
    root: PathBuf,
    folder: Folder,
    /// What was usable when a group was last made.
    ready: Arc<Mutex<Option<Arc<ReadyGroups>>>>,
}

/// The groups of this daemon, by controller, and why others are missing.
#[derive(Debug)]
pub(super) struct ReadyGroups {
    pub(super) version: GroupVersion,
    pub(super) folders: Folders,
    pub(super) missing: BTreeMap<Controller, String>,
}

/// How often the processes of the base are moved out of it. Some may have started others meanwhile.
const MOVES_MAX: usize = 5;

// === impl GroupHost ===

impl GroupHost {
    pub(in crate::process) fn new(root: &Path, folder: Folder) -> Self {
        Self { root: root.to_owned(), folder, ready: Arc::default() }
    }

    /// Makes a group. Reads and writes files, so not for a thread of the runtime.
    ///
    /// # Errors
    /// Why there can't be one, as the rest of a sentence.
    pub(in crate::process) fn make(&self, name: &str) -> Result<ControlGroup, String> {
        let known = self.ready.lock().clone();
        if let Some(ready) = &known
            && let Ok(group) = ControlGroup::make(ready, name)
        {
            return Ok(group);
        }
        // Somebody may have removed them, or the daemon may have been moved.
        let ready = Arc::new(self.prepare()?);
        *self.ready.lock() = Some(ready.clone());
        ControlGroup::make(&ready, name)
    }

    fn prepare(&self) -> Result<ReadyGroups, String> {
        let OwnGroups { mut v1, mut v2 } = own(&self.root);
        // Something else may be mounted in their place. Files of a test are no control groups.
        if self.root == Path::new("/") {
            v1.retain(|_, base| files::is_control_group(base));
            v2 = v2.filter(|base| files::is_control_group(base));
        }
        let mark = self.folder.mark().as_str();
        let ready = match (v1.is_empty(), v2) {
            (false, _) => separate(&v1, mark),
            (true, Some(base)) => unified(&base, mark)?,
            (true, None) => return Err("no control groups are mounted".to_owned()),
        };
        let folders: Vec<PathBuf> =
            super::distinct(&ready.folders).iter().map(Into::into).collect();
        if let Err(error) = self.folder.note_groups(&folders) {
            // The sweep finds them by the mark, too, unless the next daemon runs elsewhere.
            tracing::warn!(%error, "can't record the control groups");
        }
        Ok(ready)
    }
}

/// The groups of this process, as paths below `root`.
pub(super) fn own(root: &Path) -> OwnGroups {
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
    let own = own_groups(&read("proc/self/mountinfo"), &read("proc/self/cgroup"));
    let below = |path: PathBuf| root.join(path.strip_prefix("/").unwrap_or(&path));
    OwnGroups {
        v1: own.v1.into_iter().map(|(controller, path)| (controller, below(path))).collect(),
        v2: own.v2.map(below),
    }
}

/// Version 1, where each controller is by itself.
fn separate(bases: &Folders, mark: &str) -> ReadyGroups {
    let mut ready = ReadyGroups {
        version: GroupVersion::V1,
        folders: Folders::new(),
        missing: BTreeMap::new(),
    };
    for controller in Controller::ALL {
        let made = match bases.get(&controller) {
            None => Err(not_there(controller)),
            Some(base) => {
                let folder = of_daemon(base, mark);
                files::make(&folder).map(|()| folder).map_err(|error| error.to_string())
            }
        };
        match made {
            Ok(folder) => _ = ready.folders.insert(controller, folder),
            Err(why) => _ = ready.missing.insert(controller, why),
        }
    }
    ready
}

/// Version 2, where each group passes on the controllers that groups below it may use.
fn unified(base: &Path, mark: &str) -> Result<ReadyGroups, String> {
    let folder = of_daemon(base, mark);
    let said = |error: io::Error| error.to_string();
    files::make(&folder).map_err(said)?;
    let mut ready = ReadyGroups {
        version: GroupVersion::V2,
        folders: Folders::new(),
        missing: BTreeMap::new(),
    };
    let passing = [base, &base.join(ALL_GROUPS), &folder];
    for controller in [Controller::Memory, Controller::Cpu, Controller::Pids] {
        let passed = match files::lists(base, "cgroup.controllers", controller.name()) {
            true => passing.iter().try_for_each(|group| pass_on(group, controller)),
            false => Err(not_there(controller)),
        };
        match passed {
            Ok(()) => _ = ready.folders.insert(controller, folder.clone()),
            Err(why) => _ = ready.missing.insert(controller, why),
        }
    }
    if let (true, Some(why)) = (ready.folders.is_empty(), ready.missing.values().next().cloned()) {
        let _ = files::remove(&folder);
        return Err(why);
    }
    Ok(ready)
}

fn not_there(controller: Controller) -> String {
    format!("the control group of the daemon has no `{}` controller", controller.name())
}

fn pass_on(group: &Path, controller: Controller) -> Result<(), String> {
    const FILE: &str = "cgroup.subtree_control";
    if files::lists(group, FILE, controller.name()) {
        return Ok(());
    }
    let wanted = format!("+{}", controller.name());
    let pass = || files::write(group, FILE, &wanted);
    for _ in 0..MOVES_MAX {
        match pass() {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => move_out(group)?,
            done => return done.map_err(|error| error.to_string()),
        }
    }
    pass().map_err(|error| error.to_string())
}

/// Moves the daemon and its children out of a group, unless other processes are in it.
fn move_out(group: &Path) -> Result<(), String> {
    let listed = files::text(group, "cgroup.procs").unwrap_or_default();
    let listed: Vec<i32> = listed.lines().filter_map(|line| line.trim().parse().ok()).collect();
    let mut ours = [own_pid()].into();
    let all = Snapshot::take().map_err(|error| error.to_string())?;
    all.add_descendants(&mut ours);
    if let Some(other) = listed.iter().find(|pid| !ours.contains(pid)) {
        return Err(format!(
            "other processes than the daemon are in its control group {} (such as {other}): start it as a service, \
             with `mainstay service install`",
            group.display()
        ));
    }
    let to = group.join(DAEMON_GROUP);
    files::make(&to).map_err(|error| error.to_string())?;
    for pid in listed {
        // Failure means that it has ended, or shows when the controller is passed on.
        let _ = files::write(&to, "cgroup.procs", &pid.to_string());
    }
    Ok(())
}
