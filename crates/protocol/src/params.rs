//! The members of `params` and `_meta` that a gateway acts on, with their spans.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::value::RawValue;

use crate::absent::{self, Repair};
use crate::scan::members;
use crate::{Kind, Message, Method};

/// Searches for the `_meta` member that marks requests from 2026-07-28 on.
static MODERN_META: LazyLock<Finder<'_>> =
    LazyLock::new(|| Finder::new(b"\"io.modelcontextprotocol/protocolVersion\""));

/// The parsed members of `params`. All other members stay bytes.
#[derive(Debug, Default)]
pub struct Params<'a> {
    /// The name of a tool or prompt.
    pub name: Option<Field<'a>>,
    /// The URI of a resource.
    pub uri: Option<Field<'a>>,
    pub arguments: Option<Field<'a>>,
    pub cursor: Option<Field<'a>>,
    /// The level of `logging/setLevel` and `notifications/message`.
    pub level: Option<Field<'a>>,
    /// The request that `notifications/cancelled` cancels.
    pub request_id: Option<Field<'a>>,
    /// The token of `notifications/progress`.
    pub progress_token: Option<Field<'a>>,
    /// `ref` of `completion/complete`.
    pub reference: Option<Reference<'a>>,
    /// `protocolVersion` of `initialize`.
    pub protocol_version: Option<Field<'a>>,
    pub capabilities: Option<Field<'a>>,
    pub client_info: Option<Field<'a>>,
    /// `taskId` of the tasks extension.
    pub task_id: Option<Field<'a>>,
    /// The filter of `subscriptions/listen`.
    pub notifications: Option<Field<'a>>,
    pub meta: Meta<'a>,
    /// What to replace in a message before a server gets it. Empty unless optional members are `null`.
    pub repairs: Vec<Repair>,
}

/// The parsed members of `_meta`.
#[derive(Debug, Default)]
pub struct Meta<'a> {
    pub progress_token: Option<Field<'a>>,
    /// `io.modelcontextprotocol/protocolVersion`. Like the next three, only from 2026-07-28 on.
    pub protocol_version: Option<Field<'a>>,
    pub client_capabilities: Option<Field<'a>>,
    pub client_info: Option<Field<'a>>,
    pub log_level: Option<Field<'a>>,
    /// `io.modelcontextprotocol/subscriptionId`: the id of the `subscriptions/listen` request that a
    /// notification belongs to.
    pub subscription_id: Option<Field<'a>>,
}

/// `ref` of `completion/complete`: a prompt by name, or a resource template by URI.
#[derive(Debug)]
pub struct Reference<'a> {
    pub name: Option<Field<'a>>,
    pub uri: Option<Field<'a>>,
}

/// A JSON value and its byte range in the message.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// The JSON text.
    pub raw: &'a str,
    pub span: Range<usize>,
}

/// The error for invalid `params`: code -32602.
#[derive(Debug, thiserror::Error)]
pub enum BadParams {
    #[error("`{0}` must be an object")]
    NotAnObject(&'static str),
    #[error("`params` is invalid: {0}")]
    Member(#[from] serde_json::Error),
}

members! {
    Wire {
        name = "name",
        uri = "uri",
        arguments = "arguments",
        cursor = "cursor",
        level = "level",
        request_id = "requestId",
        progress_token = "progressToken",
        reference = "ref",
        protocol_version = "protocolVersion",
        capabilities = "capabilities",
        client_info = "clientInfo",
        task_id = "taskId",
        notifications = "notifications",
        meta = "_meta",
    }
}

members! {
    WireReference {
        name = "name",
        uri = "uri",
    }
}

members! {
    WireMeta {
        progress_token = "progressToken",
        protocol_version = "io.modelcontextprotocol/protocolVersion",
        client_capabilities = "io.modelcontextprotocol/clientCapabilities",
        client_info = "io.modelcontextprotocol/clientInfo",
        log_level = "io.modelcontextprotocol/logLevel",
        subscription_id = "io.modelcontextprotocol/subscriptionId",
    }
}

impl Message {
    /// Parses `params`. Absent `params` give empty ones. Optional members that are `null` count as absent,
    /// and so does an empty cursor.
    ///
    /// # Errors
    /// [`BadParams`] if `params`, `_meta` or `ref` is not an object, or has a duplicate member.
    pub fn params(&self) -> Result<Params<'_>, BadParams> {
        let Some(body) = self.body() else { return Ok(Params::default()) };
        if absent::is_null(body) {
            let repairs = vec![Repair::empty_object(self.span_of(body))];
            return Ok(Params { repairs, ..Params::default() });
        }
        let mut wire = Wire::parse(object(body, "params")?)?;
        let field = |raw| self.field(raw);
        let mut repairs = Vec::new();
        let mut meta = match self.present_object(&mut wire.meta, &mut repairs) {
            Some(meta) => WireMeta::parse(object(meta, "_meta")?)?,
            None => WireMeta::default(),
        };
        self.present_object(&mut wire.arguments, &mut repairs);
        self.take_out(&mut wire.cursor, absent::is_no_cursor, &mut repairs);
        self.take_out(&mut meta.progress_token, absent::is_null, &mut repairs);
        let reference = match stated(wire.reference) {
            Some(reference) => Some(WireReference::parse(object(reference, "ref")?)?),
            None => None,
        };
        Ok(Params {
            name: field(wire.name),
            uri: field(wire.uri),
            arguments: field(wire.arguments),
            cursor: field(wire.cursor),
            level: field(wire.level),
            request_id: field(wire.request_id),
            progress_token: field(wire.progress_token),
            reference: reference.map(|of| Reference { name: field(of.name), uri: field(of.uri) }),
            protocol_version: field(wire.protocol_version),
            capabilities: field(wire.capabilities),
            client_info: field(wire.client_info),
            task_id: field(wire.task_id),
            notifications: field(wire.notifications),
            meta: Meta {
                progress_token: field(meta.progress_token),
                protocol_version: field(stated(meta.protocol_version)),
                client_capabilities: field(meta.client_capabilities),
                client_info: field(meta.client_info),
                log_level: field(stated(meta.log_level)),
                subscription_id: field(meta.subscription_id),
            },
            repairs,
        })
    }

    /// Takes a member that must be an object for absent where it is `null`.
    fn present_object<'a>(
        &self,
        member: &mut Option<&'a str>,
        repairs: &mut Vec<Repair>,
    ) -> Option<&'a str> {
        if let Some(null) = member.take_if(|raw| absent::is_null(raw)) {
            repairs.push(Repair::empty_object(self.span_of(null)));
        }
        *member
    }

    /// Takes a member for absent where it has no value.
    fn take_out(
        &self,
        member: &mut Option<&str>,
        has_no_value: fn(&str) -> bool,
        repairs: &mut Vec<Repair>,
    ) {
        if let Some(nothing) = member.take_if(|raw| has_no_value(raw)) {
            repairs.extend(Repair::without_member(self.bytes(), self.span_of(nothing)));
        }
    }

    /// Whether the message is a request or notification from 2026-07-28 on, according to its `_meta`. For
    /// other messages this usually costs only a search of the bytes.
    pub fn is_modern(&self) -> bool {
        matches!(self.kind(), Kind::Request | Kind::Notification)
            && MODERN_META.find(self.bytes()).is_some()
            && self.params().is_ok_and(|params| params.meta.is_modern())
    }

    fn field<'a>(&self, raw: Option<&'a str>) -> Option<Field<'a>> {
        raw.map(|raw| Field { raw, span: self.span_of(raw) })
    }
}

/// A member that has a value.
fn stated(member: Option<&str>) -> Option<&str> {
    member.filter(|raw| !absent::is_null(raw))
}

/// Checks that a JSON text is an object, because serde would also accept an array.
fn object<'a>(json: &'a str, name: &'static str) -> Result<&'a str, BadParams> {
    if json.starts_with('{') { Ok(json) } else { Err(BadParams::NotAnObject(name)) }
}

/// A member's value with its span in `text`, which `raw` must be borrowed from.
pub(crate) fn field<'a>(text: &str, raw: Option<&'a RawValue>) -> Option<Field<'a>> {
    let raw = raw?.get();
    let start = raw.as_ptr() as usize - text.as_ptr() as usize;
    Some(Field { raw, span: start..start + raw.len() })
}

impl Meta<'_> {
    /// Whether the request claims to be of 2026-07-28 or later: it names its revision. The other members
    /// claim nothing, because clients of both eras send them in older sessions, too.
    pub fn is_modern(&self) -> bool {
        self.protocol_version.is_some()
    }
}

impl<'a> Params<'a> {
    /// The member that `Mcp-Name` repeats: the name, URI or task that the request is about.
    pub fn subject(&self, method: Method) -> Option<&Field<'a>> {
        match method.name_member()? {
            "name" => self.name.as_ref(),
            "uri" => self.uri.as_ref(),
            _ => self.task_id.as_ref(),
        }
    }
}

impl<'a> Field<'a> {
    /// The content of a JSON string. `None` for any other value.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        let inner = self.raw.strip_prefix('"')?.strip_suffix('"')?;
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(Cow::Borrowed(inner));
        }
        serde_json::from_str(self.raw).ok().map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::Message;

    #[test]
    fn fields_are_found_with_their_places() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\"b","arguments":{"name":"no"},"_meta":{"x":1,"progressToken":"t"}}}"#;
        let message = Message::parse(Bytes::from_static(text.as_bytes())).unwrap();
        let params = message.params().unwrap();
        assert_eq!(params.name.as_ref().unwrap().text().unwrap(), "a\"b");
        let token = params.meta.progress_token.unwrap();
        assert_eq!(token.raw, "\"t\"");
        assert_eq!(&text[token.span], "\"t\"");
        assert_eq!(params.arguments.unwrap().raw, r#"{"name":"no"}"#);
    }

    #[test]
    fn params_of_the_wrong_shape_are_an_error_and_not_a_panic() {
        for params in
            ["[]", "7", r#"{"name":1,"name":2}"#, r#"{"_meta":7}"#, r#"{"_meta":["token"]}"#]
        {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{params}}}"#);
            let message = Message::parse(Bytes::from(text)).unwrap();
            assert!(message.params().is_err(), "{params}");
        }
    }
}
