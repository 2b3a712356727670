//! Keeps the line ends of a text that was edited as a tree, which writes them all as `\n`.

/// The edited text with the line ends that its lines had in `old`. Lines that are new end as those around them
/// do.
pub(crate) fn kept(old: &str, edited: &str) -> String {
    if !old.contains("\r\n") {
        return edited.to_owned();
    }
    let (before, after) = (lines(old), lines(edited));
    let is_same = |(old, new): &(&&str, &&str)| plain(old) == plain(new);
    let above = before.iter().zip(&after).take_while(is_same).count();
    let room = before.len().min(after.len()) - above;
    let below = before.iter().rev().zip(after.iter().rev()).take(room).take_while(is_same).count();
    let mut text: String = before[..above].concat();
    for line in &after[above..after.len() - below] {
        let inside = plain(line);
        text.push_str(inside);
        text.push_str(if inside.len() == line.len() { "" } else { "\r\n" });
    }
    text + &before[before.len() - below..].concat()
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// A line without its end.
fn plain(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn lines_end_as_they_did() {
        for (old, edited, expected) in [
            ("a\nb\n", "a\nc\n", "a\nc\n"),
            ("a\r\nb\r\n", "a\nb\n", "a\r\nb\r\n"),
            ("a\r\nb\nc\r\n", "a\nb\nnew\nc\n", "a\r\nb\nnew\r\nc\r\n"),
            ("a\r\nb\r\nc", "a\nc", "a\r\nc"),
            ("a\r\na\r\n", "a\n", "a\r\n"),
            ("a\r\n", "", ""),
        ] {
            assert_eq!(kept(old, edited), expected, "{old:?} {edited:?}");
        }
    }
}
