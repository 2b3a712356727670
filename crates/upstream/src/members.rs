//! Members that a JSON value must have.

use serde_json::Value;

use crate::remote::words;
use crate::secrets::Secrets;

/// Members of a JSON value, and the values that each may have.
#[derive(Debug, Clone)]
pub struct Members(Vec<Member>);

/// A member of a JSON value, and the values that it may have.
#[derive(Debug, Clone)]
struct Member {
    /// Names with dots between them.
    path: String,
    values: Vec<Value>,
}

/// Longest value that is shown.
const SHOWN_CHARS_MAX: usize = 80;
/// Most names of members that are listed.
const NAMES_MAX: usize = 8;
/// Longest name that is listed.
const NAME_CHARS_MAX: usize = 40;

// === impl Members ===

impl Members {
    /// Each by its path with dots, and the JSON texts that it may be.
    pub fn new(members: &[(String, Vec<String>)]) -> Self {
        let member = |(path, values): &(String, Vec<String>)| Member {
            path: path.clone(),
            values: values.iter().map(|value| value_of(value)).collect(),
        };
        Self(members.iter().map(member).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares all of them. `called`: what a reason calls the value, such as `its JSON body`.
    ///
    /// # Errors
    /// Says what is missing or different, without secrets.
    pub fn check(&self, json: &Value, called: &str, secrets: &Secrets) -> Result<(), String> {
        self.0.iter().try_for_each(|member| member.check(json, called, secrets))
    }

    /// What is expected, as `"status" = "green" or "yellow"`.
    pub fn expected(&self, secrets: &Secrets) -> String {
        let one = |member: &Member| format!("{:?} = {}", member.path, member.expected(secrets));
        self.0.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

// === impl Member ===

impl Member {
    fn check(&self, json: &Value, called: &str, secrets: &Secrets) -> Result<(), String> {
        let path = &self.path;
        let found = find(json, path)
            .ok_or_else(|| format!("{called} has no member {path:?}{}", instead(json, secrets)))?;
        match self.values.iter().any(|value| is_same(value, found)) {
            true => Ok(()),
            false => {
                let (found, expected) = (shown(found, secrets), self.expected(secrets));
                Err(format!("{path:?} in {called} is {found} instead of {expected}"))
            }
        }
    }

    fn expected(&self, secrets: &Secrets) -> String {
        let values: Vec<_> = self.values.iter().map(|value| shown(value, secrets)).collect();
        values.join(" or ")
    }
}

fn shown(value: &Value, secrets: &Secrets) -> String {
    words::cut(&secrets.hide(&value.to_string()), SHOWN_CHARS_MAX)
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

/// What a JSON body has instead of a member.
fn instead(json: &Value, secrets: &Secrets) -> String {
    let members = match json {
        Value::Object(members) if members.is_empty() => return ": it is empty".to_owned(),
        Value::Object(members) => members,
        Value::Array(_) => return ": it is a list".to_owned(),
        _ => return ": it is no object".to_owned(),
    };
    let name = |name: &String| {
        format!("{:?}", words::cut(&secrets.hide(&words::printable(name)), NAME_CHARS_MAX))
    };
    let names: Vec<_> = members.keys().take(NAMES_MAX).map(name).collect();
    let more = match members.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(", but {}{more}", names.join(", "))
}
