//! The comparison for people.

use std::fmt::Write as _;

use super::comparison::{Comparison, Named};
use super::pairs::{FigureOfReport, PairedCell, Spread, cpu};

/// The figures of a cell: title, digits after the point of a median, and where it is in a report.
const FIGURES: [(&str, usize, FigureOfReport); 4] = [
    ("calls/s", 0, |report| Some(report.per_second)),
    ("CPU a call, µs", 1, cpu),
    ("p50, µs", 0, |report| Some(report.p50_us)),
    ("p99, µs", 0, |report| Some(report.p99_us)),
];

/// Renders everything as lines of text.
pub(crate) fn render(found: &Comparison) -> String {
    let Comparison { hardware, old, new, rounds, seconds, .. } = found;
    let mut out = String::new();
    line(&mut out, &format!("{hardware}"));
    line(&mut out, &format!("OLD  {}\nNEW  {}", old.display(), new.display()));
    if !found.cells.is_empty() {
        line(
            &mut out,
            &format!(
                "\nNEW by OLD in the same round: median (lowest to highest) of {rounds} rounds of {seconds} s\n"
            ),
        );
    }
    for cell in &found.cells {
        cell_lines(&mut out, cell);
    }
    for (title, unit, decimals, named) in [
        ("Instructions for a call", "", 0, &found.instructions),
        ("Memory of an idle session, of 5,000", " KiB", 2, &found.idle),
    ] {
        named_lines(&mut out, title, unit, decimals, named);
    }
    for note in &found.notes {
        line(&mut out, &format!("\nNot measured: {note}"));
    }
    verdict_lines(&mut out, found);
    out
}

fn cell_lines(out: &mut String, cell: &PairedCell) {
    for (title, decimals, figure) in FIGURES {
        let Some((ratio, medians)) = cell.ratio(figure).zip(cell.medians(figure)) else {
            continue;
        };
        let (old, new) = (medians.old, medians.new);
        line(
            out,
            &format!(
                "{:14} {title:15} {:22} {old:>9.decimals$} → {new:.decimals$}",
                cell.name,
                spread(ratio)
            ),
        );
    }
    for (title, _, figure) in FIGURES.into_iter().take(2) {
        if let Some(ratio) = cell.of_haproxy(figure) {
            let name = format!("{title}, NEW by HAProxy");
            line(out, &format!("{:14} {name:31} {}", cell.name, spread(ratio)));
        }
    }
}

fn named_lines(out: &mut String, title: &str, unit: &str, decimals: usize, named: &[Named]) {
    if named.is_empty() {
        return;
    }
    line(out, &format!("\n{title}\n"));
    for Named { name, pair } in named {
        line(
            out,
            &format!(
                "{name:20} {:.3}   {:.decimals$} → {:.decimals$}{unit}",
                pair.ratio(),
                pair.old,
                pair.new
            ),
        );
    }
}

fn verdict_lines(out: &mut String, found: &Comparison) {
    line(out, "\nBudget\n");
    for verdict in &found.verdicts {
        let word = match verdict.kept {
            Some(true) => "kept",
            Some(false) => "NOT KEPT",
            None => "open: rounds lie on both sides, take more",
        };
        line(
            out,
            &format!(
                "{:50} {:.3}, at most {:.2}: {word}",
                verdict.what, verdict.figure, verdict.at_most
            ),
        );
    }
    if found.verdicts.is_empty() {
        line(out, "nothing measured that has one");
    }
}

fn spread(Spread { median, low, high }: Spread) -> String {
    format!("{median:.2} ({low:.2} to {high:.2})")
}

fn line(out: &mut String, text: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(out, "{text}");
}
