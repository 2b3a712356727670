//! A server that a user describes on the command line, in the notation of the configuration.

use std::path::PathBuf;

use super::found::{Found, Parsed, Run};
use super::text::{Text, is_variable};

/// A server to add. It may hold secrets, so it has no `Debug`.
pub struct GivenServer {
    pub name: String,
    pub run: GivenRun,
    pub env: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub cwd: Option<PathBuf>,
}

/// What a given server runs.
pub enum GivenRun {
    /// The program and its arguments; never empty.
    Command(Vec<String>),
    Url(String),
}

// === impl GivenServer ===

impl GivenServer {
    /// The server as an import has it, so that its secrets are treated alike.
    pub fn into_parsed(self) -> Parsed {
        let pairs = |pairs: Vec<(String, String)>| {
            pairs.into_iter().map(|(key, value)| (key, text(&value))).collect()
        };
        let run = match self.run {
            GivenRun::Command(words) => Run::Command(words.iter().map(|word| text(word)).collect()),
            GivenRun::Url(url) => Run::Url(text(&url)),
        };
        let found = Found {
            name: self.name,
            within: Vec::new(),
            run,
            env: pairs(self.env),
            headers: pairs(self.headers),
            cwd: self.cwd.map(|cwd| Text::literal(cwd.to_string_lossy())),
            required: false,
            start_timeout: None,
            notes: Vec::new(),
        };
        Parsed {
            file: PathBuf::new(),
            format: "command line",
            found: vec![found],
            skipped: Vec::new(),
        }
    }
}

/// A text with `${NAME}` and `${NAME:-default}`. Any other `$` stands for itself.
fn text(raw: &str) -> Text {
    let mut text = Text::default();
    let mut rest = raw;
    while let Some(begin) = rest.find("${") {
        let inside = rest[begin + 2..].split_once('}');
        let variable = inside.and_then(|(inside, after)| {
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            is_variable(name).then_some((name, default, after))
        });
        match variable {
            Some((name, default, after)) => {
                text.push_literal(&rest[..begin]);
                text.push_variable(name, default);
                rest = after;
            }
            None => {
                text.push_literal(&rest[..begin + 2]);
                rest = &rest[begin + 2..];
            }
        }
    }
    text.push_literal(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn only_variables_are_variables() {
        for (raw, config) in [
            ("plain", "plain"),
            ("a$b", "a$b"),
            ("Bearer ${KEY}", "Bearer ${KEY}"),
            ("${KEY:-x}y", "${KEY:-x}y"),
            ("${not one}", "$${not one}"),
            ("", ""),
        ] {
            assert_eq!(text(raw).to_config(), config, "{raw}");
        }
    }
}
