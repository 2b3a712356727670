//! Identities. Each has its own type, so the compiler keeps them apart.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a server or an endpoint; both share one namespace (`/mcp/{name}`).
///
/// A name has 1 to 40 ASCII letters, digits, `-` and `_`, and starts with a letter or a digit. Names
/// appear in URLs, in metric labels and as prefixes of tool names, which clients cut at 64 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// The maximum length of a [`Name`], in characters.
pub const NAME_LENGTH_MAX: usize = 40;

/// The error for a text that is not a valid [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a name: use 1 to {NAME_LENGTH_MAX} letters, digits, `-` and `_`, and begin with a letter or digit"
)]
pub struct InvalidName(pub String);

/// Identifies an instance of a server. Ids are unique within a run of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub u64);

/// The user that a call belongs to: the owner of the key or token, or `anonymous`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Principal(Option<Arc<str>>);

const ANONYMOUS: &str = "anonymous";

// === impl Name ===

impl Name {
    /// Validates a name.
    ///
    /// # Errors
    /// [`InvalidName`] if the text breaks the rules of [`Name`].
    pub fn try_new(text: &str) -> Result<Self, InvalidName> {
        let mut bytes = text.bytes();
        let begins_well = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let goes_on_well = bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if begins_well && goes_on_well && text.len() <= NAME_LENGTH_MAX {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName(text.to_owned()))
        }
    }

    /// The name for what a `[[notify]]` section runs, such as `notify.1`. No server can have it: [`Self::try_new`]
    /// refuses the dot.
    pub fn of_notify(number: usize) -> Self {
        Self(format!("notify.{number}").into())
    }

    /// The name for what a `[[checks]]` section runs, such as `checks.1`. No server can have it, either.
    pub fn of_check(number: usize) -> Self {
        Self(format!("checks.{number}").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    /// Reads what was written from a name, also from one for a `[[notify]]` or `[[checks]]` section.
    fn try_from(text: String) -> Result<Self, InvalidName> {
        let number = |section: &str| text.strip_prefix(section)?.parse().ok();
        if let Some(number) = number("notify.") {
            return Ok(Self::of_notify(number));
        }
        number("checks.").map_or_else(|| Self::try_new(&text), |number| Ok(Self::of_check(number)))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_owned()
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

// === impl InstanceId ===

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i{}", self.0)
    }
}

// === impl Principal ===

impl Principal {
    /// The principal of every call when login is off.
    pub fn anonymous() -> Self {
        Self(None)
    }

    /// The principal of a user. The user name `anonymous` gives [`Self::anonymous`].
    pub fn new(user: &str) -> Self {
        Self((user != ANONYMOUS).then(|| user.into()))
    }

    pub fn is_anonymous(&self) -> bool {
        self.0.is_none()
    }

    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(ANONYMOUS)
    }
}

impl From<String> for Principal {
    fn from(user: String) -> Self {
        Self::new(&user)
    }
}

impl From<Principal> for String {
    fn from(principal: Principal) -> Self {
        principal.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn names_are_safe_in_urls_labels_and_prefixes() {
        for good in ["a", "9lives", "file-system_2", &"x".repeat(40)] {
            assert!(Name::try_new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "a b", "a/b", "é", "a.b", &"x".repeat(41)] {
            assert!(Name::try_new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_name_for_a_notification_is_read_back_and_is_none_for_a_server() {
        let name = Name::of_notify(12);
        assert!(Name::try_new(name.as_str()).is_err());
        assert_eq!(Name::try_from(String::from(name.clone())).as_ref(), Ok(&name));
        assert!(Name::try_from("notify.x".to_owned()).is_err());
    }
}
