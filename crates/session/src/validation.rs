//! Limits on the arguments of a tool, checked before a call is sent.
//!
//! Arguments are read once, from their JSON text, and nothing is built of them. Values that no limit is about are
//! skipped without recursion, so neither size nor nesting can do harm. Where a member is there twice, each one is
//! checked, because servers differ in which one they take.

use std::collections::BTreeMap;
use std::fmt;

use mainstay_model::settings::{ArgumentLimit, Measure, PathStep};
use mainstay_protocol::depth;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

mod cost;
mod doubled;
pub mod schema;

#[cfg(test)]
mod tests;

/// A limit that an argument exceeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// The path of the argument, with the places of items: `inputs[4]`.
    pub at: String,
    pub measure: Measure,
    /// How much of it there is.
    pub found: u64,
    pub max: u64,
    /// The path as the limit names it: `inputs[]`.
    pub path: String,
}

/// The limits on one value and on values in it.
#[derive(Debug, Default)]
struct Limits<'a> {
    own: BTreeMap<Measure, &'a ArgumentLimit>,
    members: Vec<(&'a str, Self)>,
    items: Option<Box<Self>>,
}

/// A value as it is read.
struct Checked<'a, 'p> {
    limits: &'a Limits<'a>,
    /// The path of the value.
    at: &'p str,
    excess: &'p mut Option<Excess>,
}

/// Finds the first limit that the arguments exceed. `arguments`: the JSON text. What is no JSON exceeds none:
/// the server refuses it.
pub fn excess(arguments: &str, limits: &[ArgumentLimit]) -> Option<Excess> {
    let limits = Limits::of(limits);
    let mut excess = None;
    let checked = Checked { limits: &limits, at: "", excess: &mut excess };
    // The only fault that matters is the one that was found.
    let _ = checked.deserialize(&mut serde_json::Deserializer::from_str(arguments));
    excess
}

// === impl Limits ===

impl<'a> Limits<'a> {
    fn of(all: &'a [ArgumentLimit]) -> Self {
        let mut root = Self::default();
        for limit in all {
            let mut at = &mut root;
            for step in limit.path.steps() {
                at = at.below(step);
            }
            at.own.insert(limit.measure, limit);
        }
        root
    }

    fn below(&mut self, step: &'a PathStep) -> &mut Self {
        let name = match step {
            PathStep::Items => return self.items.get_or_insert_default(),
            PathStep::Member(name) => name.as_str(),
        };
        let at = self.members.iter().position(|(other, _)| *other == name).unwrap_or_else(|| {
            self.members.push((name, Self::default()));
            self.members.len() - 1
        });
        &mut self.members[at].1
    }

    fn of_member(&self, name: &str) -> Option<&Self> {
        self.members.iter().find(|(other, _)| *other == name).map(|(_, limits)| limits)
    }

    /// Whether the text of the value itself must be known.
    fn needs_text(&self) -> bool {
        self.own.contains_key(&Measure::Depth) || self.own.contains_key(&Measure::Bytes)
    }
}

// === impl Excess ===

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, measure, found, max, .. } = self;
        let at = if at.is_empty() { "arguments" } else { at };
        match measure {
            Measure::Items => write!(f, "{at} has {found} items, the limit is {max}"),
            Measure::Length => write!(f, "{at} has {found} characters, the limit is {max}"),
            Measure::Depth => write!(f, "{at} is nested {found} deep, the limit is {max}"),
            Measure::Bytes => write!(f, "{at} has {found} bytes, the limit is {max}"),
        }
    }
}

// === impl Checked ===

impl Checked<'_, '_> {
    /// Notes how much there is of the value. An error ends the reading: a limit is exceeded.
    fn measure<E: Error>(&mut self, measure: Measure, found: usize) -> Result<(), E> {
        let found = u64::try_from(found).unwrap_or(u64::MAX);
        match self.limits.own.get(&measure) {
            Some(limit) if found > limit.max => {
                let (at, path) = (self.at.to_owned(), limit.path.to_string());
                *self.excess = Some(Excess { at, measure, found, max: limit.max, path });
                Err(E::custom("a limit is exceeded"))
            }
            _ => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Checked<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, from: D) -> Result<(), D::Error> {
        if !self.limits.needs_text() {
            return from.deserialize_any(self);
        }
        let text = <&RawValue as serde::Deserialize>::deserialize(from)?.get();
        self.measure(Measure::Bytes, text.len())?;
        if self.limits.own.contains_key(&Measure::Depth) {
            self.measure(Measure::Depth, depth::depth(text.as_bytes()))?;
        }
        let mut again = serde_json::Deserializer::from_str(text);
        again.deserialize_any(self).map_err(Error::custom)
    }
}

impl<'de> Visitor<'de> for Checked<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        match self.limits.own.contains_key(&Measure::Length) {
            true => self.measure(Measure::Length, text.chars().count()),
            false => Ok(()),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let mut count = 0;
        loop {
            let is_item = match &self.limits.items {
                Some(limits) => {
                    let at = format!("{}[{count}]", self.at);
                    let item = Checked { limits, at: &at, excess: self.excess };
                    items.next_element_seed(item)?.is_some()
                }
                None => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !is_item {
                return self.measure(Measure::Items, count);
            }
            count += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(key) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            count += 1;
            match self.limits.of_member(&key) {
                Some(limits) => {
                    let dot = if self.at.is_empty() { "" } else { "." };
                    let at = format!("{}{dot}{key}", self.at);
                    members.next_value_seed(Checked { limits, at: &at, excess: self.excess })?;
                }
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        self.measure(Measure::Items, count)
    }
}
