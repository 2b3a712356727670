//! The weather as resources: a list of a few cities, and a template for any city.

use rmcp::model::{
    ErrorData, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResponse,
    ReadResourceResult,
};
use serde_json::{Value, json};

use super::forecast::Forecast;
use crate::wire::result;

const PREFIX: &str = "weather://city/";
const CITIES: [&str; 4] = ["Berlin", "Nairobi", "Osaka", "Reykjavik"];

pub(super) fn list() -> Result<ListResourcesResult, ErrorData> {
    let resources: Vec<Value> = CITIES.iter().map(|city| described(city)).collect();
    result(json!({"resources": resources}))
}

pub(super) fn templates() -> Result<ListResourceTemplatesResult, ErrorData> {
    result(json!({"resourceTemplates": [{
        "uriTemplate": "weather://city/{name}",
        "name": "city",
        "title": "Weather of a city (simulated)",
        "description": "Seven simulated days; a name may be real or made up",
        "mimeType": "application/json",
    }]}))
}

pub(super) fn read(uri: &str) -> Result<ReadResourceResponse, ErrorData> {
    let missing = || ErrorData::resource_not_found("no such city", Some(json!({"uri": uri})));
    let city = uri.strip_prefix(PREFIX).and_then(decoded).ok_or_else(missing)?;
    let forecast = Forecast::from_today(&city, 7).map_err(|_| missing())?;
    let mut page = page(&forecast);
    page["uri"] = json!(uri);
    result::<ReadResourceResult>(json!({"contents": [page]})).map(Into::into)
}

/// A forecast as the contents of its resource.
pub(super) fn page(forecast: &Forecast) -> Value {
    json!({
        "uri": address(&forecast.city),
        "mimeType": "application/json",
        "text": json!(forecast).to_string(),
    })
}

/// A link to the forecast of a city.
pub(super) fn link(city: &str) -> Value {
    let mut link = described(city);
    link["type"] = json!("resource_link");
    link
}

fn described(city: &str) -> Value {
    json!({
        "uri": address(city),
        "name": format!("weather-{}", city.to_lowercase()),
        "title": format!("Weather of {city} (simulated)"),
        "description": format!("Seven simulated days of {city}"),
        "mimeType": "application/json",
    })
}

fn address(city: &str) -> String {
    let mut address = PREFIX.to_owned();
    for byte in city.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            address.push_str(&format!("%{byte:02X}"));
        }
    }
    address
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_its_city() {
        for city in ["Berlin", "São Paulo", "100 % /?#", "東京"] {
            let address = address(city);
            assert!(address.is_ascii(), "{address}");
            assert_eq!(address.strip_prefix(PREFIX).and_then(decoded).as_deref(), Some(city));
        }
        assert_eq!(decoded("a%2"), None);
        assert_eq!(decoded("%ff"), None);
    }
}
