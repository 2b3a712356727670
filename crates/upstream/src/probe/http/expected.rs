//! What the answer to the probe `http` must be.

use http::StatusCode;
use mainstay_model::settings::HttpCheck;
use serde_json::Value;

use crate::members::Members;
use crate::remote::words;
use crate::secrets::Secrets;

/// The expected answer.
pub(super) struct Expected {
    /// `None`: 200 to 299.
    status: Option<u16>,
    contains: Option<String>,
    members: Members,
    /// What reasons never show of the body.
    secrets: Secrets,
}

/// Longest beginning of a body that is quoted.
const BEGINNING_CHARS_MAX: usize = 60;

// === impl Expected ===

impl Expected {
    pub(super) fn new(check: &HttpCheck) -> Self {
        Self {
            status: check.status,
            contains: check.contains.clone().filter(|text| !text.is_empty()),
            members: Members::new(&check.json),
            secrets: Secrets::of_url(check.url.expose(), &check.written),
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
            let why = format!("its body does not contain {:?}", self.text());
            return Err(self.with_beginning(&why, body));
        }
        let json = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let json: Value = serde_json::from_slice(json).map_err(|error| {
            self.with_beginning(&format!("its body is not JSON: {error}"), body)
        })?;
        self.members.check(&json, "its JSON body", &self.secrets)
    }

    /// A reason with the beginning of the body that it is about.
    pub(super) fn with_beginning(&self, why: &str, body: &[u8]) -> String {
        match words::beginning(body, BEGINNING_CHARS_MAX, &self.secrets) {
            Some(beginning) => format!("{why}; it begins with `{beginning}`"),
            None => format!("{why}; it is empty"),
        }
    }
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
        check(
            None,
            ok,
            r#"{"state":"ok"}"#,
            Some("its JSON body has no member \"status\", but \"state\""),
        );
        let list = "its JSON body has no member \"status\": it is a list";
        check(None, ok, r#"["status","ok"]"#, Some(list));
        let text = "its JSON body has no member \"status\": it is no object";
        check(None, ok, r#""status ok""#, Some(text));
        let not_json =
            "its body is not JSON: expected value at line 1 column 1; it begins with `status: ok`";
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
            let missing =
                format!("its JSON body has no member {path:?}, but \"checks\", \"nodes\"");
            check(None, &[(path, &["true"])], body, Some(&missing));
        }
        let other = "\"checks.db.up\" in its JSON body is true instead of \"true\"";
        check(None, &[("checks.db.up", &["\"true\""])], body, Some(other));
    }

    #[test]
    fn text_and_members_are_both_expected() {
        let up: &[(&str, &[&str])] = &[("up", &["true"])];
        check(Some("ready"), up, r#"{"up":true,"is":"ready"}"#, None);
        let missing = "its body does not contain \"ready\"; it begins with `{\"up\":true}`";
        check(Some("ready"), up, r#"{"up":true}"#, Some(missing));
        let long = format!(r#"{{"up":"{}"}}"#, "x".repeat(500));
        let said = format!("\"up\" in its JSON body is \"{}… instead of true", "x".repeat(79));
        check(None, up, &long, Some(&said));
    }

    #[test]
    fn a_reason_has_the_beginning_of_the_body_and_the_names_of_members_within_bounds() {
        let page = format!("<p>\u{1b}[2J not\n ready\u{202e} {}", "x".repeat(500));
        let said = format!(
            "its body does not contain \"ok\"; it begins with `<p> [2J not ready {}…`",
            "x".repeat(42)
        );
        check(Some("ok"), &[], &page, Some(&said));
        check(Some("ok"), &[], " \n", Some("its body does not contain \"ok\"; it is empty"));
        let members: Vec<_> = (0..20).map(|no| format!("\"m{no:02}\":1")).collect();
        let said = "its JSON body has no member \"up\", but \"m00\", \"m01\", \"m02\", \"m03\", \"m04\", \
                    \"m05\", \"m06\", \"m07\" and 12 more";
        check(None, &[("up", &["true"])], &format!("{{{}}}", members.join(",")), Some(said));
    }

    #[test]
    fn a_secret_at_the_end_of_a_beginning_is_hidden_before_it_is_cut() {
        let check = HttpCheck {
            url: Redacted::new("http://127.0.0.1/?key=open-sesame".to_owned()),
            written: String::new(),
            status: None,
            contains: Some("ok".to_owned()),
            json: Vec::new(),
        };
        for blanks in 40..62 {
            let body = format!("{}open-sesame", "x".repeat(blanks));
            let said = Expected::new(&check).check_body(body.as_bytes()).unwrap_err();
            assert!(!said.contains("op"), "{said}");
        }
    }
}
