//! Words and a POSIX shell: how it splits them, and how they are written so that it does not.

/// Splits as a shell would, without expanding anything; none where a quote is never closed.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => {
                            let c = chars.next()?;
                            if !matches!(c, '"' | '\\' | '$' | '`') {
                                word.push('\\');
                            }
                            word.push(c);
                        }
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

/// Quotes a word so that a shell takes it literally.
pub(crate) fn quote(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{quote, split};

    #[test]
    fn words_survive_quoting() {
        let words = ["a", "b c", "", "it's", "$HOME `x` \"y\" \\", "--k=v"];
        let line = words.map(quote).join(" ");
        assert_eq!(split(&line).unwrap(), words, "{line}");
    }

    #[test]
    fn splitting() {
        for (text, expected) in [
            ("npx  -y pkg", Some(vec!["npx", "-y", "pkg"])),
            ("a 'b c' \"d \\\" e\" f\\ g", Some(vec!["a", "b c", "d \" e", "f g"])),
            ("", Some(vec![])),
            ("''", Some(vec![""])),
            ("a 'b", None),
        ] {
            let expected: Option<Vec<String>> =
                expected.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
