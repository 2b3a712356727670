//! The lines in which two texts differ.

/// Unchanged lines that are shown around a change.
const AROUND: usize = 2;
/// Most pairs of lines that are compared. Larger changes are shown as a whole.
const PAIRS_MAX: usize = 4_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Kept(&'a str),
    Gone(&'a str),
    New(&'a str),
}

/// The changed lines, with `-` and `+` before them and some unchanged ones around. `…` stands for others.
pub(crate) fn shown(old: &str, new: &str) -> String {
    let lines = compare(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let changed: Vec<_> =
        (0..lines.len()).filter(|at| !matches!(lines[*at], Line::Kept(_))).collect();
    let mut shown = Vec::new();
    let mut last = None;
    for (at, line) in lines.iter().enumerate() {
        let next = changed.partition_point(|change| *change < at.saturating_sub(AROUND));
        if changed.get(next).is_none_or(|change| *change > at + AROUND) {
            continue;
        }
        if last.map_or(at > 0, |last| last + 1 != at) {
            shown.push("…".to_owned());
        }
        last = Some(at);
        shown.push(match line {
            Line::Kept(text) => format!("  {text}").trim_end().to_owned(),
            Line::Gone(text) => format!("- {text}").trim_end().to_owned(),
            Line::New(text) => format!("+ {text}").trim_end().to_owned(),
        });
    }
    if last.is_some_and(|last| last + 1 < lines.len()) {
        shown.push("…".to_owned());
    }
    shown.join("\n")
}

/// All lines of both texts, by the longest common sequence of the part that differs.
fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = old.iter().zip(new).take_while(same).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(same).count();
    let kept = |lines: &[&'a str]| lines.iter().map(|line| Line::Kept(line)).collect::<Vec<_>>();
    let (gone, added) = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);
    let mut lines = kept(&old[..head]);
    if gone.len().saturating_mul(added.len()) > PAIRS_MAX {
        lines.extend(gone.iter().map(|line| Line::Gone(line)));
        lines.extend(added.iter().map(|line| Line::New(line)));
    } else {
        lines.extend(common(gone, added));
    }
    lines.extend(kept(&old_rest[old_rest.len() - tail..]));
    lines
}

fn common<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let width = new.len() + 1;
    // The length of the longest common sequence of the lines from here on.
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i * width + j] = if old[i] == new[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Kept(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])
        {
            lines.push(Line::Gone(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn only_what_differs_is_shown_with_a_little_around_it() {
        for (old, new, expected) in [
            ("a\nb\n", "a\nb\n", ""),
            ("", "a\n", "+ a"),
            ("1\n2\n3\n4\n", "1\n2\n3\n4\n\nnew\n", "…\n  3\n  4\n+\n+ new"),
            (
                "1\n2\n3\nold\n5\n6\n7\n8\n9\nx\n",
                "1\n2\n3\n5\n6\n7\n8\n9\ny\n",
                "…\n  2\n  3\n- old\n  5\n  6\n…\n  8\n  9\n- x\n+ y",
            ),
        ] {
            assert_eq!(shown(old, new), expected, "{old}");
        }
    }
}
