//! Recognises secrets by their names and by their form.
//!
//! A harmless value taken for a secret costs a needless reference; a secret taken for a harmless
//! value is leaked. So doubt counts as a secret.

use super::tree;
use crate::document::{Node, Value};

/// Words in a name that make any value under it a secret.
const STRONG: [&str; 15] = [
    "secret",
    "secrets",
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "apikey",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "jwt",
    "bearer",
    "pat",
];
/// Words that do so unless the value is a number or a path.
const WEAK: [&str; 6] = ["token", "tokens", "key", "keys", "auth", "dsn"];
/// Last words of names that only speak about a secret.
const ABOUT: [&str; 28] = [
    "limit",
    "count",
    "max",
    "min",
    "file",
    "path",
    "dir",
    "folder",
    "url",
    "uri",
    "name",
    "id",
    "type",
    "ttl",
    "timeout",
    "expiry",
    "size",
    "length",
    "env",
    "var",
    "endpoint",
    "host",
    "port",
    "algorithm",
    "region",
    "enabled",
    "method",
    "budget",
];
/// How the tokens of well-known services begin.
const PREFIXES: [&str; 52] = [
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "whsec_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glrt-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxe-",
    "xoxs-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "GOCSPX-",
    "hf_",
    "npm_",
    "pypi-",
    "dop_v1_",
    "shpat_",
    "shpss_",
    "SG.",
    "ntn_",
    "secret_",
    "lin_api_",
    "figd_",
    "tvly-",
    "fc-",
    "pplx-",
    "gsk_",
    "xai-",
    "r8_",
    "AGE-SECRET-KEY-",
    "ATATT",
    "dckr_pat_",
    "sbp_",
    "key-",
    "pat-",
    "api-",
    "token-",
    "nvapi-",
];

/// Whether a value is a secret by the name of its variable, header, flag or parameter.
pub(crate) fn is_named(name: &str, value: &str) -> bool {
    let value = value.trim();
    if value.is_empty()
        || is_reference(value)
        || ["true", "false", "none", "null"].contains(&&*value.to_ascii_lowercase())
    {
        return false;
    }
    let words = words(name);
    let Some(last) = words.last() else { return false };
    if ABOUT.contains(&&**last) || words.contains(&"public".to_owned()) {
        return false;
    }
    // `PWD` and `pass` alone are a folder and a verb.
    let alone = words.len() == 1 && ["pwd", "pass", "pat"].contains(&&**last);
    if !alone && words.iter().any(|word| is_strong(word)) {
        return !(words.iter().any(|word| word.starts_with("credential")) && is_path(value));
    }
    let is_weak = words.iter().any(|word| ["token", "tokens", "dsn"].contains(&&**word))
        || WEAK.contains(&&**last)
        || words.windows(2).any(|pair| pair[0] == "api" && pair[1] == "key")
        || words.windows(2).any(|pair| pair[0] == "connection" && pair[1] == "string");
    let is_number = value.len() < 8 && value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    is_weak && !is_number && !is_path(value)
}

/// `${NAME}` and nothing else: the program fills it in.
fn is_reference(value: &str) -> bool {
    let inside = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(super::text::is_variable)
}

/// Whether the last part of a name means a secret, as in `PGPASSWORD`.
fn is_strong(word: &str) -> bool {
    let is_end = |strong: &&str| strong.len() >= 6 && word.ends_with(*strong);
    STRONG.contains(&word) || STRONG.iter().any(is_end)
}

/// Whether a value looks like a secret, or has one inside.
pub(crate) fn is_shaped(value: &str) -> bool {
    has_scheme(value)
        || value.contains("-----BEGIN ") && value.contains("PRIVATE KEY")
        || has_prefix(value)
        || has_json_token(value)
        || is_opaque(value)
        || has_password(value)
        || has_secret_parameter(value)
        || has_named_member(value)
}

/// `scheme://user:password@host`, or a token in place of the user.
pub(super) fn has_password(value: &str) -> bool {
    value.match_indices("://").any(|(at, mark)| {
        let rest = &value[at + mark.len()..];
        let end = rest.find(['/', '?', '#', ' ', '"', '\'']).unwrap_or(rest.len());
        let Some((user, _)) = rest[..end].rsplit_once('@') else { return false };
        user.split_once(':').is_some_and(|(_, password)| !password.is_empty())
            || has_prefix(user)
            || is_opaque(user)
    })
}

/// `?api_key=…` of an address.
fn has_secret_parameter(value: &str) -> bool {
    let Some((_, query)) = value.split_once('?').filter(|_| value.contains("://")) else {
        return false;
    };
    query
        .split(['&', '#'])
        .any(|pair| pair.split_once('=').is_some_and(|(key, value)| is_named(key, value)))
}

/// `{"apiKey": "…"}` as the text of one value.
fn has_named_member(value: &str) -> bool {
    fn any(node: &Node) -> bool {
        node.entries().iter().any(|entry| match &entry.node.value {
            Value::Text(text) => is_named(&entry.key, text),
            _ => any(&entry.node),
        }) || matches!(&node.value, Value::List(items) if items.iter().any(any))
    }
    value.trim_start().starts_with(['{', '[']) && tree::json(value).is_ok_and(|node| any(&node))
}

/// `Bearer …` and `Basic …`.
fn has_scheme(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    ["bearer ", "basic ", "token "].iter().any(|scheme| {
        lower.match_indices(scheme).any(|(at, _)| {
            let is_start = at == 0 || !lower.as_bytes()[at - 1].is_ascii_alphanumeric();
            let rest = lower[at + scheme.len()..].trim_start();
            let word = rest.split([' ', '"', '\'']).next().unwrap_or_default();
            // Prose about a "basic check" is no header.
            let is_header = at == 0 || lower[..at].trim_end().ends_with([':', '"', '\'', '=']);
            is_start && is_header && word.len() >= 4 && !is_reference(word)
        })
    })
}

fn has_prefix(value: &str) -> bool {
    PREFIXES.iter().any(|prefix| {
        value.match_indices(prefix).any(|(at, _)| {
            let is_start = at == 0 || !value.as_bytes()[at - 1].is_ascii_alphanumeric();
            let rest = &value[at + prefix.len()..];
            let end = rest.find(|c: char| !is_token_char(c)).unwrap_or(rest.len());
            let rest = &rest[..end];
            let is_random = rest.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
            is_start && rest.len() >= 12 && is_random
        })
    })
}

/// A JSON web token.
fn has_json_token(value: &str) -> bool {
    value.match_indices("eyJ").any(|(at, _)| {
        let rest = &value[at..];
        let end = rest.find(|c: char| !is_token_char(c)).unwrap_or(rest.len());
        rest[..end].matches('.').count() >= 1 && end >= 24
    })
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// Whether a value is a long run of letters and digits without words.
fn is_opaque(value: &str) -> bool {
    let letters = runs(value, |c| c.is_ascii_alphanumeric());
    let safe = runs(value, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let standard = runs(value, |c| c.is_ascii_alphanumeric() || c == '+' || c == '/');
    letters.into_iter().any(|(at, run)| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        run.len() >= 20
            && digits >= 2
            && run.len() - digits >= 2
            && changes(run) * 4 >= run.len()
            && !is_digest(value, at, run)
    }) || [(safe, 28), (standard, 40)].into_iter().any(|(runs, length_min)| {
        runs.into_iter().any(|(_, run)| {
            run.len() >= length_min
                && run.bytes().any(|b| b.is_ascii_uppercase())
                && run.bytes().any(|b| b.is_ascii_lowercase())
                && run.bytes().any(|b| b.is_ascii_digit())
                && changes(run) * 5 >= run.len() * 2
        })
    })
}

/// Whether the value is a commit or checksum, as in pinned packages.
fn is_digest(value: &str, at: usize, run: &str) -> bool {
    let is_hex = run.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_hex
        && matches!(run.len(), 40 | 64)
        && (value[..at].ends_with('@') || value[..at].ends_with("sha256:"))
}

/// The longest pieces of these characters, and where they begin.
fn runs(value: &str, is_part: impl Fn(char) -> bool) -> Vec<(usize, &str)> {
    let mut at = 0;
    value
        .split_inclusive(|c: char| !is_part(c))
        .map(|piece| {
            let begin = at;
            at += piece.len();
            (begin, piece.trim_end_matches(|c: char| !is_part(c)))
        })
        .filter(|(_, run)| !run.is_empty())
        .collect()
}

/// How often a small letter, a capital, a digit or a sign follows something that is none.
fn changes(run: &str) -> usize {
    let kind = |b: u8| match b {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    run.as_bytes().windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count()
}

fn is_path(value: &str) -> bool {
    let is_rooted = ["/", "~/", "./", "../"].iter().any(|begin| value.starts_with(begin));
    let ending = value.rsplit_once('.').map_or("", |(_, ending)| ending);
    let has_ending =
        (2..=5).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_lowercase());
    is_rooted && (has_ending || value.matches('/').count() >= 2) && !is_opaque(value)
}

/// `apiKey`, `API_KEY` and `x-api-key` are made of the same words.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut was_small = false;
    let mut is_open = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            is_open = false;
            was_small = false;
            continue;
        }
        if !is_open || (was_small && c.is_ascii_uppercase()) {
            words.push(String::new());
            is_open = true;
        }
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
        was_small = c.is_ascii_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{is_named, is_shaped};

    #[test]
    fn names_that_make_a_secret() {
        for (name, value, expected) in [
            ("GITHUB_TOKEN", "x", true),
            ("API_KEY", "abc", true),
            ("apiKey", "abc", true),
            ("X-Api-Key", "abc", true),
            ("PGPASSWORD", "12", true),
            ("accessToken", "abc", true),
            ("DB_PASSWORD", "12", true),
            ("KEY", "abc", true),
            ("MAX_TOKENS", "4096", false),
            ("TOKEN_LIMIT", "many", false),
            ("SECRET_FILE", "/run/s", false),
            ("AWS_ACCESS_KEY_ID", "x", false),
            ("AWS_SECRET_ACCESS_KEY", "x", true),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/home/u/key.json", false),
            ("--key", "/etc/ssl/server.pem", false),
            ("PWD", "/tmp", false),
            ("LOG_LEVEL", "debug", false),
            ("PUBLIC_KEY", "abc", false),
            ("API_KEY", "", false),
            ("USE_AUTH", "true", false),
            ("Cookie", "a=b", true),
            ("Authorization", "${AUTH_HEADER}", false),
        ] {
            assert_eq!(is_named(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn shapes_of_secrets() {
        for secret in [
            "sk-proj-4f9aB2c8D1e7",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "Bearer abcdef",
            "Authorization: Bearer abcdef",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            "AKIAIOSFODNN7EXAMPLE",
            "postgresql://user:hunter2@localhost/db",
            "https://x.example/mcp?api_key=abc",
            "d41d8cd98f00b204e9800998ecf8427e",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            r#"{"apiKey": "abc"}"#,
            r#"{"Authorization": "Bearer ntn_abc"}"#,
            "-----BEGIN RSA PRIVATE KEY-----\nabc",
        ] {
            assert!(is_shaped(secret), "{secret}");
        }
        for harmless in [
            "@modelcontextprotocol/server-filesystem",
            "@modelcontextprotocol/server-sequential-thinking@2025.12.18",
            "/Users/Alice/Projects2024/MyRepository/src",
            "https://mcp.example.org/mcp?mode=readonly",
            "git+https://github.com/a/b@3b18e512dba79e4c8300dd08aeb37f8e728b8dad",
            "123e4567-e89b-12d3-a456-426614174000",
            "ghcr.io/github/github-mcp-server:v0.5.0",
            "a basic check of everything",
            "Authorization: Bearer ${TOKEN}",
            "--local-timezone=America/New_York",
            "node:22-alpine",
            "mcp-server-sk-learn-tools-and-more",
        ] {
            assert!(!is_shaped(harmless), "{harmless}");
        }
    }
}
