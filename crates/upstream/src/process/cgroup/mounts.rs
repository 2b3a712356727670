//! Finds the groups of this process in the texts of `/proc/self/mountinfo` and `/proc/self/cgroup`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Controller, DAEMON_GROUP, Folders};

/// The groups of this process, as paths of this machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OwnGroups {
    /// By controller, where version 1 has it.
    pub(super) v1: Folders,
    pub(super) v2: Option<PathBuf>,
}

/// A mounted file system with groups.
#[derive(Debug, PartialEq, Eq)]
struct GroupMount<'a> {
    /// The group that is at the top of what is mounted.
    top: String,
    at: PathBuf,
    /// Names of controllers among other words. `None`: version 2.
    words: Option<Vec<&'a str>>,
}

/// The groups of this process as the two texts have them. A daemon that has moved itself out of its group
/// counts as still in it.
pub(super) fn own_groups(mountinfo: &str, cgroup: &str) -> OwnGroups {
    let mounts: Vec<GroupMount<'_>> = mountinfo.lines().filter_map(mount).collect();
    let mut own = OwnGroups::default();
    for line in cgroup.lines() {
        let Some((controllers, path)) = line.split_once(':').and_then(|it| it.1.split_once(':'))
        else {
            continue;
        };
        if controllers.is_empty() {
            let mount = mounts.iter().find(|mount| mount.words.is_none());
            own.v2 = mount.map(|mount| without_leaf(folder(mount, path)));
            continue;
        }
        for controller in Controller::ALL {
            let name = controller.name();
            let has = |words: &Vec<&str>| words.contains(&name);
            let mount = mounts.iter().find(|mount| mount.words.as_ref().is_some_and(has));
            if let Some(mount) = mount.filter(|_| controllers.split(',').any(|it| it == name)) {
                own.v1.insert(controller, folder(mount, path));
            }
        }
    }
    own
}

/// The folder of a group. In a container the path may be that of the host; then the group is the top of what
/// is mounted.
fn folder(mount: &GroupMount<'_>, group: &str) -> PathBuf {
    let below = Path::new(group).strip_prefix(&mount.top);
    match below {
        Ok(below) if !group.contains("/..") => mount.at.join(below),
        _ => mount.at.clone(),
    }
}

fn without_leaf(group: PathBuf) -> PathBuf {
    match group.parent() {
        Some(above) if group.ends_with(DAEMON_GROUP) => above.to_owned(),
        _ => group,
    }
}

/// Reads a line `ID PARENT DEVICE TOP PLACE OPTIONS … - TYPE SOURCE OPTIONS`.
fn mount(line: &str) -> Option<GroupMount<'_>> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (top, at) = (plain(fields.next()?), plain(fields.next()?).into());
    let mut fields = after.split(' ');
    let kind = fields.next()?;
    let words = fields.nth(1).unwrap_or_default().split(',').collect();
    match kind {
        "cgroup" => Some(GroupMount { top, at, words: Some(words) }),
        "cgroup2" => Some(GroupMount { top, at, words: None }),
        _ => None,
    }
}

/// A path without the escapes of mountinfo: `\040` for a space.
fn plain(escaped: &str) -> String {
    let escapes: BTreeMap<&str, &str> =
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")].into();
    escapes.into_iter().fold(escaped.to_owned(), |text, (escape, is)| text.replace(escape, is))
}

#[cfg(test)]
mod tests {
    use super::{Controller, OwnGroups, own_groups};

    const SEPARATE: &str = "\
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:5 - cgroup cgroup rw,cpu\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn controllers_of_version_1_are_found_where_each_is_mounted() {
        let found = own_groups(SEPARATE, "4:memory:/a/b\n1:cpu:/\n0::/\n");
        let v1 = [
            (Controller::Memory, "/sys/fs/cgroup/memory/a/b".into()),
            (Controller::Cpu, "/sys/fs/cgroup/cpu/".into()),
        ];
        assert_eq!(found.v1, v1.into());
        assert_eq!(found.v2, Some("/sys/fs/cgroup/unified/".into()));
    }

    #[test]
    fn controllers_may_share_a_mount() {
        let mounts = "9 1 0:3 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
        let found = own_groups(mounts, "2:cpu,cpuacct:/x\n");
        let place = || "/sys/fs/cgroup/cpu,cpuacct/x".into();
        assert_eq!(
            found.v1,
            [(Controller::Cpu, place()), (Controller::CpuAccount, place())].into()
        );
    }

    #[test]
    fn the_group_of_version_2_is_that_before_the_daemon_moved_itself() {
        let mounts = "26 20 0:23 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        for group in
            ["/system.slice/mainstay.service", "/system.slice/mainstay.service/mainstay-daemon"]
        {
            let found = own_groups(mounts, &format!("0::{group}\n"));
            let base = "/sys/fs/cgroup/system.slice/mainstay.service".into();
            assert_eq!(found, OwnGroups { v2: Some(base), ..OwnGroups::default() });
        }
    }

    #[test]
    fn in_a_container_the_group_is_what_is_mounted() {
        for (top, group) in [("/docker/abc", "/docker/abc"), ("/docker/abc", "/"), ("/", "/../x")] {
            let mounts =
                format!("9 1 0:3 {top} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
            let found = own_groups(&mounts, &format!("4:memory:{group}\n"));
            let place = found.v1[&Controller::Memory].components().as_path().to_owned();
            assert_eq!(place.to_str(), Some("/sys/fs/cgroup/memory"), "{top} {group}");
        }
    }

    #[test]
    fn without_mounts_there_is_nothing() {
        assert_eq!(own_groups("", "4:memory:/a\n0::/\n"), OwnGroups::default());
        assert_eq!(own_groups("garbage\n - \n1 2 3\n", ":\n::\n"), OwnGroups::default());
        let spaced = "9 1 0:3 / /mnt/my\\040groups rw - cgroup2 none rw\n";
        assert_eq!(own_groups(spaced, "0::/x\n").v2, Some("/mnt/my groups/x".into()));
    }
}
