//! The groups that a daemon has left.

use std::path::{Path, PathBuf};

use super::base::own;
use super::control_group::kill;
use super::mounts::OwnGroups;
use super::{ALL_GROUPS, files, of_daemon};
use crate::process::records::Folder;

/// All groups of one daemon: those that it recorded, and those with its mark below the group of this process,
/// which may be the daemon itself, its guard, or the next daemon.
#[derive(Debug)]
pub(in crate::process) struct GroupRemains {
    folders: Vec<PathBuf>,
}

// === impl GroupRemains ===

impl GroupRemains {
    pub(in crate::process) fn of(folder: &Folder) -> Self {
        let mark = folder.mark().as_str();
        let OwnGroups { v1, v2 } = own(Path::new("/"));
        let below_ours = v1.into_values().chain(v2).map(|base| of_daemon(&base, mark));
        let recorded = folder.groups().into_iter().filter(|path| is_of(path, mark));
        let mut folders: Vec<PathBuf> =
            below_ours.chain(recorded).filter(|path| files::is_group(path)).collect();
        folders.sort_unstable();
        folders.dedup();
        Self { folders }
    }

    /// The processes in these groups.
    pub(in crate::process) fn processes(&self) -> Vec<i32> {
        self.folders.iter().flat_map(|folder| files::processes(folder)).collect()
    }

    /// As [`ControlGroup::kill`](super::ControlGroup::kill), for each of them.
    pub(in crate::process) fn kill(&self) {
        let groups = self.folders.iter().flat_map(|folder| files::groups_below(folder));
        let groups: Vec<PathBuf> = groups.collect();
        kill(groups.iter().map(PathBuf::as_path));
    }

    /// Removes them, and the folder above if no other daemon has groups there.
    pub(in crate::process) fn remove(&self) {
        for folder in &self.folders {
            if let Err(error) = files::remove(folder) {
                tracing::debug!(%error, group = %folder.display(), "can't remove a control group");
            } else if let Some(above) = folder.parent() {
                files::remove_empty(above);
            }
        }
    }
}

/// Whether a recorded path can be that of groups of this daemon.
fn is_of(path: &Path, mark: &str) -> bool {
    path.is_absolute() && path.ends_with(Path::new(ALL_GROUPS).join(mark))
}
