//! `server/discover` of 2026-07-28: building the request, reading the result, and telling modern servers
//! from legacy ones.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::build::string;
use crate::capabilities::ServerCapabilities;
use crate::params::{Field, field};
use crate::revision::{Era, Revision};
use crate::scan::present;

/// The era of a server, detected from its answer to `server/discover`.
#[derive(Debug, PartialEq, Eq)]
pub enum ServerEra {
    /// The server supports these modern revisions, as comma-separated text.
    Modern(String),
    /// The server does not know the method, or supports no modern revision.
    Legacy,
}

/// A parsed result of `server/discover`. Spans are relative to the parsed text.
#[derive(Debug)]
pub struct Discovered<'a> {
    /// The JSON array of supported revisions of either era.
    pub supported_versions: Field<'a>,
    pub versions: Vec<String>,
    pub capabilities: Option<Field<'a>>,
    pub instructions: Option<Field<'a>>,
}

/// The error for an invalid result of `server/discover`.
#[derive(Debug, thiserror::Error)]
pub enum BadDiscovery {
    #[error("it is not an object with `supportedVersions`")]
    NoVersions,
    #[error("invalid: {0}")]
    Member(#[from] serde_json::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    supported_versions: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    instructions: Option<&'a RawValue>,
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

impl<'a> Discovered<'a> {
    /// Parses the `result` member.
    ///
    /// # Errors
    /// [`BadDiscovery`] if `supportedVersions` is missing, or a member is invalid or duplicate.
    pub fn parse(result: &'a str) -> Result<Self, BadDiscovery> {
        // serde would also accept an array, with the members in order.
        if !result.trim_ascii_start().starts_with('{') {
            return Err(BadDiscovery::NoVersions);
        }
        let wire: Wire<'a> = serde_json::from_str(result)?;
        let supported_versions =
            field(result, wire.supported_versions).ok_or(BadDiscovery::NoVersions)?;
        Ok(Self {
            versions: serde_json::from_str(supported_versions.raw)?,
            supported_versions,
            capabilities: field(result, wire.capabilities),
            instructions: field(result, wire.instructions),
        })
    }

    /// The latest modern revision that both the server and Mainstay support.
    pub fn revision(&self) -> Option<Revision> {
        let known = self.versions.iter().filter_map(|version| Revision::parse(version));
        known.filter(|revision| revision.era() == Era::Modern).max()
    }

    pub fn server_capabilities(&self) -> ServerCapabilities {
        self.capabilities
            .as_ref()
            .map(|of| ServerCapabilities::from_json(of.raw))
            .unwrap_or_default()
    }
}

/// Builds the `params` of a `server/discover` request.
pub fn params(name: &str, software: &str) -> String {
    format!(r#"{{"_meta":{}}}"#, own_meta(name, software))
}

/// Builds the `_meta` of a request of our own. It declares no client capabilities.
pub fn own_meta(name: &str, software: &str) -> String {
    format!(
        r#"{{"io.modelcontextprotocol/protocolVersion":"{}","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":{},"version":{}}}}}"#,
        Revision::LATEST,
        string(name),
        string(software)
    )
}

/// Detects a server's era from the result or the error that it answered `server/discover` with.
///
/// A result that names a modern revision means modern, and so does each of the three errors that only
/// modern servers know (2026-07-28, basic/versioning, compatibility). Everything else means legacy.
pub fn classify(answer: Result<&[u8], &str>) -> ServerEra {
    match answer {
        Ok(result) => match std::str::from_utf8(result).map(Discovered::parse) {
            Ok(Ok(found)) if found.versions.iter().any(|version| is_modern(version)) => {
                ServerEra::Modern(found.versions.join(", "))
            }
            _ => ServerEra::Legacy,
        },
        Err(error) => match serde_json::from_str::<Refused>(error) {
            Ok(refused) if (-32022..=-32020).contains(&refused.code) => {
                let supported = refused.data.supported;
                let named = supported.iter().any(|version| is_modern(version));
                ServerEra::Modern(if named {
                    supported.join(", ")
                } else {
                    Revision::LATEST.to_string()
                })
            }
            _ => ServerEra::Legacy,
        },
    }
}

/// Whether a revision is modern, or later than all known revisions.
fn is_modern(version: &str) -> bool {
    match Revision::parse(version) {
        Some(revision) => revision.era() == Era::Modern,
        None => version > Revision::LATEST.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ServerEra, classify};

    #[test]
    fn what_servers_in_the_field_answer() {
        let modern = |versions: &str| ServerEra::Modern(versions.to_owned());
        for (answer, expected) in [
            (Ok(r#"{"supportedVersions":["2026-07-28"]}"#), modern("2026-07-28")),
            (Ok(r#"{"supportedVersions":["2025-11-25"]}"#), ServerEra::Legacy),
            (Ok(r"{}"), ServerEra::Legacy),
            (Err(r#"{"code":-32601,"message":"Method not found"}"#), ServerEra::Legacy),
            (Err(r#"{"code":-32602,"message":"Invalid request parameters"}"#), ServerEra::Legacy),
            (
                Err(r#"{"code":-32022,"message":"","data":{"supported":["2026-07-28"]}}"#),
                modern("2026-07-28"),
            ),
            (Err(r#"{"code":-32021,"message":""}"#), modern("2026-07-28")),
            (Err("<html>"), ServerEra::Legacy),
        ] {
            assert_eq!(classify(answer.map(str::as_bytes)), expected, "{answer:?}");
        }
    }
}
