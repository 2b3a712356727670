//! Servers whose configuration refers to a variable or a secret that the daemon does not have.

use std::borrow::Cow;
use std::sync::Arc;

use mainstay_model::InstanceId;
use mainstay_model::settings::Lack;

use super::contract::{Boxed, Host, HostAbilities, Running, StartError};
use crate::transport::TransportAbilities;

/// Refuses to start a server, and says what it lacks.
#[derive(Debug)]
pub(super) struct LackingHost {
    /// The server as it would be with everything.
    host: Arc<dyn Host>,
    lacks: Vec<Lack>,
}

// === impl LackingHost ===

impl LackingHost {
    pub(super) fn new(host: Arc<dyn Host>, lacks: Vec<Lack>) -> Self {
        Self { host, lacks }
    }

    fn error(&self) -> StartError {
        StartError { reason: reason(&self.lacks), brief: BRIEF, permanent: true }
    }
}

impl Host for LackingHost {
    fn abilities(&self) -> HostAbilities {
        self.host.abilities()
    }

    fn target(&self) -> String {
        self.host.target()
    }

    fn hide<'a>(&self, words: &'a str) -> Cow<'a, str> {
        self.host.hide(words)
    }

    fn transport(&self) -> Option<&'static TransportAbilities> {
        self.host.transport()
    }

    fn start(&self, _: InstanceId) -> Boxed<'_, Result<Box<dyn Running>, StartError>> {
        Box::pin(std::future::ready(Err(self.error())))
    }
}

const BRIEF: &str = "a variable or a secret that its configuration names is missing";

/// Why something whose configuration refers to what the daemon does not have can't be started. `None` if it has
/// everything.
pub fn lacking(lacks: &[Lack]) -> Option<StartError> {
    (!lacks.is_empty()).then(|| StartError { reason: reason(lacks), brief: BRIEF, permanent: true })
}

/// What is missing, and what to do about it. The daemon reads secrets again when its configuration is
/// reloaded; its environment never changes.
fn reason(lacks: &[Lack]) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut parts = Vec::new();
    let mut is_wrong = false;
    for lack in lacks {
        match lack {
            Lack::Variable(name) if names.contains(&&**name) => {}
            Lack::Variable(name) => names.push(name),
            Lack::Secret { file, error } => {
                parts.push(format!("the secret in {} can't be read: {error}", file.display()));
            }
            Lack::Value { reference, fault } => {
                is_wrong = true;
                parts.push(format!("the value of {reference} {fault}"));
            }
        }
    }
    let remedy = match names.as_slice() {
        [] if is_wrong => "correct it, then `mainstay reload`",
        [] => "`mainstay reload` when it can be read",
        [_] => "set it in the daemon's environment and restart the daemon",
        _ => "set them in the daemon's environment and restart the daemon",
    };
    match names.as_slice() {
        [] => {}
        [one] => parts.insert(0, format!("{one} is not set")),
        [first @ .., last] => {
            parts.insert(0, format!("{} and {last} are not set", first.join(", ")));
        }
    }
    format!("{}; {remedy}", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use mainstay_model::settings::Lack;

    use super::reason;

    #[test]
    fn everything_that_is_missing_is_named_once() {
        let variable = |name: &str| Lack::Variable(name.to_owned());
        let secret = Lack::Secret { file: "/s/key".into(), error: "no such file".to_owned() };
        for (lacks, expected) in [
            (vec![variable("A")], "A is not set; set it"),
            (
                vec![variable("A"), variable("B"), variable("A"), variable("C")],
                "A, B and C are not set; set them",
            ),
            (
                vec![secret.clone()],
                "the secret in /s/key can't be read: no such file; `mainstay reload`",
            ),
            (
                vec![Lack::Value {
                    reference: "secret:env:A".to_owned(),
                    fault: "is not an address".to_owned(),
                }],
                "the value of secret:env:A is not an address; correct it",
            ),
            (
                vec![secret, variable("A")],
                "A is not set; the secret in /s/key can't be read: no such file; set it",
            ),
        ] {
            let said = reason(&lacks);
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
