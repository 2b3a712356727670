//! Stores published names in `names.json`.

use std::path::Path;

use mainstay_session::catalogue::PublishedNames;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Stored};
use crate::document::{self, Document};
use crate::lock::Claim;
use crate::names::{NameStore, NamesByEndpoint};

#[derive(Debug)]
pub(super) struct NamesFile {
    document: Document,
    by_endpoint: Mutex<NamesByEndpoint>,
}

/// The content of the file.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Versioned {
        #[expect(dead_code, reason = "files of newer formats were looked for before")]
        format: u64,
        endpoints: NamesByEndpoint,
    },
    /// The layout of the first versions, without a format.
    Bare(NamesByEndpoint),
}

#[derive(Debug, Serialize)]
struct Versioned<'a> {
    format: u64,
    endpoints: &'a NamesByEndpoint,
}

// === impl NamesFile ===

impl NamesFile {
    /// Reads the file, waiting for the disk for at most two seconds. An unreadable file is set aside
    /// instead of overwritten, and an older format is upgraded.
    pub(super) fn open(folder: &Path, claim: Claim) -> Self {
        let (document, found) =
            Document::open(folder.join(document::NAMES), "published names", claim);
        let content = found.map(|bytes| serde_json::from_slice(&bytes));
        let (by_endpoint, is_old) = match content {
            None => (NamesByEndpoint::new(), false),
            Some(Ok(Content::Versioned { endpoints, .. })) => (endpoints, false),
            Some(Ok(Content::Bare(endpoints))) => (endpoints, true),
            Some(Err(error)) => {
                document.reject(&error);
                (NamesByEndpoint::new(), false)
            }
        };
        let names = Self { document, by_endpoint: Mutex::new(by_endpoint) };
        if is_old {
            names.write(&names.by_endpoint.lock());
        }
        names
    }

    pub(super) fn failing(&self) -> Option<String> {
        self.document.failing()
    }

    pub(super) async fn close(&self) -> bool {
        self.document.close().await
    }

    fn write(&self, endpoints: &NamesByEndpoint) {
        // Serialization can't fail: the maps contain only text.
        if let Ok(text) =
            serde_json::to_vec(&Versioned { format: document::NAMES_FORMAT, endpoints })
        {
            self.document.set(text);
        }
    }
}

impl NameStore for NamesFile {
    fn load(&self) -> Answer<'_, NamesByEndpoint> {
        let names = self.by_endpoint.lock().clone();
        Box::pin(std::future::ready(Ok(names)))
    }

    fn save(&self, endpoint: &str, names: &PublishedNames) {
        let mut all = self.by_endpoint.lock();
        all.insert(endpoint.to_owned(), names.clone());
        // Written under the lock, so that the last value saved is the last one written.
        self.write(&all);
    }

    fn stored(&self) -> Stored<'_> {
        Box::pin(self.document.stored())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may block")]
mod tests {
    use std::fs;

    use mainstay_session::catalogue::PublishedNames;

    use super::NamesFile;
    use crate::lock::Claim;
    use crate::names::NameStore as _;

    #[tokio::test]
    async fn a_file_of_something_else_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.json");
        fs::write(&path, "[1]").unwrap();
        let names = NamesFile::open(folder.path(), Claim::Unchecked);
        names.save("work", &PublishedNames::default());
        assert!(names.close().await);
        let aside = folder.path().join("names.json.unreadable");
        assert_eq!(fs::read_to_string(aside).unwrap(), "[1]");
        let written = fs::read_to_string(path).unwrap();
        assert!(written.starts_with(r#"{"format":1,"endpoints":{"work":"#), "{written}");
    }

    #[tokio::test]
    async fn a_file_without_a_format_is_read_and_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.json");
        let published = r#"{"published":{"near":{"echo":"near_echo"}}}"#;
        let none = r#"{"published":{}}"#;
        let bare = format!(r#"{{"work":[{published},{none},{none},{none}]}}"#);
        fs::write(&path, &bare).unwrap();
        let names = NamesFile::open(folder.path(), Claim::Unchecked);
        let before = names.load().await.unwrap();
        assert!(names.close().await);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!(r#"{{"format":1,"endpoints":{bare}}}"#)
        );
        let again = NamesFile::open(folder.path(), Claim::Unchecked);
        assert_eq!(again.load().await.unwrap(), before);
        assert!(again.close().await);
    }
}
