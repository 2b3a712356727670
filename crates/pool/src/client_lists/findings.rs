//! The stored findings about servers: which have client-specific lists, which support both eras, which take
//! only an older revision, and which start slowly. They outlive the daemon, because detection takes a start
//! of the server.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_model::Name;
use mainstay_protocol::Revision;
use mainstay_store::formats::FINDINGS as FORMAT;
use mainstay_store::{Document, Folder};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The findings about all servers, and their file.
#[derive(Debug, Default)]
pub struct ListFindings {
    /// The file. `None` keeps findings in memory only.
    document: Option<Document>,
    found: Mutex<Found>,
}

#[derive(Debug, Clone, Default)]
struct Found {
    by_server: BTreeMap<String, Finding>,
    revisions: BTreeMap<String, OlderRevision>,
    starts: BTreeMap<String, SlowStart>,
}

/// How long a server usually takes to start, which is long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SlowStart {
    /// A digest of the server's command or URL.
    target: String,
    usual_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Finding {
    /// A digest of the server's command or URL and of the name and version that it reports.
    version: String,
    /// Whether the lists are the same for all clients, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alike: Option<bool>,
    /// Whether the server supports both eras, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    both_eras: Option<bool>,
}

/// A revision before the latest that a server took, after it had refused the latest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OlderRevision {
    /// A digest of the server's command or URL.
    target: String,
    /// The version of the server, as in [`Finding`].
    version: String,
    revision: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    format: u64,
    servers: BTreeMap<String, Finding>,
    /// Absent in files of earlier versions.
    #[serde(default)]
    revisions: BTreeMap<String, OlderRevision>,
    /// The same.
    #[serde(default)]
    starts: BTreeMap<String, SlowStart>,
}

/// A shorter start is not stored.
const SLOW_MIN: Duration = Duration::from_secs(3);

// === impl ListFindings ===

impl ListFindings {
    /// Reads the findings of earlier daemons. Waits at most two seconds for the disk.
    pub fn open(folder: &Folder) -> Self {
        let (document, stored) = folder.variants();
        let mut found = Found::default();
        match stored.as_deref().map(serde_json::from_slice::<File>) {
            None => {}
            Some(Ok(File { format: FORMAT, servers, revisions, starts })) => {
                found = Found { by_server: servers, revisions, starts };
            }
            Some(Ok(File { format, .. })) => {
                document
                    .reject(&format!("it has format {format}, and this version supports {FORMAT}"));
            }
            Some(Err(error)) => document.reject(&error),
        }
        Self { document: Some(document), found: Mutex::new(found) }
    }

    /// Writes what is not written yet. Waits at most two seconds for the disk.
    pub async fn close(&self) {
        if let Some(document) = &self.document {
            document.close().await;
        }
    }

    /// Whether this version of a server has the same lists for all clients, if that is known.
    pub(crate) fn is_uniform(&self, server: &Name, version: &str) -> Option<bool> {
        self.find(server, version)?.alike
    }

    /// Whether this version of a server supports the era that its primary instance does not speak, if that is
    /// known.
    pub(crate) fn has_second_era(&self, server: &Name, version: &str) -> Option<bool> {
        self.find(server, version)?.both_eras
    }

    fn find(&self, server: &Name, version: &str) -> Option<Finding> {
        let found = self.found.lock();
        found.by_server.get(server.as_str()).filter(|known| known.version == version).cloned()
    }

    pub(crate) fn keep(&self, server: &Name, version: &str, alike: bool) {
        self.change(server, version, |finding| finding.alike = Some(alike));
    }

    pub(crate) fn keep_second_era(&self, server: &Name, version: &str, both_eras: bool) {
        self.change(server, version, |finding| finding.both_eras = Some(both_eras));
    }

    fn change(&self, server: &Name, version: &str, change: impl FnOnce(&mut Finding)) {
        let nothing = || Finding { version: version.to_owned(), alike: None, both_eras: None };
        let mut finding = self.find(server, version).unwrap_or_else(nothing);
        change(&mut finding);
        let mut found = self.found.lock();
        if found.by_server.get(server.as_str()) == Some(&finding) {
            return;
        }
        found.by_server.insert(server.to_string(), finding);
        let found = found.clone();
        self.write(found);
    }

    /// The older revision that a server with this command or URL took when it was asked last.
    pub(crate) fn older_revision(&self, server: &Name, target: &str) -> Option<Revision> {
        let found = self.found.lock();
        let known = found.revisions.get(server.as_str())?;
        if known.target != digest(&[target]) {
            return None;
        }
        Revision::parse(&known.revision)
    }

    /// Keeps the older revision that a server takes. `None`: it takes the latest. Returns false and keeps
    /// nothing if another version of the server was known to take an older one: this version may take the
    /// latest.
    pub(crate) fn keep_older_revision(
        &self,
        server: &Name,
        target: &str,
        version: &str,
        revision: Option<Revision>,
    ) -> bool {
        let taken = revision.map(|revision| OlderRevision {
            target: digest(&[target]),
            version: version.to_owned(),
            revision: revision.to_string(),
        });
        let mut found = self.found.lock();
        let before = found.revisions.get(server.as_str());
        if before == taken.as_ref() {
            return true;
        }
        let is_outdated = match (before, &taken) {
            (Some(before), Some(taken)) => {
                before.target == taken.target && before.version != taken.version
            }
            _ => false,
        };
        match taken.filter(|_| !is_outdated) {
            Some(taken) => drop(found.revisions.insert(server.to_string(), taken)),
            None => drop(found.revisions.remove(server.as_str())),
        }
        let found = found.clone();
        self.write(found);
        !is_outdated
    }

    /// How long a start of a server or service with this command or URL usually takes, if that is long.
    pub fn slow_start(&self, server: &Name, target: &str) -> Option<Duration> {
        let found = self.found.lock();
        let known = found.starts.get(server.as_str())?;
        (known.target == digest(&[target])).then(|| Duration::from_millis(known.usual_ms))
    }

    /// Keeps how long a start of the server or service usually takes.
    pub fn keep_start(&self, server: &Name, target: &str, usual: Duration) {
        let usual_ms = u64::try_from(usual.as_millis()).unwrap_or(u64::MAX);
        let slow = (usual >= SLOW_MIN).then(|| SlowStart { target: digest(&[target]), usual_ms });
        let mut found = self.found.lock();
        match slow {
            Some(slow) => drop(found.starts.insert(server.to_string(), slow)),
            None if found.starts.remove(server.as_str()).is_none() => return,
            None => {}
        }
        let found = found.clone();
        self.write(found);
    }

    fn write(&self, found: Found) {
        let Found { by_server: servers, revisions, starts } = found;
        let file = File { format: FORMAT, servers, revisions, starts };
        if let (Some(document), Ok(bytes)) = (&self.document, serde_json::to_vec(&file)) {
            document.set(bytes);
        }
    }
}

/// A digest that identifies a version of a server: its command or URL, and the name and version that it
/// reports. The text itself is not stored, because a command may contain confidential data.
pub(crate) fn version_of(target: &str, server_info: &str) -> String {
    digest(&[target, server_info])
}

fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            digest.update([0]);
        }
        digest.update(part);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may block")]
mod tests {
    use mainstay_model::Name;
    use mainstay_protocol::Revision;
    use mainstay_store::Folder;

    use super::{ListFindings, version_of};

    #[tokio::test]
    async fn what_was_found_out_is_known_to_the_next_daemon() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::open(state.path()).unwrap();
        let [one, other] = ["one", "other"].map(|name| Name::try_new(name).unwrap());
        let version = version_of("command", "1");
        let first = ListFindings::open(&folder);
        assert_eq!(first.is_uniform(&one, &version), None);
        first.keep(&one, &version, true);
        first.keep(&other, &version, false);
        first.keep_second_era(&other, &version, true);
        assert_eq!(first.has_second_era(&one, &version), None);
        first.close().await;
        let second = ListFindings::open(&folder);
        assert_eq!(second.is_uniform(&one, &version), Some(true));
        assert_eq!(second.is_uniform(&other, &version), Some(false));
        assert_eq!(second.has_second_era(&other, &version), Some(true));
        assert_eq!(second.has_second_era(&other, &version_of("command", "2")), None);
        assert_eq!(second.is_uniform(&one, &version_of("command", "2")), None);
        assert_eq!(second.is_uniform(&one, &version_of("another command", "1")), None);
        second.close().await;
    }

    #[tokio::test]
    async fn how_long_a_slow_server_takes_is_known_to_the_next_daemon() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::open(state.path()).unwrap();
        let name = Name::try_new("model").unwrap();
        let seconds = std::time::Duration::from_secs;
        let first = ListFindings::open(&folder);
        first.keep_start(&name, "command", seconds(90));
        first.close().await;
        let second = ListFindings::open(&folder);
        assert_eq!(second.slow_start(&name, "command"), Some(seconds(90)));
        assert_eq!(second.slow_start(&name, "another command"), None);
        second.keep_start(&name, "command", seconds(1));
        assert_eq!(second.slow_start(&name, "command"), None);
    }

    #[tokio::test]
    async fn an_older_revision_is_known_to_the_next_daemon() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::open(state.path()).unwrap();
        let one = Name::try_new("one").unwrap();
        let older = Some(Revision::V2025_06_18);
        let first = ListFindings::open(&folder);
        assert!(first.keep_older_revision(&one, "command", "1", older));
        first.close().await;
        let second = ListFindings::open(&folder);
        assert_eq!(second.older_revision(&one, "command"), older);
        assert_eq!(second.older_revision(&one, "another command"), None);
        // The same version again changes nothing, another one is asked afresh.
        assert!(second.keep_older_revision(&one, "command", "1", older));
        assert_eq!(second.older_revision(&one, "command"), older);
        assert!(!second.keep_older_revision(&one, "command", "2", older));
        assert_eq!(second.older_revision(&one, "command"), None);
        assert!(second.keep_older_revision(&one, "command", "2", older));
        assert_eq!(second.older_revision(&one, "command"), older);
        assert!(second.keep_older_revision(&one, "command", "2", None));
        second.close().await;
        assert_eq!(ListFindings::open(&folder).older_revision(&one, "command"), None);
    }

    #[tokio::test]
    async fn a_file_of_another_format_is_set_aside() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::open(state.path()).unwrap();
        let path = state.path().join("variants.json");
        std::fs::write(&path, r#"{"format":0,"servers":{}}"#).unwrap();
        let findings = ListFindings::open(&folder);
        let one = Name::try_new("one").unwrap();
        findings.keep(&one, "v", true);
        findings.close().await;
        let aside = path.with_extension("json.unreadable");
        assert!(std::fs::read_to_string(aside).unwrap().contains(r#""format":0"#));
        assert!(std::fs::read_to_string(path).unwrap().contains(r#""format":1"#));
    }
}
