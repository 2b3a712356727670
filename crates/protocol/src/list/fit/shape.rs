//! Shapes of JSON text, checked without decoding it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Misfit;
use crate::build;
use crate::scan::each_member;

/// The shape of a value.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    Flag,
    Number,
    /// A number from 0 to 1.
    Share,
    /// A date with time and offset.
    Time,
    /// A URI with a scheme.
    Uri,
    /// One of these words. They come with their description.
    Word(&'static [&'static str], &'static str),
    /// The schema of a value inside of a schema.
    Subschema,
    List(&'static Self),
    /// An object whose members have a shape, whatever their names are.
    Map(&'static Self),
    /// An object. Members that are not listed may be anything.
    Object(&'static [Member]),
}

/// A member of an object.
#[derive(Debug)]
pub(super) struct Member {
    name: &'static str,
    shape: &'static Shape,
    is_required: bool,
}

/// The result of a check: another form of the value that has the shape, or `None` if the value itself has it.
type Checked = Result<Option<String>, Misfit>;

/// The members of an object, in their order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a str)>);

// === impl Member ===

impl Member {
    pub(super) const fn required(name: &'static str, shape: &'static Shape) -> Self {
        Self { name, shape, is_required: true }
    }

    pub(super) const fn optional(name: &'static str, shape: &'static Shape) -> Self {
        Self { name, shape, is_required: false }
    }
}

// === impl Shape ===

impl Shape {
    /// Checks JSON text. Returns the form that has the shape, if the text itself lacks it.
    pub(super) fn check(&self, json: &str) -> Checked {
        match self {
            Self::Object(members) => check_object(members, json),
            Self::Map(shape) => check_map(shape, json),
            Self::List(shape) => check_list(shape, json),
            Self::Subschema => match json {
                "true" => Ok(Some("{}".to_owned())),
                "false" => Ok(Some(r#"{"not":{}}"#.to_owned())),
                _ => self.require(json.starts_with(['{', '['])),
            },
            Self::Text => self.require(json.starts_with('"')),
            Self::Flag => self.require(matches!(json, "true" | "false")),
            Self::Number => {
                self.require(json.starts_with(|first: char| first == '-' || first.is_ascii_digit()))
            }
            Self::Share => {
                let share = json.parse::<f64>();
                self.require(share.is_ok_and(|share| (0.0..=1.0).contains(&share)))
            }
            Self::Word(words, _) => {
                self.require(text(json).is_some_and(|text| words.contains(&&*text)))
            }
            Self::Time => self.require(text(json).is_some_and(|text| is_time(&text))),
            Self::Uri => self.require(text(json).is_some_and(|text| has_scheme(&text))),
        }
    }

    fn require(&self, is_so: bool) -> Checked {
        if is_so { Ok(None) } else { Err(Misfit::Wrong(String::new(), self.description())) }
    }

    fn description(&self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Flag => "true or false",
            Self::Number => "a number",
            Self::Share => "a number from 0 to 1",
            Self::Time => "a date with time and offset",
            Self::Uri => "a URI with a scheme",
            Self::Word(_, words) => words,
            Self::Subschema => "a schema",
            Self::List(_) => "an array",
            Self::Map(_) | Self::Object(_) => "an object",
        }
    }
}

// === impl Misfit ===

impl Misfit {
    /// The same misfit, of a member of an outer value.
    fn within(self, outer: &str) -> Self {
        let path = |inner: String| match inner {
            inner if inner.is_empty() => outer.to_owned(),
            inner if inner.starts_with('[') => format!("{outer}{inner}"),
            inner => format!("{outer}.{inner}"),
        };
        match self {
            Self::Missing(inner) => Self::Missing(path(inner)),
            Self::Wrong(inner, wanted) => Self::Wrong(path(inner), wanted),
        }
    }
}

fn check_object(wanted: &[Member], json: &str) -> Checked {
    let shape = Shape::Object(&[]);
    let Some(Members(members)) = Members::parse(json) else {
        return shape.require(false);
    };
    let is_there = |name: &str| members.iter().any(|(other, _)| other == name);
    if let Some(missing) = wanted.iter().find(|it| it.is_required && !is_there(it.name)) {
        return Err(Misfit::Missing(missing.name.to_owned()));
    }
    let mut kept = Vec::with_capacity(members.len());
    let mut is_mended = false;
    for (name, value) in members {
        let known = wanted.iter().find(|member| member.name == name);
        match known {
            // `null` means absent here, but SDKs accept only an absent member.
            Some(member) if value == "null" && !member.is_required => is_mended = true,
            Some(member) => {
                let mended =
                    member.shape.check(value).map_err(|misfit| misfit.within(member.name))?;
                is_mended |= mended.is_some();
                kept.push((name, mended.map_or(Cow::Borrowed(value), Cow::Owned)));
            }
            None => kept.push((name, Cow::Borrowed(value))),
        }
    }
    Ok(is_mended.then(|| object(&kept)))
}

fn check_map(shape: &Shape, json: &str) -> Checked {
    let Some(Members(members)) = Members::parse(json) else {
        return Shape::Object(&[]).require(false);
    };
    let mut kept = Vec::with_capacity(members.len());
    let mut is_mended = false;
    for (name, value) in members {
        let mended = shape.check(value).map_err(|misfit| misfit.within(&name))?;
        is_mended |= mended.is_some();
        kept.push((name, mended.map_or(Cow::Borrowed(value), Cow::Owned)));
    }
    Ok(is_mended.then(|| object(&kept)))
}

fn check_list(shape: &Shape, json: &str) -> Checked {
    let items = serde_json::from_str::<Vec<&RawValue>>(json).ok();
    let Some(items) = items.filter(|_| json.starts_with('[')) else {
        return Err(Misfit::Wrong(String::new(), "an array"));
    };
    let mut kept = Vec::with_capacity(items.len());
    let mut is_mended = false;
    for (at, item) in items.into_iter().enumerate() {
        let mended = shape.check(item.get()).map_err(|misfit| misfit.within(&format!("[{at}]")))?;
        is_mended |= mended.is_some();
        kept.push(mended.map_or(Cow::Borrowed(item.get()), Cow::Owned));
    }
    Ok(is_mended.then(|| format!("[{}]", kept.join(","))))
}

/// Writes an object with these members.
fn object(members: &[(Cow<'_, str>, Cow<'_, str>)]) -> String {
    let members: Vec<_> =
        members.iter().map(|(name, value)| format!("{}:{value}", build::string(name))).collect();
    format!("{{{}}}", members.join(","))
}

fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// Whether a URI begins with a scheme (RFC 3986, section 3.1).
fn has_scheme(uri: &str) -> bool {
    let Some((scheme, _)) = uri.split_once(':') else { return false };
    scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
}

/// Whether a text is a date with time and offset (ISO 8601, as RFC 3339 has it; seconds may be absent).
fn is_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once('T') else { return false };
    let local = match time.strip_suffix('Z') {
        Some(local) => local,
        None => match time.rsplit_once(['+', '-']) {
            Some((local, offset)) if is_like(offset, "00:00") => local,
            _ => return false,
        },
    };
    let (whole, fraction) = local.split_once('.').unwrap_or((local, "0"));
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    is_like(date, "0000-00-00")
        && is_fraction
        && (is_like(whole, "00:00:00") || is_like(local, "00:00"))
}

/// Whether a text has digits where the pattern has zeros, and the pattern's own characters elsewhere.
fn is_like(text: &str, pattern: &str) -> bool {
    let fits =
        |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)
}

// === impl Members ===

impl<'a> Members<'a> {
    /// Reads an object. `None`: it is something else.
    fn parse(json: &'a str) -> Option<Self> {
        if !json.starts_with('{') {
            return None;
        }
        let mut members = Vec::new();
        let scanned = each_member(json, |name, value| {
            members.push((Cow::Borrowed(name), value));
            Some(())
        });
        match scanned {
            Some(()) => Some(Self(members)),
            None => serde_json::from_str(json).ok(),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Vec<(Cow<'de, str>, &'de str)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((Cow::Owned(name), value.get()));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Visit).map(Members)
    }
}
