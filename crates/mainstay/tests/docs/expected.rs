//! Compares what a page shows with what a command printed, without numbers and widths.

/// Says which line of the page is missing in the output. The lines have to come in this order; other
/// lines may stand between them. `…` stands for any text.
pub(super) fn missing<'a>(expected: &'a [String], output: &str) -> Option<&'a str> {
    let output: Vec<String> = output.lines().map(plain).collect();
    let mut rest = &output[..];
    for line in expected {
        let pieces: Vec<String> = line.split('…').map(plain).collect();
        if pieces.iter().all(String::is_empty) {
            continue;
        }
        let Some(found) = rest.iter().position(|line| has_all(line, &pieces)) else {
            return Some(line);
        };
        rest = &rest[found + 1..];
    }
    None
}

/// Whether a line has these pieces in this order.
fn has_all(line: &str, pieces: &[String]) -> bool {
    let mut rest = line;
    pieces.iter().all(|piece| match rest.find(piece.as_str()) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

/// A line with one space between words, 0 for each number, and one unit of time and of size.
fn plain(line: &str) -> String {
    let mut digits = String::new();
    for letter in line.chars() {
        if !letter.is_ascii_digit() {
            digits.push(letter);
        } else if !digits.ends_with('0') {
            digits.push('0');
        }
    }
    let digits = digits.replace("0.0", "0");
    let words = digits.split_whitespace().map(|word| {
        let (unit, end) = word.split_at(word.trim_end_matches([',', ')', ';', ':']).len());
        let unit = match unit {
            "ms" | "s" | "min" | "h" | "d" => "time",
            "B" | "KiB" | "MiB" | "GiB" => "size",
            _ => unit,
        };
        format!("{unit}{end}")
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn numbers_and_widths_may_differ_and_words_may_not() {
        let missing = |expected: &str, output: &str| {
            let expected: Vec<String> = expected.lines().map(str::to_owned).collect();
            missing(&expected, output).map(str::to_owned)
        };
        let output = "SERVER  STATE\nnotes   ready  12 s  1.5 MiB\nclock  ready  3 ms";
        assert_eq!(missing("SERVER STATE\nnotes ready 1 ms 20 KiB\n…\nclock …", output), None);
        assert_eq!(missing("clock ready\nnotes ready", output).as_deref(), Some("notes ready"));
        assert_eq!(missing("notes failed", output).as_deref(), Some("notes failed"));
        assert_eq!(missing("…", ""), None);
    }
}
