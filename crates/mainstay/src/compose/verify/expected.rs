//! What a declared check expects, as a phrase.

use mainstay_model::settings::{
    CallCheck, CheckKind, HttpCheck, PostgresCheck, ProbeCheck, TargetCheck, ToolsCheck,
};
use mainstay_upstream::{Members, Secrets, beginning};

/// Most characters of a phrase.
const CHARS_MAX: usize = 300;

/// What must be so for the check to pass.
pub(super) fn of(kind: &CheckKind, members: &Members, secrets: &Secrets) -> String {
    let phrase = match kind {
        CheckKind::Call(check) => call(check, members, secrets),
        CheckKind::Tools(check) => tools(check),
        CheckKind::Target(check) => target(check, secrets),
    };
    beginning(phrase.as_bytes(), CHARS_MAX, secrets).unwrap_or_default()
}

fn call(check: &CallCheck, members: &Members, secrets: &Secrets) -> String {
    let what = if check.is_error { "an error" } else { "a result" };
    let mut parts = Vec::new();
    if let Some(text) = &check.contains {
        parts.push(format!("with the text {text:?}"));
    }
    if let Some(text) = &check.equals {
        parts.push(format!("that is {text:?}"));
    }
    if !members.is_empty() {
        parts.push(format!("where {}", members.expected(secrets)));
    }
    match parts.is_empty() {
        true => format!("{} answers with {what}", check.tool),
        false => format!("{} answers with {what} {}", check.tool, parts.join(" and ")),
    }
}

fn tools(check: &ToolsCheck) -> String {
    let names: Vec<_> = check.names.iter().map(String::as_str).collect();
    match (check.is_exact, names.is_empty()) {
        (_, true) => "no tools".to_owned(),
        (true, false) => format!("exactly the tools {}", names.join(", ")),
        (false, false) => format!("at least the tools {}", names.join(", ")),
    }
}

fn target(check: &TargetCheck, secrets: &Secrets) -> String {
    match &check.check {
        ProbeCheck::Http(check) => http(check, secrets),
        ProbeCheck::Tcp(address) => format!("{address} accepts a connection"),
        ProbeCheck::Command(process) => {
            let command = process.shown_command();
            match &check.output {
                Some(text) => format!("`{command}` exits with code 0 and prints {text:?}"),
                None => format!("`{command}` exits with code 0"),
            }
        }
        ProbeCheck::Redis(_) => "the Redis answers PING".to_owned(),
        ProbeCheck::Postgres(PostgresCheck { query, .. }) => {
            format!("the database answers {query:?}")
        }
        ProbeCheck::Ping | ProbeCheck::Tool(_) | ProbeCheck::Log(_) => String::new(),
    }
}

fn http(check: &HttpCheck, secrets: &Secrets) -> String {
    let status = match check.status {
        Some(status) => status.to_string(),
        None => "200 to 299".to_owned(),
    };
    // Its query may hold a key.
    let address = check.written.split(['?', '#']).next().unwrap_or_default();
    let mut phrase = format!("{address} answers HTTP {status}");
    if let Some(text) = &check.contains {
        phrase.push_str(&format!(" with the text {text:?}"));
    }
    let members = Members::new(&check.json);
    if !members.is_empty() {
        phrase.push_str(&format!(" where {}", members.expected(secrets)));
    }
    phrase
}

/// What is said of an address or command that passed.
pub(super) fn met(check: &ProbeCheck) -> &'static str {
    match check {
        ProbeCheck::Tcp(_) => "it accepts connections",
        ProbeCheck::Command(_) => "it exits with code 0",
        ProbeCheck::Redis(_) => "it answers PING",
        ProbeCheck::Postgres(_) => "it answers the query",
        _ => "it answers as expected",
    }
}
