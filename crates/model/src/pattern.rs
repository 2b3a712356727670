//! Patterns for names of tools.

use std::fmt;

use serde::{Serialize, Serializer};

/// A pattern for names: `*` stands for any number of characters, `?` for one, everything else for itself.
///
/// Two spellings of one pattern, such as `a**` and `a*`, differ as values and are equal in
/// [`canonical`](Self::canonical) form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    written: String,
    /// The canonical form, in characters.
    chars: Box<[char]>,
}

/// The error for a text that is no [`Pattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    #[error("a pattern that is empty matches nothing")]
    Empty,
    #[error("a pattern has at most {} characters", Pattern::CHARS_MAX)]
    TooLong,
    #[error("a pattern has no control characters")]
    Control,
}

// === impl Pattern ===

impl Pattern {
    /// Names of tools have at most 128 characters by the specification; some servers have longer ones.
    pub const CHARS_MAX: usize = 256;

    /// # Errors
    /// [`InvalidPattern`] if the text is empty, too long, or holds a control character.
    pub fn try_new(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if text.chars().count() > Self::CHARS_MAX {
            return Err(InvalidPattern::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidPattern::Control);
        }
        Ok(Self { written: text.to_owned(), chars: canonical(text) })
    }

    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The one spelling that all patterns with the same meaning share.
    pub fn canonical(&self) -> String {
        self.chars.iter().collect()
    }

    /// Whether the whole name matches. Takes at most time in proportion to the length of the name times that of
    /// the pattern, and allocates nothing.
    pub fn matches(&self, name: &str) -> bool {
        let (mut at, mut rest) = (0, name.chars());
        // Where to go on if what follows the last `*` does not match: with one character more for the `*`.
        let mut again: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            match self.chars.get(at) {
                Some('*') => {
                    at += 1;
                    again = Some((at, rest.clone()));
                    continue;
                }
                Some(wanted) => match rest.next() {
                    Some(found) if *wanted == '?' || *wanted == found => {
                        at += 1;
                        continue;
                    }
                    // However much the `*` takes, the rest is too short.
                    None => return false,
                    Some(_) => {}
                },
                None if rest.as_str().is_empty() => return true,
                None => {}
            }
            let Some((behind, from)) = &mut again else { return false };
            if from.next().is_none() {
                return false;
            }
            (at, rest) = (*behind, from.clone());
        }
    }
}

/// Within a run of `*` and `?` only the number of `?` counts, and whether there is a `*`.
fn canonical(text: &str) -> Box<[char]> {
    let mut chars = Vec::new();
    let mut is_open = false;
    for next in text.chars() {
        match next {
            '*' => is_open = true,
            '?' => chars.push('?'),
            _ => {
                if std::mem::take(&mut is_open) {
                    chars.push('*');
                }
                chars.push(next);
            }
        }
    }
    if is_open {
        chars.push('*');
    }
    chars.into_boxed_slice()
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{InvalidPattern, Pattern};

    fn pattern(text: &str) -> Pattern {
        Pattern::try_new(text).unwrap()
    }

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (text, name, expected) in [
            ("search", "search", true),
            ("search", "Search", false),
            ("search", "search_web", false),
            ("search_*", "search_", true),
            ("search_*", "search_web", true),
            ("search_*", "research_web", false),
            ("*", "", true),
            ("*", "anything", true),
            ("?", "", false),
            ("?", "ä", true),
            ("??", "ä", false),
            ("*_web", "search_web_web", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("a.c", "abc", false),
            ("a[bc]", "ab", false),
            ("a[bc]", "a[bc]", true),
            ("?*", "", false),
            ("*?", "x", true),
            ("a*?c", "ac", false),
            ("a*?c", "abbc", true),
        ] {
            assert_eq!(pattern(text).matches(name), expected, "{text} {name}");
        }
    }

    #[test]
    fn spellings_of_one_pattern_are_known_as_one() {
        for (one, other) in [("a**", "a*"), ("?*?", "*??"), ("***", "*"), ("a?*b", "a*?b")] {
            assert_eq!(pattern(one).canonical(), pattern(other).canonical());
            assert_ne!(pattern(one), pattern(other));
        }
        assert_ne!(pattern("a?").canonical(), pattern("a*").canonical());
    }

    #[test]
    fn what_can_match_nothing_is_no_pattern() {
        assert_eq!(Pattern::try_new(""), Err(InvalidPattern::Empty));
        assert_eq!(Pattern::try_new("a\n"), Err(InvalidPattern::Control));
        assert_eq!(Pattern::try_new(&"x".repeat(257)), Err(InvalidPattern::TooLong));
        assert!(Pattern::try_new(&"ä".repeat(256)).is_ok());
    }

    /// The worst pattern for a matcher that tries all ways: it would take longer than the universe lasts.
    #[test]
    fn the_cost_of_a_match_is_bounded() {
        let worst = pattern(&"*a".repeat(Pattern::CHARS_MAX / 2));
        assert!(!worst.matches(&format!("{}b", "a".repeat(20_000))));
        assert!(worst.matches(&"a".repeat(20_000)));
    }

    /// What the language means, in the plainest words.
    fn means(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', behind)) => (0..=name.len()).any(|taken| means(behind, &name[taken..])),
            Some((one, behind)) => match name.split_first() {
                Some((first, rest)) => (*one == '?' || one == first) && means(behind, rest),
                None => false,
            },
        }
    }

    proptest! {
        #[test]
        fn it_matches_as_the_language_says(text in "[ab?*]{1,8}", name in "[abc]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = means(&chars(&text), &chars(&name));
            prop_assert_eq!(pattern(&text).matches(&name), expected);
            prop_assert_eq!(pattern(&pattern(&text).canonical()).matches(&name), expected);
        }
    }
}
