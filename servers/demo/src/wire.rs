//! Conversion of JSON, as the specification shows it, to the SDK's types.

use rmcp::model::{ErrorData, ServerConfig};
use rmcp::service::{RequestContext, RoleServer};
use schemars::Schema;
use schemars::transform::transform_subschemas;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) type Context = RequestContext<RoleServer>;

/// Deserializes a message. An error means a mistake in this crate.
pub(crate) fn wire<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(format!("demonstration data: {error}"), None))
}

/// Deserializes a result and marks it as complete. The SDK removes the mark for clients of revisions
/// without it.
pub(crate) fn result<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    value["resultType"] = json!("complete");
    wire(value)
}

/// The server information for the handshake.
pub(crate) fn about(
    name: &str,
    title: &str,
    instructions: &str,
    capabilities: &Value,
) -> ServerConfig {
    wire(json!({
        "protocolVersion": "2025-11-25",
        "capabilities": capabilities,
        "serverInfo": {
            "name": name,
            "title": title,
            "version": env!("CARGO_PKG_VERSION"),
        },
        "instructions": instructions,
    }))
    .expect("every caller passes a literal of the right shape")
}

/// Whether the request is of revision 2026-07-28, without a handshake and without requests of the server.
pub(crate) fn is_modern(context: &Context) -> bool {
    context.protocol_version().is_some_and(|version| !version.has_initialize())
}

/// Removes the width of numbers from a schema. These formats are specific to Rust, and clients that
/// validate schemas warn about them.
pub(crate) fn plain_numbers(schema: &mut Schema) {
    let is_width = |format: &Value| {
        format.as_str().is_some_and(|it| it.trim_start_matches('u').starts_with("int"))
    };
    if schema.get("format").is_some_and(is_width) {
        schema.remove("format");
    }
    transform_subschemas(&mut plain_numbers, schema);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn numbers_have_no_width_and_other_formats_stay() {
        let schema = json!({"properties": {
            "a": {"type": "integer", "format": "uint32", "minimum": 0},
            "b": {"items": {"type": "integer", "format": "int64"}},
            "c": {"type": "string", "format": "date"},
        }});
        let mut schema = schema.try_into().unwrap();
        super::plain_numbers(&mut schema);
        let plain = json!({"properties": {
            "a": {"type": "integer", "minimum": 0},
            "b": {"items": {"type": "integer"}},
            "c": {"type": "string", "format": "date"},
        }});
        assert_eq!(schema.to_value(), plain);
    }
}
