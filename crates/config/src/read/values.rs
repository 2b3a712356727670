//! Reads a value of each kind.

use std::fmt::Display;

use mainstay_model::Redacted;
use mainstay_model::settings::{Cpus, StopSignal};

use super::texts::shown_url;
use super::{Reader, elsewhere};
use crate::document::{Node, Value};
use crate::expand::secret_ref;
use crate::keys::{Kind, Word};
use crate::nearest::did_you_mean;
use crate::problem::quoted;
use crate::typed::Typed;
use crate::units::{
    BadUnit, format_duration, format_size, parse_duration, parse_size, parse_thousandths,
    size_units,
};

impl Reader<'_> {
    /// Reads a value of this kind. None when it is unset, or wrong, which is noted.
    pub(super) fn value(&mut self, kind: &'static Kind, node: &Node, path: &str) -> Option<Typed> {
        match kind {
            Kind::Bool => self.bool(node, path),
            Kind::Choice(words) => self.choice(words, node, path),
            Kind::Count { min, max } => self.count(node, path, *min, *max),
            Kind::Size { min, max } => self.size(node, path, *min, *max),
            Kind::Cpus { min, max } => self.cpus(node, path, *min, *max),
            Kind::Duration { min, max } => {
                if let Some(help) = elsewhere::of_number(kind, node) {
                    let message = format!("expected a duration, found {}", node.type_name());
                    self.notes.error(&node.at, path, message).help(help);
                    return None;
                }
                let text = self.text(node, path, "a duration such as \"30s\"")?;
                let hint = "write whole numbers with the units ms, s, m, h or d, as in \"30s\" or \
         \"1h30m\"";
                let duration =
                    self.unit(parse_duration(&text), &text, node, path, "a duration", hint)?;
                self.in_bounds(duration, *min, *max, format_duration, node, path)
                    .map(Typed::Duration)
            }
            Kind::Listen => self.listen(node, path),
            Kind::HostPort => self.host_port(node, path),
            Kind::Account => self.account(node, path),
            Kind::Url(schemes) => {
                let text = self.text(node, path, "an address such as \"https://host/path\"")?;
                let is_fit = text.is_empty() || self.url(&text, schemes, false, node, path);
                (is_fit && !text.is_empty()).then_some(Typed::Text(text))
            }
            Kind::KeyedUrl(schemes) | Kind::HookUrl(schemes) => {
                let Value::Text(written) = &node.value else {
                    self.mismatch(node, path, "an address such as \"https://host/path\"");
                    return None;
                };
                let url = self.secret_text(written, node, path)?;
                // A probe sends them, and of a reference nothing is shown.
                let may_be_secret = path.ends_with(".http") && secret_ref(written).is_some();
                let is_fit = url.is_empty() || self.url(&url, schemes, may_be_secret, node, path);
                let (url, written) = (Redacted::new(url), shown_url(kind, written));
                (is_fit && !url.expose().is_empty()).then_some(Typed::KeyedUrl { url, written })
            }
            Kind::SecretUrl(schemes) => {
                let secret = self.secret(node, path)?;
                let is_fit = self.url(secret.expose(), schemes, true, node, path);
                is_fit.then_some(Typed::Secret(secret))
            }
            Kind::Text => self.short_text(node, path),
            Kind::Signal => self.signal(node, path),
            Kind::Args => self.args(node, path),
            Kind::Expected => self.expected(node, path),
            Kind::Path => self.path(node, path),
            Kind::Command => self.command(node, path),
            Kind::List(item) => self.list(*item, node, path),
            Kind::Secrets(map) => self.secrets(*map, node, path),
            Kind::Table(section) => self
                .expect_table(node, path)
                .then(|| Typed::Table(self.section(section, node, path))),
            Kind::Patterns(section) => self.patterns(section, node, path),
            Kind::Maxima(amount) => self.maxima(*amount, node, path),
            Kind::Refused { .. } => None,
        }
    }

    /// Notes that the value is of the wrong type.
    pub(super) fn mismatch(&mut self, node: &Node, path: &str, expected: &str) {
        self.notes.error(
            &node.at,
            path,
            format!("expected {expected}, found {}", node.type_name()),
        );
    }

    fn bool(&mut self, node: &Node, path: &str) -> Option<Typed> {
        if let Value::Bool(truth) = node.value {
            return Some(Typed::Bool(truth));
        }
        self.mismatch(node, path, "true or false");
        None
    }

    fn choice(&mut self, words: &'static [Word], node: &Node, path: &str) -> Option<Typed> {
        let allowed: Vec<_> = words.iter().map(|word| word.word).collect();
        let text = self.text(node, path, "a word")?;
        if let Some(word) = words.iter().find(|word| word.word == text) {
            return Some(Typed::Word(word.word));
        }
        let key = path.rsplit('.').next().unwrap_or(path);
        let near = elsewhere::of_word(&text, &allowed)
            .or_else(|| did_you_mean(&text, allowed.iter().copied()));
        let help = match (near, &allowed[..]) {
            (_, [only]) => format!("only \"{only}\" exists in this version"),
            (Some(near), _) => format!("{near} allowed: {}", allowed.join(", ")),
            (None, _) => format!("allowed: {}", allowed.join(", ")),
        };
        self.notes
            .error(&node.at, path, format!("{} is not a value for `{key}`", shown(node, &text)))
            .help(help);
        None
    }

    fn short_text(&mut self, node: &Node, path: &str) -> Option<Typed> {
        let text = self.text(node, path, "a string")?;
        if !text.is_empty() && !text.contains('\0') {
            return Some(Typed::Text(text));
        }
        let what = if text.is_empty() { "is empty" } else { "holds a NUL character" };
        self.notes.error(&node.at, path, format!("the text {what}"));
        None
    }

    fn signal(&mut self, node: &Node, path: &str) -> Option<Typed> {
        let text = self.text(node, path, "the name of a signal")?;
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        let mut known = StopSignal::ALL.into_iter().map(StopSignal::as_str);
        if let Some(signal) = known.clone().find(|signal| *signal == name) {
            return Some(Typed::Word(signal));
        }
        let allowed: Vec<_> = known.by_ref().collect();
        self.notes
            .error(
                &node.at,
                path,
                format!("{} is not a signal that ends programs", shown(node, &text)),
            )
            .help(format!("allowed: {}", allowed.join(", ")));
        None
    }

    fn count(&mut self, node: &Node, path: &str, min: u64, max: u64) -> Option<Typed> {
        let Value::Integer(number) = node.value else {
            self.mismatch(node, path, "a whole number");
            return None;
        };
        match number.map(u64::try_from) {
            Some(Ok(number)) => self
                .in_bounds(number, min, max, |number| number.to_string(), node, path)
                .map(Typed::Count),
            _ => {
                self.notes
                    .error(&node.at, path, "the number is out of bounds")
                    .help(format!("allowed: {min} to {max}"));
                None
            }
        }
    }

    fn size(&mut self, node: &Node, path: &str, min: u64, max: u64) -> Option<Typed> {
        let text = self.text(node, path, "a size such as \"4MiB\"")?;
        let hint =
            format!("write a whole number with a unit, as in \"4MiB\"; units: {}", size_units());
        let size = self.unit(parse_size(&text), &text, node, path, "a size", &hint)?;
        self.in_bounds(size, min, max, format_size, node, path).map(Typed::Count)
    }

    fn cpus(&mut self, node: &Node, path: &str, min: u32, max: u32) -> Option<Typed> {
        let written = match &node.value {
            Value::Integer(Some(number)) => number.to_string(),
            // As Rust writes it: the shortest text that means this number.
            Value::Float(number) => number.to_string(),
            _ => {
                self.mismatch(node, path, "a number such as 2 or 0.5");
                return None;
            }
        };
        let Some(thousandths) = parse_thousandths(&written) else {
            let message = format!("{} is not a number of CPUs", shown(node, &written));
            self.notes
                .error(&node.at, path, message)
                .help("write a number with at most three places, as in 2 or 0.5".to_owned());
            return None;
        };
        let cpus = Cpus::from_thousandths(thousandths);
        let (min, max) = (Cpus::from_thousandths(min), Cpus::from_thousandths(max));
        self.in_bounds(cpus, min, max, |cpus| cpus, node, path).map(Typed::Cpus)
    }

    fn unit<T>(
        &mut self,
        parsed: Result<T, BadUnit>,
        text: &str,
        node: &Node,
        path: &str,
        what: &str,
        hint: &str,
    ) -> Option<T> {
        parsed
            .map_err(|why| {
                let message = format!("{} is not {what}: {why}", shown(node, text));
                self.notes.error(&node.at, path, message).help(hint.to_owned());
            })
            .ok()
    }

    fn in_bounds<T: PartialOrd + Copy, D: Display>(
        &mut self,
        value: T,
        min: T,
        max: T,
        show: impl Fn(T) -> D,
        node: &Node,
        path: &str,
    ) -> Option<T> {
        if (min..=max).contains(&value) {
            return Some(value);
        }
        let message =
            format!("{} is too {}", show(value), if value < min { "small" } else { "large" });
        self.notes.error(&node.at, path, message).help(format!(
            "allowed: {} to {}",
            show(min),
            show(max)
        ));
        None
    }

    pub(super) fn secret(&mut self, node: &Node, path: &str) -> Option<Redacted<String>> {
        let Value::Text(text) = &node.value else {
            self.mismatch(node, path, "a string");
            return None;
        };
        self.secret_text(text, node, path).map(Redacted::new)
    }
}

/// Quotes a value, or names its variable, since a variable's value may be secret.
pub(super) fn shown(node: &Node, text: &str) -> String {
    match &node.value {
        Value::Text(written) if written != text => format!("{}, expanded,", quoted(written)),
        _ => quoted(text),
    }
}
