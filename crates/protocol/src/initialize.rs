//! The `initialize` handshake of the revisions up to 2025-11-25: parsing and building.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::build::string;
use crate::capabilities::{ClientCapabilities, ServerCapabilities};
use crate::params::{Field, field};
use crate::revision::Revision;
use crate::scan::present;

/// The parsed `params` of `initialize`. Spans are relative to the parsed text.
#[derive(Debug)]
pub struct InitializeParams<'a> {
    /// The revision that the client requests. [`Revision::negotiate`] chooses the one to answer with.
    pub protocol_version: Field<'a>,
    pub capabilities: Option<Field<'a>>,
    pub client_info: Option<Field<'a>>,
}

/// The parsed result of `initialize`. Spans are relative to the parsed text.
#[derive(Debug)]
pub struct InitializeResult<'a> {
    pub protocol_version: Field<'a>,
    pub capabilities: Option<Field<'a>>,
    pub server_info: Option<Field<'a>>,
    pub instructions: Option<Field<'a>>,
}

/// The name and version that a client or server reports. Informational only: nothing may depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Implementation {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub version: String,
}

/// The error for invalid `params` or an invalid result of `initialize`.
#[derive(Debug, thiserror::Error)]
pub enum BadHandshake {
    #[error("not an object")]
    NotAnObject,
    #[error("`protocolVersion` is missing or not a string")]
    NoVersion,
    #[error("invalid: {0}")]
    Member(#[from] serde_json::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    protocol_version: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    client_info: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    server_info: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    instructions: Option<&'a RawValue>,
}

// === impl InitializeParams ===

impl<'a> InitializeParams<'a> {
    /// Parses the `params` member.
    ///
    /// # Errors
    /// [`BadHandshake`] if `protocolVersion` is missing, or a member is invalid or duplicate.
    pub fn parse(params: &'a str) -> Result<Self, BadHandshake> {
        let wire = Wire::parse(params)?;
        Ok(Self {
            protocol_version: version(params, wire.protocol_version)?,
            capabilities: field(params, wire.capabilities),
            client_info: field(params, wire.client_info),
        })
    }

    /// The revision to answer the client with.
    pub fn revision(&self) -> Revision {
        Revision::negotiate(&self.protocol_version.text().unwrap_or_default())
    }

    pub fn client_capabilities(&self) -> ClientCapabilities {
        self.capabilities
            .as_ref()
            .map(|of| ClientCapabilities::from_json(of.raw))
            .unwrap_or_default()
    }

    pub fn client(&self) -> Option<Implementation> {
        Implementation::parse(self.client_info.as_ref()?)
    }
}

// === impl InitializeResult ===

impl<'a> InitializeResult<'a> {
    /// Parses the `result` member.
    ///
    /// # Errors
    /// [`BadHandshake`] if `protocolVersion` is missing, or a member is invalid or duplicate.
    pub fn parse(result: &'a str) -> Result<Self, BadHandshake> {
        let wire = Wire::parse(result)?;
        Ok(Self {
            protocol_version: version(result, wire.protocol_version)?,
            capabilities: field(result, wire.capabilities),
            server_info: field(result, wire.server_info),
            instructions: field(result, wire.instructions),
        })
    }

    /// The revision that the server chose. `None` if Mainstay does not support it.
    pub fn revision(&self) -> Option<Revision> {
        Revision::parse(&self.protocol_version.text()?)
    }

    pub fn server_capabilities(&self) -> ServerCapabilities {
        self.capabilities
            .as_ref()
            .map(|of| ServerCapabilities::from_json(of.raw))
            .unwrap_or_default()
    }

    pub fn server(&self) -> Option<Implementation> {
        Implementation::parse(self.server_info.as_ref()?)
    }
}

// === impl Implementation ===

impl Implementation {
    fn parse(field: &Field<'_>) -> Option<Self> {
        // serde would also accept an array, with the members in order.
        let object = field.raw.starts_with('{').then_some(field.raw)?;
        serde_json::from_str(object).ok()
    }
}

// === impl Wire ===

impl<'a> Wire<'a> {
    fn parse(text: &'a str) -> Result<Self, BadHandshake> {
        // serde would also accept an array, with the members in order.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(BadHandshake::NotAnObject);
        }
        Ok(serde_json::from_str(text)?)
    }
}

/// The revisions that an error answer to `initialize` says the server supports, in its `data.supported`
/// (2025-11-25, basic/lifecycle, error handling). `None` if it says nothing about them. Revisions that
/// Mainstay does not know are left out.
pub fn supported_revisions(error: &str) -> Option<Vec<Revision>> {
    #[derive(Deserialize)]
    struct Refused<'a> {
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow, alias = "supportedVersions")]
        supported: Vec<Cow<'a, str>>,
    }
    let refused: Refused<'_> = serde_json::from_str(error).ok()?;
    Some(refused.data.supported.iter().filter_map(|named| Revision::parse(named)).collect())
}

/// Builds the `params` of an `initialize` request. `capabilities` is JSON.
pub fn initialize_params(
    revision: Revision,
    capabilities: &str,
    name: &str,
    software: &str,
) -> String {
    let info = implementation(name, software);
    format!(
        r#"{{"protocolVersion":"{revision}","capabilities":{capabilities},"clientInfo":{info}}}"#
    )
}

/// Builds the result of an `initialize` request. `capabilities` is JSON.
pub fn initialize_result(
    revision: Revision,
    capabilities: &str,
    name: &str,
    software: &str,
    instructions: Option<&str>,
) -> String {
    let info = implementation(name, software);
    let instructions =
        instructions.map(|text| format!(r#","instructions":{}"#, string(text))).unwrap_or_default();
    format!(
        r#"{{"protocolVersion":"{revision}","capabilities":{capabilities},"serverInfo":{info}{instructions}}}"#
    )
}

fn implementation(name: &str, software: &str) -> String {
    format!(r#"{{"name":{},"version":{}}}"#, string(name), string(software))
}

fn version<'a>(text: &str, raw: Option<&'a RawValue>) -> Result<Field<'a>, BadHandshake> {
    field(text, raw).filter(|field| field.text().is_some()).ok_or(BadHandshake::NoVersion)
}

#[cfg(test)]
mod tests;
