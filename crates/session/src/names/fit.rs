//! Makes names fit: characters and length.

use std::borrow::Cow;

use mainstay_model::settings::NameRule;
use sha2::{Digest, Sha256};

/// The maximum length of a published name, in characters. Clients refuse or cut longer names.
pub const LENGTH_MAX: usize = 64;
/// The number of characters kept of a longer name, before `_` and eight digits of its hash.
const KEPT: usize = 55;

/// Whether a name is accepted by nearly all model APIs: it matches `[a-zA-Z0-9_-]{1,64}`.
pub fn is_strict(name: &str) -> bool {
    (1..=LENGTH_MAX).contains(&name.len()) && name.chars().all(is_strict_char)
}

/// Replaces the characters that a rule does not allow by `_`, and an empty name by the server's name.
pub(super) fn fit<'a>(own: &'a str, rule: NameRule, server: &'a str) -> Cow<'a, str> {
    let is_allowed: fn(char) -> bool = match rule {
        NameRule::AsIs => return Cow::Borrowed(own),
        NameRule::Strict => is_strict_char,
        // Specification 2025-11-25 and later, server/tools, "Tool Names".
        NameRule::Spec => |letter| is_strict_char(letter) || letter == '.',
    };
    if own.is_empty() {
        return Cow::Borrowed(server);
    }
    if own.chars().all(is_allowed) {
        return Cow::Borrowed(own);
    }
    own.chars().map(|letter| if is_allowed(letter) { letter } else { '_' }).collect()
}

/// Shortens a name to [`LENGTH_MAX`] characters: the first 55 characters, `_`, and eight hex digits of
/// the SHA-256 of the whole name.
pub(super) fn shorten(name: &str, rule: NameRule) -> String {
    let is_short = rule == NameRule::AsIs || name.chars().count() <= LENGTH_MAX;
    if is_short { name.to_owned() } else { with_hash(name, name) }
}

/// Appends eight hex digits of the SHA-256 of `of` to the first 55 characters of a name.
pub(super) fn with_hash(name: &str, of: &str) -> String {
    let kept: String = name.chars().take(KEPT).collect();
    let digest = Sha256::digest(of.as_bytes());
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{kept}_{hash}")
}

fn is_strict_char(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == '-'
}

#[cfg(test)]
mod tests {
    use mainstay_model::settings::NameRule;

    use super::{fit, is_strict, shorten};

    #[test]
    fn long_names_are_cut_as_contracted() {
        let long = "x".repeat(65);
        let short = shorten(&long, NameRule::Spec);
        assert_eq!(short.len(), 64);
        assert!(short.starts_with(&"x".repeat(55)));
        assert_eq!(&short[55..56], "_");
        assert_eq!(shorten(&"y".repeat(64), NameRule::Spec), "y".repeat(64));
        assert_eq!(shorten(&long, NameRule::AsIs), long);
    }

    #[test]
    fn each_rule_replaces_what_it_does_not_allow() {
        for (own, spec, strict) in [
            ("read_file-2", "read_file-2", "read_file-2"),
            ("notes/read", "notes_read", "notes_read"),
            ("v1.2", "v1.2", "v1_2"),
            ("say hi!", "say_hi_", "say_hi_"),
            ("größe", "gr__e", "gr__e"),
            ("", "files", "files"),
        ] {
            assert_eq!(fit(own, NameRule::Spec, "files"), spec);
            assert_eq!(fit(own, NameRule::Strict, "files"), strict);
            assert_eq!(fit(own, NameRule::AsIs, "files"), own);
            assert!(is_strict(strict), "{strict}");
        }
        assert!(!is_strict("") && !is_strict("v1.2") && !is_strict(&"x".repeat(65)));
    }
}
