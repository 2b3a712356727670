//! Durations (`"1m30s"`) and sizes (`"4MiB"`), read and written.

use std::time::Duration;

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadUnit {
    #[error("it has no unit")]
    NoUnit,
    #[error("it must be whole numbers, each with a unit")]
    Malformed,
    #[error("write it without a space: {0}")]
    Spaced(String),
    #[error("it is too large")]
    TooLarge,
}

/// Units in milliseconds, largest first.
const DURATIONS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// Units in bytes; binary ones last, so that formatting finds the largest of them from the end.
const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A duration in milliseconds, as one or more numbers with units: `500ms`, `30s`, `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, BadUnit> {
    without_space(text, |text| parse_duration(text).is_ok())?;
    let mut rest = text;
    let mut total = 0_u64;
    loop {
        let (number, unit, after) = first_part(rest)?;
        let scale = scale_of(&DURATIONS, unit)?;
        total = number
            .checked_mul(scale)
            .and_then(|part| total.checked_add(part))
            .ok_or(BadUnit::TooLarge)?;
        if after.is_empty() {
            return Ok(Duration::from_millis(total));
        }
        rest = after;
    }
}

/// A size in bytes, as one number with a unit: `4MiB`, `512KB`.
pub(crate) fn parse_size(text: &str) -> Result<u64, BadUnit> {
    without_space(text, |text| parse_size(text).is_ok())?;
    let (number, unit, after) = first_part(text)?;
    if !after.is_empty() {
        return Err(BadUnit::Malformed);
    }
    number.checked_mul(scale_of(&SIZES, unit)?).ok_or(BadUnit::TooLarge)
}

/// A number with at most three places, in thousandths: `2`, `0.5`.
pub(crate) fn parse_thousandths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 3 {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    whole.checked_mul(1000)?.checked_add(format!("{part:0<3}").parse().ok()?)
}

pub(crate) fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, scale) in DURATIONS {
        if rest >= scale {
            text.push_str(&format!("{}{unit}", rest / scale));
            rest %= scale;
        }
    }
    text
}

pub(crate) fn format_size(bytes: u64) -> String {
    let whole = |(_, scale): &&(&str, u64)| bytes != 0 && bytes.is_multiple_of(*scale);
    let (unit, scale) = SIZES.iter().rev().find(whole).unwrap_or(&SIZES[0]);
    format!("{}{unit}", bytes / scale)
}

pub(crate) fn size_units() -> String {
    SIZES.map(|(unit, _)| unit).join(", ")
}

/// Refuses a text that would be right without its spaces.
fn without_space(text: &str, is_right: impl Fn(&str) -> bool) -> Result<(), BadUnit> {
    if !text.contains(' ') {
        return Ok(());
    }
    let joined = text.replace(' ', "");
    match is_right(&joined) {
        true => Err(BadUnit::Spaced(joined)),
        false => Err(BadUnit::Malformed),
    }
}

/// Splits `30s…` into 30, `s` and the rest.
fn first_part(text: &str) -> Result<(u64, &str, &str), BadUnit> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    if number.is_empty() {
        return Err(BadUnit::Malformed);
    }
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    if rest.is_empty() {
        return Err(BadUnit::NoUnit);
    }
    Ok((number.parse().map_err(|_| BadUnit::TooLarge)?, unit, after))
}

fn scale_of(units: &[(&str, u64)], unit: &str) -> Result<u64, BadUnit> {
    units
        .iter()
        .find(|(known, _)| *known == unit)
        .map(|(_, scale)| *scale)
        .ok_or(BadUnit::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
        for (text, why) in [
            ("", BadUnit::Malformed),
            ("30", BadUnit::NoUnit),
            ("1h30", BadUnit::NoUnit),
            ("s", BadUnit::Malformed),
            ("1.5s", BadUnit::Malformed),
            ("-1s", BadUnit::Malformed),
            ("30 s", BadUnit::Spaced("30s".to_owned())),
            ("30 x", BadUnit::Malformed),
            ("30S", BadUnit::Malformed),
            ("99999999999999999999s", BadUnit::TooLarge),
            ("999999999999999999d", BadUnit::TooLarge),
        ] {
            assert_eq!(parse_duration(text), Err(why), "{text}");
        }
    }

    #[test]
    fn thousandths() {
        for (text, thousandths) in [("2", 2000), ("0.5", 500), ("1.25", 1250), ("0.001", 1)] {
            assert_eq!(parse_thousandths(text), Some(thousandths), "{text}");
        }
        assert_eq!(parse_thousandths("2.0"), Some(2000));
        for text in ["", ".5", "1.", "-1", "0.0001", "NaN", "inf", "1e3", "99999999999999999999"] {
            assert_eq!(parse_thousandths(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("0B", 0), ("17B", 17), ("4KB", 4000), ("4MiB", 4 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(format_size(bytes), text);
        }
        assert_eq!(parse_size("4"), Err(BadUnit::NoUnit));
        assert_eq!(parse_size("4M"), Err(BadUnit::Malformed));
        assert_eq!(parse_size("512 MB"), Err(BadUnit::Spaced("512MB".to_owned())));
        assert_eq!(parse_size("4MiB2KiB"), Err(BadUnit::Malformed));
        assert_eq!(parse_size("99999999999999GiB"), Err(BadUnit::TooLarge));
    }
}
