//! `server/discover` of 2026-07-28, as far as telling a modern server from a legacy one needs it.

use serde::Deserialize;

use crate::build::string;
use crate::revision::{Generation, Revision};

/// What an answer to `server/discover` says about the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It speaks these modern revisions, in words.
    Modern(String),
    /// It does not know the method, or knows it and has no modern revision.
    Legacy,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    supported_versions: Vec<String>,
}

#[derive(Deserialize)]
struct Refused {
    code: i64,
    #[serde(default)]
    data: RefusedData,
}

#[derive(Deserialize, Default)]
struct RefusedData {
    #[serde(default)]
    supported: Vec<String>,
}

/// `params` of a request that a modern server can't refuse.
pub fn params(name: &str, software: &str) -> String {
    format!(
        r#"{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"{}","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":{},"version":{}}}}}}}"#,
        Revision::LATEST,
        string(name),
        string(software)
    )
}

/// Reads the result or the error that came for `server/discover`.
///
/// A result that names a modern revision and the three errors that only modern servers know
/// (2026-07-28 basic/versioning, compatibility) say modern; everything else says legacy.
pub fn verdict(answer: Result<&[u8], &str>) -> Verdict {
    match answer {
        Ok(result) => match serde_json::from_slice::<Discovered>(result) {
            Ok(found) if found.supported_versions.iter().any(|version| is_modern(version)) => {
                Verdict::Modern(found.supported_versions.join(", "))
            }
            _ => Verdict::Legacy,
        },
        Err(error) => match serde_json::from_str::<Refused>(error) {
            Ok(refused) if (-32022..=-32020).contains(&refused.code) => {
                let supported = refused.data.supported;
                let named = supported.iter().any(|version| is_modern(version));
                Verdict::Modern(if named {
                    supported.join(", ")
                } else {
                    Revision::LATEST.to_string()
                })
            }
            _ => Verdict::Legacy,
        },
    }
}

/// Known modern, or later than all we know.
fn is_modern(version: &str) -> bool {
    match Revision::parse(version) {
        Some(revision) => revision.generation() == Generation::Modern,
        None => version > Revision::LATEST.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, verdict};

    #[test]
    fn what_servers_in_the_field_answer() {
        let modern = |versions: &str| Verdict::Modern(versions.to_owned());
        for (answer, expected) in [
            (Ok(r#"{"supportedVersions":["2026-07-28"]}"#), modern("2026-07-28")),
            (Ok(r#"{"supportedVersions":["2025-11-25"]}"#), Verdict::Legacy),
            (Ok(r"{}"), Verdict::Legacy),
            (Err(r#"{"code":-32601,"message":"Method not found"}"#), Verdict::Legacy),
            (Err(r#"{"code":-32602,"message":"Invalid request parameters"}"#), Verdict::Legacy),
            (
                Err(r#"{"code":-32022,"message":"","data":{"supported":["2026-07-28"]}}"#),
                modern("2026-07-28"),
            ),
            (Err(r#"{"code":-32021,"message":""}"#), modern("2026-07-28")),
            (Err("<html>"), Verdict::Legacy),
        ] {
            assert_eq!(verdict(answer.map(str::as_bytes)), expected, "{answer:?}");
        }
    }
}
