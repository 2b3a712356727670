//! Rules for the tools of a server, and what they come to for one tool.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Limits, ServerSpec, as_optional_millis};
use crate::Need;
use crate::pattern::Pattern;

/// A `[servers.NAME.tools."PATTERN"]` section. All rules that match a tool apply to it, in the order of the
/// file: a later one replaces what an earlier one set, and needs add up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolRule {
    /// Which tools it is for, by the server's own names.
    pub pattern: Pattern,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_optional_millis")]
    pub call_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_optional_millis")]
    pub call_timeout_max: Option<Duration>,
    /// What these tools need beside what the server needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// Whether a call may be sent again after its answer was lost. `None`: the tool's annotations decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate: Option<ValidateSpec>,
}

/// What arguments must be like, checked before a call is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ValidateSpec {
    /// Whether arguments must match the tool's own `inputSchema`. `None`: not set here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<ArgumentLimit>,
}

/// A limit on an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArgumentLimit {
    pub path: ArgumentPath,
    pub measure: Measure,
    pub max: u64,
}

/// What of an argument is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The number of items of a list, or of members of an object.
    Items,
    /// The number of characters of a string.
    Length,
    /// How deep lists and objects are nested. A string has depth 0, a list of strings 1.
    Depth,
    /// The bytes of its JSON text as the client sent it.
    Bytes,
}

/// Names arguments: `inputs`, `inputs[]` for each item of it, `filter.tags[].name`, or `.` for all arguments
/// together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArgumentPath {
    written: String,
    steps: Vec<PathStep>,
}

/// One step from a value to values in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathStep {
    Member(String),
    /// Each item of a list.
    Items,
}

/// The error for a text that is no [`ArgumentPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the path of an argument, such as `inputs`, `inputs[]`, `filter.name` or `.`")]
pub struct InvalidPath;

/// What the rules of a server come to for one of its tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolTerms {
    /// The deadline of a call. `None`: the gateway's.
    pub call: Option<TimeLimit>,
    /// The longest deadline that progress can extend a call to. `None`: the gateway's.
    pub call_max: Option<TimeLimit>,
    /// What the tool needs beside what its server needs, each once.
    pub needs: Vec<Need>,
    /// Whether a call may be sent again after its answer was lost. `None`: the tool's annotations decide.
    pub retry: Option<bool>,
    /// Whether arguments must match the tool's own `inputSchema`.
    pub schema: bool,
    /// The limits on arguments, each path and measure once.
    pub limits: Vec<ArgumentLimit>,
}

/// A time limit, and the key that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeLimit {
    pub time: Duration,
    /// The key as it is written, such as `servers.embeddings.tools."embed*".call_timeout`.
    pub key: String,
    /// How near to the tool the key is: 1 for the server's, more for rules, the later the more.
    rank: usize,
}

/// The deadlines of a call as they are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits<'a> {
    pub call: Duration,
    /// Never less than `call`.
    pub call_max: Duration,
    /// The key that set `call`.
    pub call_key: &'a str,
    /// The key that set `call_max`.
    pub call_max_key: &'a str,
}

// === impl ToolTerms ===

impl ToolTerms {
    /// The terms for a tool of a server; `None` for requests that call no tool.
    pub fn of(server: &ServerSpec, tool: Option<&str>) -> Self {
        let limit = |time: Option<Duration>, key: &str, rank: usize| {
            let key = format!("servers.{}.{key}", server.name);
            time.map(|time| TimeLimit { time, key, rank })
        };
        let mut terms = Self {
            call: limit(server.call_timeout, "call_timeout", 1),
            call_max: limit(server.call_timeout_max, "call_timeout_max", 1),
            ..Self::default()
        };
        let Some(tool) = tool else { return terms };
        for (place, rule) in server.tools.iter().enumerate() {
            if !rule.pattern.matches(tool) {
                continue;
            }
            let (table, rank) = (format!("tools.\"{}\"", rule.pattern), place + 2);
            let call = limit(rule.call_timeout, &format!("{table}.call_timeout"), rank);
            let call_max = limit(rule.call_timeout_max, &format!("{table}.call_timeout_max"), rank);
            terms.call = call.or(terms.call);
            terms.call_max = call_max.or(terms.call_max);
            terms.retry = rule.retry.or(terms.retry);
            for need in &rule.needs {
                if !terms.needs.contains(need) {
                    terms.needs.push(need.clone());
                }
            }
            terms.validate_by(rule.validate.as_ref());
        }
        terms
    }

    fn validate_by(&mut self, validate: Option<&ValidateSpec>) {
        let Some(validate) = validate else { return };
        self.schema = validate.schema.unwrap_or(self.schema);
        for limit in &validate.limits {
            self.limits.retain(|old| (&old.path, old.measure) != (&limit.path, limit.measure));
            self.limits.push(limit.clone());
        }
    }

    /// The deadlines of a call to the tool. Of two keys that contradict each other, the one nearer to the tool
    /// holds: a `call_timeout` raises the maximum of an outer table, and a `call_timeout_max` lowers the deadline
    /// of one.
    pub fn call_limits(&self, gateway: &Limits) -> CallLimits<'_> {
        let of = |limit: &'_ Option<TimeLimit>, time: Duration| {
            limit.as_ref().map_or((time, 0), |limit| (limit.time, limit.rank))
        };
        let (mut call, call_rank) = of(&self.call, gateway.call);
        let (call_max, max_rank) = of(&self.call_max, gateway.call_max);
        let mut call_key = self.call.as_ref().map_or("call_timeout", |limit| &limit.key);
        let mut call_max_key =
            self.call_max.as_ref().map_or("call_timeout_max", |limit| &limit.key);
        if call > call_max {
            if max_rank > call_rank {
                (call, call_key) = (call_max, call_max_key);
            } else {
                call_max_key = call_key;
            }
        }
        CallLimits { call, call_max: call_max.max(call), call_key, call_max_key }
    }

    /// Whether arguments are looked at before a call.
    pub fn validates(&self) -> bool {
        self.schema || !self.limits.is_empty()
    }
}

// === impl ServerSpec ===

impl ServerSpec {
    /// The longest time that a call to any of its tools may take, with all its progress.
    pub fn call_max(&self, gateway: &Limits) -> Duration {
        let of_rules =
            self.tools.iter().flat_map(|rule| [rule.call_timeout, rule.call_timeout_max]);
        let own = [Some(gateway.call_max), self.call_timeout, self.call_timeout_max];
        of_rules.chain(own).flatten().max().unwrap_or(gateway.call_max)
    }
}

// === impl ArgumentPath ===

impl ArgumentPath {
    const STEPS_MAX: usize = 16;

    /// # Errors
    /// [`InvalidPath`] if the text does not name arguments.
    pub fn try_new(text: &str) -> Result<Self, InvalidPath> {
        let mut steps = Vec::new();
        if text != "." {
            for part in text.split('.') {
                let name = part.trim_end_matches("[]");
                if name.is_empty()
                    || name.contains(['[', ']'])
                    || name.chars().any(char::is_control)
                {
                    return Err(InvalidPath);
                }
                steps.push(PathStep::Member(name.to_owned()));
                let lists = (part.len() - name.len()) / "[]".len();
                steps.extend(std::iter::repeat_n(PathStep::Items, lists));
            }
        }
        if steps.len() > Self::STEPS_MAX {
            return Err(InvalidPath);
        }
        Ok(Self { written: text.to_owned(), steps })
    }

    pub fn as_str(&self) -> &str {
        &self.written
    }

    pub fn steps(&self) -> &[PathStep] {
        &self.steps
    }
}

impl fmt::Display for ArgumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for ArgumentPath {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.written)
    }
}

// === impl Measure ===

impl Measure {
    pub const ALL: [Self; 4] = [Self::Items, Self::Length, Self::Depth, Self::Bytes];

    /// The key of such limits.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Length => "length",
            Self::Depth => "depth",
            Self::Bytes => "bytes",
        }
    }
}

#[cfg(test)]
mod tests;
