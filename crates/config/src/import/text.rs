//! Parses texts of other programs into literal parts and variables.

use std::path::Path;

pub(super) use crate::expand::is_variable;

/// A text whose variables are not filled in. It may hold a secret, so it has no `Debug`.
#[derive(Clone, Default)]
pub(crate) struct Text {
    pub(super) pieces: Vec<Piece>,
}

#[derive(Clone)]
pub(super) enum Piece {
    Literal(String),
    Variable(Variable),
}

#[derive(Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) default: Option<String>,
}

/// How a program writes variables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `${NAME}`, `${NAME:-default}`, `${env:NAME}`, `${input:ID}`, `${workspaceFolder}` and the like.
    Editor,
    /// `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?why}`, `$$`.
    Compose,
    /// `{env:NAME}`.
    Braces,
    /// No notation: the text is literal.
    Plain,
}

/// What names refer to besides variables.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) dialect: Dialect,
    pub(super) workspace: Option<&'a Path>,
    /// Names of variables that the server itself fills in; they stay as they are.
    pub(super) own: &'a [String],
    pub(super) inputs: &'a [Input],
}

/// A value that an editor asks its user for.
#[derive(Clone)]
pub(super) struct Input {
    pub(super) id: String,
    pub(super) variable: String,
    pub(super) default: Option<String>,
}

// === impl Text ===

impl Text {
    pub(super) fn literal(text: impl Into<String>) -> Self {
        Self { pieces: vec![Piece::Literal(text.into())] }
    }

    pub(super) fn variable(name: &str) -> Self {
        Self { pieces: vec![Piece::Variable(Variable { name: name.to_owned(), default: None })] }
    }

    /// Parses a text of another program. The error names the part that can't be resolved here.
    pub(super) fn parse(raw: &str, scope: Scope<'_>) -> Result<Self, String> {
        let mut text = Self::default();
        match scope.dialect {
            Dialect::Plain => text.push_literal(raw),
            Dialect::Editor => text.parse_editor(raw, scope)?,
            Dialect::Compose => text.parse_compose(raw),
            Dialect::Braces => text.parse_braces(raw)?,
        }
        Ok(text)
    }

    /// The text, if it has no variables.
    pub(super) fn as_literal(&self) -> Option<String> {
        self.pieces.iter().map(Piece::literal).collect::<Option<String>>()
    }

    /// The literal text before the first variable.
    pub(super) fn first_literal(&self) -> &str {
        self.pieces.first().and_then(Piece::literal).unwrap_or_default()
    }

    pub(super) fn push_literal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Literal(text.to_owned())),
        }
    }

    pub(super) fn push_variable(&mut self, name: &str, default: Option<&str>) {
        let default = default.map(str::to_owned);
        self.pieces.push(Piece::Variable(Variable { name: name.to_owned(), default }));
    }

    /// The text for the configuration, where `$` begins a variable.
    pub(super) fn to_config(&self) -> String {
        let mut out = String::new();
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Literal(text) => {
                    out.push_str(&escaped(text, index + 1 < self.pieces.len()));
                }
                Piece::Variable(Variable { name, default: None }) => {
                    out.push_str(&format!("${{{name}}}"));
                }
                Piece::Variable(Variable { name, default: Some(default) }) => {
                    out.push_str(&format!("${{{name}:-{default}}}"));
                }
            }
        }
        out
    }

    fn parse_editor(&mut self, raw: &str, scope: Scope<'_>) -> Result<(), String> {
        if let Some(name) = raw.strip_prefix('$').filter(|name| is_loud_variable(name)) {
            self.push_variable(name, None);
            return Ok(());
        }
        let mut rest = raw;
        while let Some(begin) = rest.find("${") {
            self.push_literal(&rest[..begin]);
            if let Some((name, after)) = template(&rest[begin..]) {
                self.push_variable(&name, None);
                rest = after;
                continue;
            }
            let Some((inside, after)) = rest[begin + 2..].split_once('}') else {
                rest = &rest[begin..];
                break;
            };
            self.reference(inside, scope)?;
            rest = after;
        }
        self.push_literal(rest);
        Ok(())
    }

    fn reference(&mut self, inside: &str, scope: Scope<'_>) -> Result<(), String> {
        let name = inside.strip_prefix("env:").unwrap_or(inside);
        let (name, default) = match name.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (name, None),
        };
        let as_path = |path: &Path| path.to_string_lossy().into_owned();
        match inside {
            "workspaceFolder" | "workspaceRoot" | "CLAUDE_PROJECT_DIR" => match scope.workspace {
                Some(workspace) => self.push_literal(&as_path(workspace)),
                None => {
                    return Err(
                        "it uses the folder of a project, and its file is not in a project".into(),
                    );
                }
            },
            "workspaceFolderBasename" => {
                let Some(base) = scope.workspace.and_then(Path::file_name) else {
                    return Err(
                        "it uses the folder of a project, and its file is not in a project".into(),
                    );
                };
                self.push_literal(&base.to_string_lossy());
            }
            "userHome" => self.push_variable("HOME", None),
            "pathSeparator" | "/" => self.push_literal("/"),
            _ if scope.own.iter().any(|own| own == inside) => {
                self.push_literal(&format!("${{{inside}}}"));
            }
            _ if inside.starts_with("input:") => {
                let id = &inside["input:".len()..];
                let input = scope.inputs.iter().find(|input| input.id == id);
                let variable =
                    input.map_or_else(|| variable_name(id), |input| input.variable.clone());
                self.push_variable(&variable, input.and_then(|input| input.default.as_deref()));
            }
            _ if is_variable(name) => self.push_variable(name, default),
            _ => match editor_kind(inside) {
                Some(kind) => {
                    return Err(format!(
                        "it uses `${{{kind}:…}}`, which only its editor can resolve"
                    ));
                }
                None => self.push_literal(&format!("${{{inside}}}")),
            },
        }
        Ok(())
    }

    fn parse_braces(&mut self, raw: &str) -> Result<(), String> {
        let mut rest = raw;
        while let Some(begin) = rest.find('{') {
            self.push_literal(&rest[..begin]);
            rest = &rest[begin..];
            let inside = rest[1..].split_once('}');
            if inside.is_some_and(|(inside, _)| inside.starts_with("file:")) {
                return Err("it uses `{file:…}`, which only its own program can read".to_owned());
            }
            let variable = inside.and_then(|(inside, after)| {
                let name = inside.strip_prefix("env:").filter(|name| is_variable(name))?;
                Some((name, after))
            });
            match variable {
                Some((name, after)) => {
                    self.push_variable(name, None);
                    rest = after;
                }
                None => {
                    self.push_literal("{");
                    rest = &rest[1..];
                }
            }
        }
        self.push_literal(rest);
        Ok(())
    }

    fn parse_compose(&mut self, raw: &str) {
        let mut rest = raw;
        while let Some(dollar) = rest.find('$') {
            self.push_literal(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                self.push_literal("$");
                rest = after;
            } else if let Some((inside, after)) =
                rest.strip_prefix('{').and_then(|inside| inside.split_once('}'))
            {
                self.compose_reference(inside);
                rest = after;
            } else {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
                if is_variable(name) {
                    self.push_variable(name, None);
                    rest = after;
                } else {
                    self.push_literal("$");
                }
            }
        }
        self.push_literal(rest);
    }

    fn compose_reference(&mut self, inside: &str) {
        let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, operator) = inside.split_at(end.unwrap_or(inside.len()));
        if !is_variable(name) {
            self.push_literal(&format!("${{{inside}}}"));
            return;
        }
        let default = operator.strip_prefix(":-").or_else(|| operator.strip_prefix('-'));
        self.push_variable(name, default);
    }
}

// === impl Piece ===

impl Piece {
    fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Variable(_) => None,
        }
    }
}

/// Escapes a literal for the configuration: a dollar sign that would begin a variable is doubled.
pub(super) fn escaped(text: &str, something_follows: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        let is_read = match chars.peek() {
            Some(next) => matches!(next, '$' | '{'),
            None => something_follows,
        };
        if c == '$' && is_read {
            out.push('$');
        }
    }
    out
}

/// Parses `${{ secrets.NAME }}` at the beginning of a text. Returns its variable and the rest.
fn template(text: &str) -> Option<(String, &str)> {
    let (inside, after) = text.strip_prefix("${{")?.split_once("}}")?;
    let name = inside.trim().rsplit(['.', '/']).next()?;
    (!name.is_empty()).then(|| match is_variable(name) {
        true => (name.to_owned(), after),
        false => (variable_name(name), after),
    })
}

/// Returns the word before the colon of `command:pick`. Only an editor can fill such a reference in.
fn editor_kind(inside: &str) -> Option<&str> {
    let (kind, _) = inside.split_once(':')?;
    let is_word = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then_some(kind)
}

/// `$NAME` as a whole text is meant as a variable; `$name` may be a password.
fn is_loud_variable(name: &str) -> bool {
    is_variable(name) && !name.bytes().any(|b| b.is_ascii_lowercase())
}

/// A name for a variable, made of any words.
pub(super) fn variable_name(words: &str) -> String {
    let mut name = String::new();
    for c in words.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_uppercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    match name.bytes().next() {
        None => "VALUE".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("_{name}"),
        Some(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Dialect, Scope, Text, variable_name};

    fn read(raw: &str, dialect: Dialect) -> String {
        let own = ["OWN".to_owned()];
        let workspace = Some(Path::new("/w/project"));
        match Text::parse(raw, Scope { dialect, workspace, own: &own, inputs: &[] }) {
            Ok(text) => text.to_config(),
            Err(why) => why,
        }
    }

    #[test]
    fn variables_of_editors() {
        for (raw, expected) in [
            ("plain $5 $x", "plain $5 $x"),
            ("${HOME}/x", "${HOME}/x"),
            ("${A:-b}", "${A:-b}"),
            ("${env:A}", "${A}"),
            ("$GEMINI_KEY", "${GEMINI_KEY}"),
            ("$ecret", "$ecret"),
            ("Authorization:${OWN}", "Authorization:$${OWN}"),
            ("${workspaceFolder}/s", "/w/project/s"),
            ("${workspaceFolderBasename}", "project"),
            ("${userHome}${/}x", "${HOME}/x"),
            ("${input:api-key}", "${API_KEY}"),
            ("${not closed", "$${not closed"),
            ("${a b}", "$${a b}"),
            ("$${A}", "$$${A}"),
            ("Bearer ${{ secrets.MY_KEY }}!", "Bearer ${MY_KEY}!"),
            ("${{inputs.api-key}}", "${API_KEY}"),
            ("${{ not closed", "$${{ not closed"),
            ("${command:x}", "it uses `${command:…}`, which only its editor can resolve"),
        ] {
            assert_eq!(read(raw, Dialect::Editor), expected, "{raw}");
        }
    }

    #[test]
    fn variables_of_compose_files() {
        for (raw, expected) in [
            ("$A-${B}", "${A}-${B}"),
            ("${A:-x}${A-y}", "${A:-x}${A:-y}"),
            ("${A:?must be set}", "${A}"),
            ("$$HOME", "$HOME"),
            ("5$ $1", "5$ $1"),
        ] {
            assert_eq!(read(raw, Dialect::Compose), expected, "{raw}");
        }
    }

    #[test]
    fn variables_in_braces() {
        for (raw, expected) in [
            ("{env:A}-{env:B}", "${A}-${B}"),
            ("{\"a\": {env:A}}", "{\"a\": ${A}}"),
            ("{env:a b} {", "{env:a b} {"),
            ("${A}", "$${A}"),
            ("{file:./key}", "it uses `{file:…}`, which only its own program can read"),
        ] {
            assert_eq!(read(raw, Dialect::Braces), expected, "{raw}");
        }
    }

    #[test]
    fn names_of_variables() {
        for (words, expected) in
            [("api-key", "API_KEY"), ("X-Api.Key ", "X_API_KEY"), ("1a", "_1A"), ("--", "VALUE")]
        {
            assert_eq!(variable_name(words), expected);
        }
    }
}
