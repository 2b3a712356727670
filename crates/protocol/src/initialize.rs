//! The handshake of the revisions up to 2025-11-25: what is read of it, and how ours is written.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::build::string;
use crate::capabilities::{ClientCapabilities, ServerCapabilities};
use crate::envelope::present;
use crate::params::Field;
use crate::revision::Revision;

/// `params` of `initialize`. Spans count from the start of the text they were read from.
#[derive(Debug)]
pub struct InitializeParams<'a> {
    /// As the client wrote it; [`Revision::negotiate`] makes an answer of it.
    pub protocol_version: Field<'a>,
    pub capabilities: Option<Field<'a>>,
    pub client_info: Option<Field<'a>>,
}

/// The result of `initialize`. Spans count from the start of the text they were read from.
#[derive(Debug)]
pub struct InitializeResult<'a> {
    pub protocol_version: Field<'a>,
    pub capabilities: Option<Field<'a>>,
    pub server_info: Option<Field<'a>>,
    pub instructions: Option<Field<'a>>,
}

/// Who somebody says to be. Nothing may depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Implementation {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub version: String,
}

/// Why a handshake can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BadHandshake {
    #[error("not an object")]
    NotAnObject,
    #[error("`protocolVersion` is missing or no string")]
    NoVersion,
    #[error("not usable: {0}")]
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
    /// # Errors
    /// When there is no version in it or a member is twice in it.
    pub fn parse(params: &'a str) -> Result<Self, BadHandshake> {
        let wire = Wire::parse(params)?;
        Ok(Self {
            protocol_version: version(params, wire.protocol_version)?,
            capabilities: field(params, wire.capabilities),
            client_info: field(params, wire.client_info),
        })
    }

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
        Implementation::read(self.client_info.as_ref()?)
    }
}

// === impl InitializeResult ===

impl<'a> InitializeResult<'a> {
    /// # Errors
    /// When there is no version in it or a member is twice in it.
    pub fn parse(result: &'a str) -> Result<Self, BadHandshake> {
        let wire = Wire::parse(result)?;
        Ok(Self {
            protocol_version: version(result, wire.protocol_version)?,
            capabilities: field(result, wire.capabilities),
            server_info: field(result, wire.server_info),
            instructions: field(result, wire.instructions),
        })
    }

    /// The revision the server settled on; none if we don't speak it.
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
        Implementation::read(self.server_info.as_ref()?)
    }
}

// === impl Implementation ===

impl Implementation {
    fn read(field: &Field<'_>) -> Option<Self> {
        // serde would read a struct from an array, member by member.
        let object = field.raw.starts_with('{').then_some(field.raw)?;
        serde_json::from_str(object).ok()
    }
}

// === impl Wire ===

impl<'a> Wire<'a> {
    fn parse(text: &'a str) -> Result<Self, BadHandshake> {
        // serde would read a struct from an array, member by member.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(BadHandshake::NotAnObject);
        }
        Ok(serde_json::from_str(text)?)
    }
}

/// `params` of an `initialize` of ours. `capabilities` is JSON.
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

/// The result of an `initialize` that we answer. `capabilities` is JSON.
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

/// A member's value with its place in `text`.
pub(crate) fn field<'a>(text: &str, raw: Option<&'a RawValue>) -> Option<Field<'a>> {
    let raw = raw?.get();
    let start = raw.as_ptr() as usize - text.as_ptr() as usize;
    Some(Field { raw, span: start..start + raw.len() })
}

#[cfg(test)]
mod tests;
