//! An upper bound for what it takes to compare a value with a schema.
//!
//! A schema applies others to the same value (`allOf`, `$ref`) or to values in it (`properties`, `items`). A few
//! hundred bytes can double the work with each of either, so both are followed, as deep as arguments may be.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::schema::UnusableSchema;

/// Most steps for one value, and most steps of this estimate itself.
const COST_MAX: u64 = 100_000;
const LOOKS_MAX: u64 = 2_000_000;

/// Keywords that apply one schema, or each of a list of schemas, to the same value.
const IN_PLACE: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];

/// Keywords that hold such schemas by names.
const IN_PLACE_BY_NAME: [&str; 2] = ["dependentSchemas", "dependencies"];

/// Keywords that apply a schema to any value inside.
const INSIDE: [&str; 8] = [
    "items",
    "additionalItems",
    "prefixItems",
    "contains",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "propertyNames",
];

/// Keywords whose meaning depends on more than the place of the schema.
const UNSUPPORTED: [&str; 4] = ["$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"];

/// What a schema does with one value.
#[derive(Debug, Default)]
struct Reach<'a> {
    steps: u64,
    /// Schemas for any value inside.
    any: Vec<&'a Value>,
    /// Schemas for members with these names.
    named: BTreeMap<&'a str, Vec<&'a Value>>,
}

struct Estimate<'a> {
    root: &'a Value,
    looks: u64,
    /// By the address of a schema and the depth that is left.
    known: HashMap<(*const Value, usize), u64>,
}

/// The most steps that comparing takes for any one value in arguments that are nested up to `depth`.
pub(super) fn of(schema: &Value, depth: usize) -> Result<u64, UnusableSchema> {
    Estimate { root: schema, looks: 0, known: HashMap::new() }.cost(schema, depth)
}

// === impl Estimate ===

impl<'a> Estimate<'a> {
    fn cost(&mut self, schema: &'a Value, depth: usize) -> Result<u64, UnusableSchema> {
        let key = (std::ptr::from_ref(schema), depth);
        if let Some(cost) = self.known.get(&key) {
            return Ok(*cost);
        }
        let mut reach = Reach::default();
        self.reach(schema, &mut reach, &mut Vec::new())?;
        let mut cost = reach.steps;
        if depth > 0 {
            for inside in &reach.any {
                cost = bounded(cost.saturating_add(self.cost(inside, depth - 1)?))?;
            }
            let mut most = 0;
            for schemas in reach.named.values() {
                let mut sum = 0_u64;
                for inside in schemas {
                    sum = bounded(sum.saturating_add(self.cost(inside, depth - 1)?))?;
                }
                most = most.max(sum);
            }
            cost = bounded(cost.saturating_add(most))?;
        }
        self.known.insert(key, cost);
        Ok(cost)
    }

    /// Follows all schemas that apply to the same value. `above`: those on the way, to find one that leads to itself.
    fn reach(
        &mut self,
        schema: &'a Value,
        reach: &mut Reach<'a>,
        above: &mut Vec<*const Value>,
    ) -> Result<(), UnusableSchema> {
        self.looks += 1;
        let Value::Object(keywords) = schema else { return Ok(()) };
        let address = std::ptr::from_ref(schema);
        if above.contains(&address) {
            return Err(UnusableSchema::Endless);
        }
        if self.looks > LOOKS_MAX || above.len() > 256 {
            return Err(UnusableSchema::TooCostly);
        }
        if let Some(keyword) =
            UNSUPPORTED.into_iter().find(|keyword| keywords.contains_key(*keyword))
        {
            return Err(UnusableSchema::Unsupported(keyword));
        }
        above.push(address);
        let before = reach.steps;
        reach.steps = bounded(reach.steps.saturating_add(own_steps(keywords)))?;
        for keyword in IN_PLACE {
            for inner in schemas(keywords.get(keyword)) {
                self.reach(inner, reach, above)?;
            }
        }
        for keyword in IN_PLACE_BY_NAME {
            let by_name = keywords.get(keyword).and_then(Value::as_object);
            for inner in by_name.into_iter().flat_map(Map::values) {
                self.reach(inner, reach, above)?;
            }
        }
        if let Some(to) = keywords.get("$ref").and_then(Value::as_str) {
            self.reach(self.target(to)?, reach, above)?;
        }
        above.pop();
        self.reach_inside(keywords, reach);
        // They look once more at what the other keywords beside them have looked at.
        if keywords.keys().any(|keyword| keyword.starts_with("unevaluated")) {
            reach.steps = bounded(reach.steps.saturating_add(reach.steps - before))?;
        }
        Ok(())
    }

    /// What a `$ref` refers to. Only pointers into the schema itself: anything else could not be estimated.
    fn target(&self, to: &str) -> Result<&'a Value, UnusableSchema> {
        let elsewhere = || UnusableSchema::Elsewhere(to.chars().take(100).collect());
        let way = to.strip_prefix('#').ok_or_else(elsewhere)?;
        if !way.is_empty() && !way.starts_with('/') {
            return Err(UnusableSchema::Unsupported("$anchor"));
        }
        self.root.pointer(&unescaped(way)).ok_or_else(elsewhere)
    }

    fn reach_inside(&mut self, keywords: &'a Map<String, Value>, reach: &mut Reach<'a>) {
        for keyword in INSIDE {
            reach.any.extend(schemas(keywords.get(keyword)));
        }
        let patterns = keywords.get("patternProperties").and_then(Value::as_object);
        reach.any.extend(patterns.into_iter().flat_map(Map::values));
        let properties = keywords.get("properties").and_then(Value::as_object);
        for (name, inner) in properties.into_iter().flatten() {
            reach.named.entry(name).or_default().push(inner);
        }
        self.looks += (reach.any.len() + reach.named.len()) as u64;
    }
}

/// The schema or schemas that a keyword holds.
fn schemas(held: Option<&Value>) -> &[Value] {
    match held {
        Some(Value::Array(several)) => several,
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => &[],
    }
}

/// The steps for the keywords themselves: each one, each value of an `enum`, each name, and the length of patterns.
fn own_steps(keywords: &Map<String, Value>) -> u64 {
    let of = |(keyword, held): (&String, &Value)| match (keyword.as_str(), held) {
        ("enum" | "required", Value::Array(values)) => values.len(),
        ("pattern", Value::String(pattern)) => pattern.len(),
        ("patternProperties", Value::Object(patterns)) => {
            patterns.keys().map(|pattern| pattern.len() + 1).sum()
        }
        ("uniqueItems", _) => 20,
        _ => 1,
    };
    keywords.iter().map(|keyword| of(keyword) as u64).sum::<u64>() + 1
}

fn bounded(cost: u64) -> Result<u64, UnusableSchema> {
    if cost <= COST_MAX { Ok(cost) } else { Err(UnusableSchema::TooCostly) }
}

/// The fragment of a URI without its `%` escapes.
fn unescaped(fragment: &str) -> Cow<'_, str> {
    if !fragment.contains('%') {
        return Cow::Borrowed(fragment);
    }
    let (mut bytes, mut rest) = (Vec::new(), fragment.as_bytes());
    while let [first, more @ ..] = rest {
        let digits = more.get(..2).filter(|_| *first == b'%');
        let escaped = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &more[2..] } else { more };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
