//! What the answer to the probe `http` must be.

use http::StatusCode;
use mainstay_model::settings::HttpCheck;
use serde_json::Value;

/// The expected answer.
#[derive(Debug)]
pub(super) struct Expected {
    /// `None`: 200 to 299.
    status: Option<u16>,
    contains: Option<String>,
    members: Vec<Member>,
}

/// A member of a JSON body, and the values that it may have.
#[derive(Debug)]
struct Member {
    /// Names with dots between them.
    path: String,
    values: Vec<Value>,
}

/// Longest value that is shown.
const SHOWN_CHARS_MAX: usize = 80;

// === impl Expected ===

impl Expected {
    pub(super) fn new(check: &HttpCheck) -> Self {
        let members = check.json.iter().map(|(path, values)| Member {
            path: path.clone(),
            values: values.iter().map(|value| value_of(value)).collect(),
        });
        Self {
            status: check.status,
            contains: check.contains.clone().filter(|text| !text.is_empty()),
            members: members.collect(),
        }
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.status
    }

    pub(super) fn accepts_status(&self, status: StatusCode) -> bool {
        self.status.map_or(status.is_success(), |expected| expected == status.as_u16())
    }

    pub(super) fn wants_body(&self) -> bool {
        self.contains.is_some() || self.needs_whole_body()
    }

    pub(super) fn needs_whole_body(&self) -> bool {
        !self.members.is_empty()
    }

    /// The text that the body contains; empty for any.
    pub(super) fn text(&self) -> &str {
        self.contains.as_deref().unwrap_or_default()
    }

    /// Compares a whole body.
    ///
    /// # Errors
    /// Says what is missing or different.
    pub(super) fn check_body(&self, body: &[u8]) -> Result<(), String> {
        if memchr::memmem::find(body, self.text().as_bytes()).is_none() {
            return Err(format!("its body does not contain {:?}", self.text()));
        }
        let json = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let json: Value = serde_json::from_slice(json)
            .map_err(|error| format!("its body is not JSON: {error}"))?;
        self.members.iter().try_for_each(|member| member.check(&json))
    }
}

// === impl Member ===

impl Member {
    fn check(&self, json: &Value) -> Result<(), String> {
        let path = &self.path;
        let found =
            find(json, path).ok_or_else(|| format!("its JSON body has no member {path:?}"))?;
        match self.values.iter().any(|value| is_same(value, found)) {
            true => Ok(()),
            false => {
                let values: Vec<_> = self.values.iter().map(shown).collect();
                let expected = values.join(" or ");
                Err(format!("{path:?} in its JSON body is {} instead of {expected}", shown(found)))
            }
        }
    }
}

/// The value at a path. A name may contain dots itself, and a number is the place in an array.
fn find<'a>(json: &'a Value, path: &str) -> Option<&'a Value> {
    let step = |name: &str| match json {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    };
    if let Some(found) = step(path) {
        return Some(found);
    }
    path.match_indices('.').find_map(|(at, _)| find(step(&path[..at])?, &path[at + 1..]))
}

/// Whether two values are the same in JSON, where 1 and 1.0 are.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64().is_some_and(|one| Some(one) == other.as_f64())
        }
        _ => one == other,
    }
}

/// The value of a JSON text; another text stands for itself.
fn value_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use mainstay_model::Redacted;
    use mainstay_model::settings::HttpCheck;

    use super::Expected;

    fn check(contains: Option<&str>, json: &[(&str, &[&str])], body: &str, expected: Option<&str>) {
        let owned = |text: &&str| (*text).to_owned();
        let check = HttpCheck {
            url: Redacted::new(String::new()),
            written: String::new(),
            status: None,
            contains: contains.map(str::to_owned),
            json: json
                .iter()
                .map(|(path, values)| ((*path).to_owned(), values.iter().map(owned).collect()))
                .collect(),
        };
        let checked = Expected::new(&check).check_body(body.as_bytes());
        assert_eq!(checked.err().as_deref(), expected, "{body}");
    }

    #[test]
    fn t4_4_a_member_is_compared_as_a_value_and_not_as_a_word_of_the_body() {
        let ok: &[(&str, &[&str])] = &[("status", &["\"ok\""])];
        check(None, ok, r#"{"status":"ok"}"#, None);
        check(None, ok, "\u{feff}{ \"status\" :\n \"ok\" }", None);
        let wrong = "\"status\" in its JSON body is \"error\" instead of \"ok\"";
        check(None, ok, r#"{"status":"error","hint":"status ok"}"#, Some(wrong));
        check(None, ok, r#"{"state":"ok"}"#, Some("its JSON body has no member \"status\""));
        check(None, ok, r#"["status","ok"]"#, Some("its JSON body has no member \"status\""));
        check(None, ok, r#""status ok""#, Some("its JSON body has no member \"status\""));
        let not_json = "its body is not JSON: expected value at line 1 column 1";
        check(None, ok, "status: ok", Some(not_json));
        let null = "\"status\" in its JSON body is null instead of \"ok\"";
        check(None, ok, r#"{"status":null}"#, Some(null));
    }

    #[test]
    fn elasticsearch_may_be_yellow_and_not_red() {
        let either: &[(&str, &[&str])] = &[("status", &["\"green\"", "\"yellow\""])];
        check(None, either, r#"{"cluster_name":"es","status":"yellow"}"#, None);
        let red = "\"status\" in its JSON body is \"red\" instead of \"green\" or \"yellow\"";
        check(None, either, r#"{"cluster_name":"es","status":"red"}"#, Some(red));
    }

    #[test]
    fn a_path_leads_into_objects_and_arrays_and_names_may_have_dots() {
        let body =
            r#"{"checks":{"db":{"up":true},"a.b":{"c.d":3}},"nodes":[{"up":false},{"up":1.0}]}"#;
        for (path, value) in [
            ("checks.db.up", "true"),
            ("checks.a.b.c.d", "3"),
            ("nodes.0.up", "false"),
            ("nodes.1.up", "1"),
            ("checks.db", r#"{"up":true}"#),
        ] {
            check(None, &[(path, &[value])], body, None);
        }
        for path in ["checks.up", "nodes.2.up", "nodes.up", "checks.db.up.x", ""] {
            let missing = format!("its JSON body has no member {path:?}");
            check(None, &[(path, &["true"])], body, Some(&missing));
        }
        let other = "\"checks.db.up\" in its JSON body is true instead of \"true\"";
        check(None, &[("checks.db.up", &["\"true\""])], body, Some(other));
    }

    #[test]
    fn text_and_members_are_both_expected() {
        let up: &[(&str, &[&str])] = &[("up", &["true"])];
        check(Some("ready"), up, r#"{"up":true,"is":"ready"}"#, None);
        let missing = "its body does not contain \"ready\"";
        check(Some("ready"), up, r#"{"up":true}"#, Some(missing));
        let long = format!(r#"{{"up":"{}"}}"#, "x".repeat(500));
        let said = format!("\"up\" in its JSON body is \"{}… instead of true", "x".repeat(79));
        check(None, up, &long, Some(&said));
    }
}
