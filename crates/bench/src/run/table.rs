//! The table, and the tables behind it.

use std::fmt::Write as _;

use super::cells::SCRIPT_CLIENTS_MAX;
use super::judge::{FACTS, Figure, LINES, Line};
use super::kind::Kind;
use super::results::{Measured, Results};

/// The whole run as Markdown.
pub(crate) fn render(results: &Results) -> String {
    let mut out = String::new();
    head(&mut out, results);
    main_table(&mut out, results);
    cell_table(&mut out, results);
    problems(&mut out, results);
    out
}

fn head(out: &mut String, results: &Results) {
    let Results { began, hardware, load_after, rounds, seconds, missing, .. } = results;
    line(out, &format!("# Side by side, {began}\n"));
    line(
        out,
        &format!(
            "{hardware}, after it {load_after:.2}. Medians of {rounds} interleaved rounds of {seconds} s; load generator on the same machine. Read ratios, not figures.\n"
        ),
    );
    for (kind, why) in missing {
        line(out, &format!("Not measured: {} ({why}).\n", kind.title()));
    }
    let scripts = shown(results).into_iter().filter(|kind| kind.is_script());
    let scripts: Vec<&str> = scripts.map(Kind::title).collect();
    if !scripts.is_empty() {
        line(
            out,
            &format!(
                "{}: on an interpreter, so without the cells of more than {SCRIPT_CLIENTS_MAX} clients, of a fixed rate and of mixed-up ids, and with fewer idle sessions.\n",
                scripts.join(", ")
            ),
        );
    }
}

/// The targets that something is known of, be it why they are missing.
fn shown(results: &Results) -> Vec<Kind> {
    let known = |kind: &Kind| {
        results.cells.iter().any(|one| one.kind == *kind)
            || results.facts.iter().any(|fact| fact.kind == *kind)
            || results.missing.contains_key(kind)
    };
    Kind::ALL.into_iter().filter(known).collect()
}

fn main_table(out: &mut String, results: &Results) {
    let kinds = shown(results);
    let titles: Vec<&str> = kinds.iter().map(|kind| kind.title()).collect();
    row(out, &[&["figure"], titles.as_slice(), &["ours must be", "kept"]].concat());
    line(out, &("| --- ".repeat(kinds.len() + 3) + "|"));
    for entry in
        LINES.iter().filter(|entry| kinds.iter().any(|kind| entry.value(results, *kind).is_some()))
    {
        let mut fields = vec![entry.title.to_owned()];
        fields.extend(kinds.iter().map(|kind| figure_text(results, entry, *kind)));
        fields.extend([entry.wanted(), kept_text(entry.kept(results))]);
        row(out, &fields);
    }
    for (name, title, wanted) in FACTS {
        if !results.facts.iter().any(|fact| fact.name == name) {
            continue;
        }
        let mut fields = vec![title.to_owned()];
        fields.extend(kinds.iter().map(|kind| {
            results.fact(name, *kind).map_or("–".to_owned(), |fact| fact.text.clone())
        }));
        let kept = results.fact(name, Kind::Mainstay).and_then(|fact| fact.good);
        fields.extend([wanted.to_owned(), kept_text(kept)]);
        row(out, &fields);
    }
    line(out, "");
}

/// The figure, and its ratio to the yardstick: the bare proxy, or the peer where there is none.
fn figure_text(results: &Results, entry: &Line, kind: Kind) -> String {
    let Some(value) = entry.value(results, kind) else {
        return "–".to_owned();
    };
    let text = match entry.figure {
        Figure::P50 | Figure::P99 => format!("{value:.3} ms"),
        Figure::PerSecond => thousands(value),
        Figure::Cpu => format!("{value:.1} µs"),
        Figure::PerSecondOf(_) | Figure::CpuOf(_) => return format!("{value:.2} ×"),
        Figure::Astray => return astray_text(results, entry, kind, value),
    };
    let yardstick =
        entry.value(results, Kind::Bare).or_else(|| entry.value(results, Kind::McpProxy));
    match yardstick.filter(|yardstick| *yardstick > 0.0) {
        Some(yardstick) => format!("{text} ({:.2})", value / yardstick),
        None => text,
    }
}

fn astray_text(results: &Results, entry: &Line, kind: Kind, value: f64) -> String {
    let report = results.median(entry.cell, kind);
    let (done, lost) =
        report.map_or((0, 0), |report| (report.done, report.failures() - report.astray));
    let lost =
        if lost > 0 { format!(", {} failed", thousands(lost as f64)) } else { String::new() };
    format!("{value:.0} of {}{lost}", thousands(done as f64))
}

fn cell_table(out: &mut String, results: &Results) {
    if results.cells.is_empty() {
        return;
    }
    line(out, "## All cells\n");
    line(
        out,
        "Latency in ms. CPU in µs a call: the target itself, what it started, the HTTP server behind it. Noise: cores used by nobody measured.\n",
    );
    let titles = [
        "cell",
        "target",
        "p50",
        "p95",
        "p99",
        "max",
        "calls/s",
        "lowest to highest",
        "CPU",
        "CPU children",
        "CPU server",
        "failed",
        "noise",
    ];
    row(out, &titles);
    line(out, &("| --- ".repeat(titles.len()) + "|"));
    for one in &results.cells {
        cell_row(out, one);
    }
    line(out, "");
}

fn cell_row(out: &mut String, one: &Measured) {
    let Some(report) = &one.median else {
        return;
    };
    let ms = |micros: f64| format!("{:.3}", micros / 1000.0);
    let rates = || one.rounds.iter().map(|round| round.per_second);
    let (low, high) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    let cpu = |name: &str| {
        report.cpu_per_call_us(name).map_or("–".to_owned(), |micros| format!("{micros:.1}"))
    };
    let children = report
        .cpu
        .iter()
        .find(|cpu| cpu.name == "proxy" && cpu.children_us > 0.0 && report.done > 0);
    row(
        out,
        &[
            one.title.to_owned(),
            one.kind.title().to_owned(),
            ms(report.p50_us),
            ms(report.p95_us),
            ms(report.p99_us),
            ms(report.max_us),
            thousands(report.per_second),
            format!("{} to {}", thousands(low), thousands(high)),
            cpu("proxy"),
            children.map_or("–".to_owned(), |cpu| {
                format!("{:.1}", cpu.children_us / report.done as f64)
            }),
            cpu("server"),
            report.failures().to_string(),
            format!("{:.2}", report.foreign_cores),
        ],
    );
}

fn problems(out: &mut String, results: &Results) {
    for one in &results.cells {
        for problem in &one.problems {
            line(out, &format!("- {}, {}: {problem}", one.title, one.kind.title()));
        }
    }
}

fn kept_text(kept: Option<bool>) -> String {
    match kept {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    }
    .to_owned()
}

fn row<T: AsRef<str>>(out: &mut String, fields: &[T]) {
    let fields: Vec<String> =
        fields.iter().map(|field| field.as_ref().replace('|', "/").replace('\n', " ")).collect();
    line(out, &format!("| {} |", fields.join(" | ")));
}

fn line(out: &mut String, text: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(out, "{text}");
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests;
