//! Finds the word that a mistyped word probably meant.

/// Most characters compared. All known words are shorter, and the comparison is quadratic.
const LENGTH_MAX: usize = 80;

/// The word of `known` that is most similar to `word`, if it is similar enough to suggest. Case is
/// ignored, and `-` equals `_`.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    if word.is_empty() || word.len() > LENGTH_MAX {
        return None;
    }
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= LENGTH_MAX)
        .map(|candidate| (distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The sentence for a hint, if there is one to give.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}

/// The distance of two words. A word that only leaves out or adds an end (`timeout`,
/// `call_timeout`) is nearer than its letters say.
fn distance(word: &str, candidate: &str) -> usize {
    let edits = strsim::osa_distance(word, candidate);
    let shorter = word.len().min(candidate.len());
    let contained = shorter >= 4 && (candidate.contains(word) || word.contains(candidate));
    if contained { edits.div_ceil(3) } else { edits }
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant() {
        let known =
            ["listen", "sse_listen", "public_url", "call_timeout", "call_timeout_max", "http"];
        for (word, expected) in [
            ("lisen", Some("listen")),
            ("Listen", Some("listen")),
            ("public-url", Some("public_url")),
            ("call_timout", Some("call_timeout")),
            ("timeout", Some("call_timeout")),
            ("htpt", Some("http")),
            ("weather", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
