//! Tool arguments that are repeated as HTTP headers: `x-mcp-header` of 2026-07-28.
//!
//! A property of a tool's `inputSchema` with the keyword `x-mcp-header` is repeated in the header
//! `Mcp-Param-NAME`, so that proxies can route by it without parsing bodies. The keyword is allowed only at
//! properties that are reached through `properties` alone, so the path to the value in `arguments` is
//! fixed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::headers::{self, HeaderMismatch};

#[cfg(test)]
mod tests;

/// The arguments of a tool that are repeated as headers. Empty for most tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirroredArguments(Box<[MirroredArgument]>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct MirroredArgument {
    /// The header name in lower case.
    header: Box<str>,
    /// The path of properties to the value.
    path: Box<[Box<str>]>,
    is_integer: bool,
}

/// The error for an invalid use of `x-mcp-header`. Such a tool must not be used over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMirror {
    #[error("its inputSchema can't be parsed: {0}")]
    Unreadable(String),
    #[error("x-mcp-header {0} is not a header name")]
    NotAName(String),
    #[error("x-mcp-header {0:?} is used at two properties")]
    Twice(String),
    #[error("x-mcp-header {0:?} is used at a property that is not a string, integer or boolean")]
    NotPrimitive(String),
    #[error("x-mcp-header {0} is used at a place that can't be reached through `properties` alone")]
    Unreachable(String),
}

/// The parsed members of a tool.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tool {
    #[serde(default)]
    input_schema: Value,
}

const KEYWORD: &str = "x-mcp-header";
/// Schema keywords whose values are maps from names to schemas.
const NAMED_SCHEMAS: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/// Schema keywords whose values are data, in which `x-mcp-header` has no meaning.
const DATA: [&str; 4] = ["default", "examples", "const", "enum"];
/// The largest integer that every JSON implementation represents exactly: 2^53 - 1.
const SAFE_MAX: f64 = 9_007_199_254_740_991.0;

// === impl MirroredArguments ===

impl MirroredArguments {
    /// Parses the arguments to repeat from a tool's JSON.
    ///
    /// # Errors
    /// [`BadMirror`] if the tool uses the keyword wrongly. HTTP clients must then omit the tool.
    pub fn of_tool(tool: &str) -> Result<Self, BadMirror> {
        // Most tools don't contain the keyword, so this search decides.
        if memmem::find(tool.as_bytes(), KEYWORD.as_bytes()).is_none() {
            return Ok(Self::default());
        }
        let tool: Tool =
            serde_json::from_str(tool).map_err(|error| BadMirror::Unreadable(error.to_string()))?;
        let mut found = Vec::new();
        if let Some(name) = tool.input_schema.get(KEYWORD) {
            return Err(BadMirror::Unreachable(name.to_string()));
        }
        walk(&tool.input_schema, &mut Vec::new(), &mut found)?;
        Ok(Self(found.into()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers of a call: names in lower case and encoded values. `arguments` is JSON. Arguments that
    /// are absent or null have no header.
    pub fn headers(&self, arguments: Option<&str>) -> Vec<(&str, String)> {
        let Some(arguments) = arguments else { return Vec::new() };
        let mut all = Vec::with_capacity(self.0.len());
        for mirror in &self.0 {
            if let Some(value) = mirror.value(arguments) {
                all.push((&*mirror.header, headers::encode_value(&value).into_owned()));
            }
        }
        all
    }

    /// Checks the headers of a call against its `arguments`, which are JSON. `given` returns all values of
    /// a header by its name in lower case.
    ///
    /// # Errors
    /// [`HeaderMismatch`] if a header is missing, repeated, without an argument, or different from it.
    pub fn check<'a, V>(
        &self,
        arguments: Option<&str>,
        given: impl Fn(&str) -> V,
    ) -> Result<(), HeaderMismatch>
    where
        V: IntoIterator<Item = &'a [u8]>,
    {
        self.0.iter().try_for_each(|mirror| mirror.check(arguments, given(&mirror.header)))
    }
}

// === impl MirroredArgument ===

impl MirroredArgument {
    /// The argument as text. `None` if it is not a primitive value; the server will refuse it.
    fn value(&self, arguments: &str) -> Option<String> {
        let mut at = arguments;
        for name in &self.path {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(at).ok()?;
            at = members.get(&**name)?.get();
        }
        match at.as_bytes().first()? {
            b'"' => serde_json::from_str(at).ok(),
            b't' | b'f' => Some(at.to_owned()),
            b'-' | b'0'..=b'9' => Some(plain_number(at).into_owned()),
            _ => None,
        }
    }

    fn check<'a>(
        &self,
        arguments: Option<&str>,
        given: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), HeaderMismatch> {
        let header = || Cow::Owned(self.header.to_string());
        let mut given = given.into_iter();
        let (first, second) = (given.next(), given.next());
        let expected = arguments.and_then(|arguments| self.value(arguments));
        let (expected, value) = match (expected, first) {
            (None, None) => return Ok(()),
            (None, Some(_)) => return Err(HeaderMismatch::Different { header: header() }),
            (Some(_), None) => return Err(HeaderMismatch::Missing { header: header() }),
            (Some(_), Some(_)) if second.is_some() => {
                return Err(HeaderMismatch::Repeated { header: header() });
            }
            (Some(expected), Some(value)) => (expected, value),
        };
        let value = headers::decode_value(value)
            .map_err(|reason| HeaderMismatch::Unreadable { header: header(), reason })?;
        let same = value == expected
            || self.is_integer
                && serde_json::from_str::<&RawValue>(&value)
                    .is_ok_and(|number| plain_number(number.get()) == expected);
        if same { Ok(()) } else { Err(HeaderMismatch::Different { header: header() }) }
    }
}

// === helpers ===

/// Collects the keywords of a schema's properties, recursively through `properties`.
fn walk(
    schema: &Value,
    path: &mut Vec<Box<str>>,
    found: &mut Vec<MirroredArgument>,
) -> Result<(), BadMirror> {
    let Value::Object(members) = schema else { return Ok(()) };
    for (name, value) in members {
        match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    path.push(name.as_str().into());
                    note(property, path, found)?;
                    walk(property, path, found)?;
                    path.pop();
                }
            }
            _ => unreachable_in(name, value)?,
        }
    }
    Ok(())
}

/// Adds a property to `found` if it has the keyword.
fn note(
    property: &Value,
    path: &[Box<str>],
    found: &mut Vec<MirroredArgument>,
) -> Result<(), BadMirror> {
    let Some(keyword) = property.get(KEYWORD) else { return Ok(()) };
    let name = keyword.as_str().filter(|name| is_token(name));
    let name = name.ok_or_else(|| BadMirror::NotAName(keyword.to_string()))?;
    let header: Box<str> = format!("{}{}", headers::PARAM_PREFIX, name.to_ascii_lowercase()).into();
    if found.iter().any(|other| other.header == header) {
        return Err(BadMirror::Twice(name.to_owned()));
    }
    let kind = primitive(property).ok_or_else(|| BadMirror::NotPrimitive(name.to_owned()))?;
    found.push(MirroredArgument { header, path: path.into(), is_integer: kind == "integer" });
    Ok(())
}

/// The type of a property, if it is a single primitive type, optionally with null.
fn primitive(property: &Value) -> Option<&str> {
    let kind = match property.get("type")? {
        Value::String(kind) => kind.as_str(),
        Value::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.next().filter(|_| kinds.next().is_none())?
        }
        _ => return None,
    };
    matches!(kind, "string" | "integer" | "boolean").then_some(kind)
}

/// Refuses the keyword anywhere in the value of the schema member `name`.
fn unreachable_in(name: &str, value: &Value) -> Result<(), BadMirror> {
    match value {
        _ if DATA.contains(&name) => Ok(()),
        Value::Object(schemas) if NAMED_SCHEMAS.contains(&name) => {
            schemas.values().try_for_each(unreachable_schema)
        }
        Value::Array(schemas) => schemas.iter().try_for_each(unreachable_schema),
        schema => unreachable_schema(schema),
    }
}

fn unreachable_schema(schema: &Value) -> Result<(), BadMirror> {
    let Value::Object(members) = schema else { return Ok(()) };
    if let Some(keyword) = members.get(KEYWORD) {
        return Err(BadMirror::Unreachable(keyword.to_string()));
    }
    members.iter().try_for_each(|(name, value)| unreachable_in(name, value))
}

/// Whether a text is a token (RFC 9110, section 5.6.2).
fn is_token(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

/// A JSON number in plain decimal form if it is an integer, or else as it is written.
fn plain_number(raw: &str) -> Cow<'_, str> {
    if raw == "-0" {
        return Cow::Borrowed("0");
    }
    if !raw.contains(['.', 'e', 'E']) {
        return Cow::Borrowed(raw);
    }
    match raw.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() <= SAFE_MAX => {
            Cow::Owned(format!("{}", number as i64))
        }
        _ => Cow::Borrowed(raw),
    }
}
