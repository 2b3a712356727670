//! What is written down about processes, so that whoever comes after a dead daemon knows them.
//!
//! ```text
//! STATE/processes/MARK/daemon       who wrote this: number and start of the daemon
//! STATE/processes/MARK/groups       where its control groups are, once it has any
//! STATE/processes/MARK/PID.json     one for each main process that lives, and for each stray
//! ```
//!
//! The folder exists before the first process does, so its mark, which every process carries in
//! its environment, finds even one whose record was never written.

use std::io;
use std::path::{Path, PathBuf};

use mainstay_model::{InstanceId, Name};
use mainstay_store::Directory;
use serde::{Deserialize, Serialize};

use super::procfs::{Identity, own_pid, place};

/// The variable every process of a server carries: `MARK.INSTANCE.LIFE`.
pub const MARK_VARIABLE: &str = "MAINSTAY_MARK";

/// The random name of one life of a daemon: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark(String);

/// The file with the paths of the daemon's control groups.
const GROUPS_FILE: &str = "groups";

/// The folder of one daemon's records.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    mark: Mark,
    files: Directory,
}

/// The daemon that wrote a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Writer {
    identity: Identity,
    place: String,
}

/// A main process, whose number is also its group's, or a stray.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) identity: Identity,
    /// None for a stray.
    #[serde(default)]
    pub(super) server: Option<Name>,
    #[serde(default)]
    pub(super) instance: Option<InstanceId>,
}

// === impl Mark ===

impl Mark {
    pub(super) fn random() -> io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Parses a mark. None for other text: a mark becomes a path, and the text may come from
    /// elsewhere.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_mark = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_mark.then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of [`MARK_VARIABLE`] for one process and its descendants. `life` is never reused,
    /// so that leftovers of an earlier run are not taken for this one's.
    pub(super) fn of(&self, instance: InstanceId, life: u64) -> String {
        format!("{}.{instance}.{life}", self.0)
    }

    /// The number of the process in such a value of this daemon.
    pub(super) fn life_in(&self, value: &[u8]) -> Option<u64> {
        let life = self.is_in(value).then(|| value.rsplit(|byte| *byte == b'.').next())??;
        std::str::from_utf8(life).ok()?.parse().ok()
    }

    /// The first half of the mark as a number.
    pub(super) fn bits(&self) -> u64 {
        self.0.get(..16).and_then(|half| u64::from_str_radix(half, 16).ok()).unwrap_or_default()
    }

    /// Whether this is such a value of this daemon.
    pub(super) fn is_in(&self, value: &[u8]) -> bool {
        value.strip_prefix(self.0.as_bytes()).is_some_and(|rest| rest.starts_with(b"."))
    }
}

// === impl Folder ===

impl Folder {
    /// Makes the folder of this daemon, readable by its user alone.
    pub(super) fn create(state_dir: &Path, mark: Mark) -> io::Result<Self> {
        let folder = Self::at(state_dir, mark);
        folder.files.create()?;
        let identity = Identity::of(own_pid())?
            .ok_or_else(|| io::Error::other("this process is not listed in /proc"))?;
        folder.write("daemon", &Writer { identity, place: place() })?;
        Ok(folder)
    }

    /// The folder of the daemon with this mark, whether or not there is one.
    pub(super) fn at(state_dir: &Path, mark: Mark) -> Self {
        let files = all_folders(state_dir).within(mark.as_str());
        Self { mark, files }
    }

    /// The folders of all daemons that left one.
    pub(super) fn all(state_dir: &Path) -> io::Result<Vec<Self>> {
        let names = all_folders(state_dir).names()?;
        let marks = names.iter().filter_map(|name| Mark::parse(name));
        Ok(marks.map(|mark| Self::at(state_dir, mark)).collect())
    }

    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Whether the daemon that wrote it still runs.
    pub(super) fn is_in_use(&self) -> bool {
        self.writer().is_some_and(|writer| writer.place == place() && writer.identity.exists())
    }

    /// Whether the numbers in it mean processes here, and not ones of an earlier boot or of
    /// another container.
    pub(super) fn is_of_this_place(&self) -> bool {
        self.writer().is_some_and(|writer| writer.place == place())
    }

    pub(super) fn add(&self, record: &Record) -> io::Result<()> {
        self.write(&file_name(record.identity.pid), record)
    }

    /// Writes down a process that nothing else identifies.
    pub(super) fn add_stray(&self, identity: Identity) -> io::Result<()> {
        self.add(&Record { identity, server: None, instance: None })
    }

    pub(super) fn remove(&self, pid: i32) {
        if let Err(error) = self.files.remove(&file_name(pid)) {
            tracing::warn!(%error, pid, "can't remove the record of a process");
        }
    }

    /// All readable records. A record cut short by a full disk is skipped.
    pub(super) fn records(&self) -> Vec<Record> {
        let names = self.files.names().unwrap_or_default();
        let records = names.iter().filter(|name| name.ends_with(".json"));
        let read = |name: &String| serde_json::from_slice(&self.files.get(name)?).ok();
        records.filter_map(read).collect()
    }

    /// Writes down where the control groups of this daemon are.
    pub(super) fn note_groups(&self, folders: &[PathBuf]) -> io::Result<()> {
        self.write(GROUPS_FILE, &folders)
    }

    /// The folders that were written down.
    pub(super) fn groups(&self) -> Vec<PathBuf> {
        let read = self.files.get(GROUPS_FILE);
        read.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Removes the folder with all records. Another process may be removing it, too.
    pub(super) fn delete(&self) -> io::Result<()> {
        self.files.delete()
    }

    fn writer(&self) -> Option<Writer> {
        serde_json::from_slice(&self.files.get("daemon")?).ok()
    }

    /// Writes a file in one step, so that readers never see half of it.
    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.files.put(name, &serde_json::to_vec(value)?)
    }
}

fn all_folders(state_dir: &Path) -> Directory {
    mainstay_store::Folder::processes(state_dir)
}

fn file_name(pid: i32) -> String {
    format!("{pid}.json")
}

#[cfg(test)]
mod tests {
    use mainstay_model::{InstanceId, Name};

    use super::{Folder, Identity, Mark, Record, own_pid};

    #[test]
    fn a_mark_is_safe_as_a_path() {
        let mark = Mark::random().unwrap();
        assert_eq!(Mark::parse(mark.as_str()), Some(mark.clone()));
        assert_ne!(mark, Mark::random().unwrap());
        let other = Mark::random().unwrap();
        assert!(mark.is_in(mark.of(InstanceId(7), 1).as_bytes()));
        assert!(!mark.is_in(other.of(InstanceId(7), 1).as_bytes()));
        assert_eq!(mark.life_in(mark.of(InstanceId(7), 12).as_bytes()), Some(12));
        assert_eq!(mark.life_in(other.of(InstanceId(7), 12).as_bytes()), None);
        for bad in ["", "..", "../../../../../../../../../../etc", &"g".repeat(32)] {
            assert_eq!(Mark::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn records_are_found_again_and_leave_nothing() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::create(state.path(), Mark::random().unwrap()).unwrap();
        assert!(folder.is_in_use() && folder.is_of_this_place());
        let record = Record {
            identity: Identity::of(own_pid()).unwrap().unwrap(),
            server: Some(Name::try_new("a").unwrap()),
            instance: Some(InstanceId(3)),
        };
        folder.add(&record).unwrap();
        folder.files.put("9.json", b"{\"half").unwrap();

        let found = Folder::all(state.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].records(), std::slice::from_ref(&record));
        folder.remove(record.identity.pid);
        assert_eq!(found[0].records(), []);
        folder.delete().unwrap();
        folder.delete().unwrap();
        assert!(Folder::all(state.path()).unwrap().is_empty());
    }

    #[test]
    fn a_folder_of_another_boot_says_nothing_about_processes_here() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::create(state.path(), Mark::random().unwrap()).unwrap();
        let text = String::from_utf8(folder.files.get("daemon").unwrap()).unwrap();
        let other = text.replace(&super::place(), "another boot");
        folder.files.put("daemon", other.as_bytes()).unwrap();
        assert!(!folder.is_in_use() && !folder.is_of_this_place());
    }
}
