//! Lays out tables: plain columns, two blanks apart. Where lines have a limit, text columns get narrower.
//! Names are never cut.

use super::{Look, Output, format};

/// Blanks between columns.
const GAP: usize = 2;
/// Fewest columns of a terminal that a text column keeps.
const TEXT_MIN: usize = 12;

/// A column and what happens to it when the table is too wide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    fit: Fit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Is shown whole.
    Whole,
    /// Is cut, as far as [`TEXT_MIN`].
    Text,
    /// Is cut, and left out where even the shortest form has no room.
    Spare,
}

/// What a table shows in one place.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    content: Content,
    look: Option<Look>,
}

#[derive(Debug, Clone)]
enum Content {
    Text(String),
    /// Shown as far as there is room, and the rest counted.
    Parts(Vec<String>),
}

/// Lays out a table within `limit` columns of a terminal. `None`: without a limit.
pub(super) fn lay_out<const N: usize>(
    columns: [Column; N],
    rows: &[[Cell; N]],
    limit: Option<usize>,
    paint: impl Fn(Look, &str) -> String,
) -> String {
    let mut widths = widths(&columns, rows, limit);
    if let Some(limit) = limit {
        give_away(&mut widths, &columns, rows, limit);
    }
    let mut lines = vec![line((0..N).map(|at| {
        let text = columns[at].title.to_owned();
        (widths[at], format::width(&text), text)
    }))];
    for row in rows {
        lines.push(line((0..N).map(|at| {
            let text = row[at].content.within(widths[at].unwrap_or(0));
            let painted = match row[at].look {
                Some(look) if !text.is_empty() => paint(look, &text),
                _ => text.clone(),
            };
            (widths[at], format::width(&text), painted)
        })));
    }
    lines.join("\n")
}

/// Joins cells: the width of the column, the width of the text, and the text as it is printed.
fn line(cells: impl Iterator<Item = (Option<usize>, usize, String)>) -> String {
    let mut line = String::new();
    let mut blanks = 0;
    for (room, width, text) in cells {
        let Some(room) = room else { continue };
        if width > 0 {
            line.extend(std::iter::repeat_n(' ', std::mem::take(&mut blanks)));
            line.push_str(&text);
        }
        blanks += room.saturating_sub(width) + GAP;
    }
    line
}

/// The width of each column. `None`: the column is left out.
fn widths<const N: usize>(
    columns: &[Column; N],
    rows: &[[Cell; N]],
    limit: Option<usize>,
) -> [Option<usize>; N] {
    let mut widths: [Option<usize>; N] = std::array::from_fn(|at| {
        let cells = rows.iter().map(|row| row[at].content.width()).max().unwrap_or(0);
        Some(cells.max(format::width(columns[at].title)))
    });
    let Some(limit) = limit else { return widths };
    loop {
        let excess = sum(&widths).saturating_sub(limit);
        if excess == 0 {
            return widths;
        }
        let smallest = |at: usize| format::width(columns[at].title).max(TEXT_MIN);
        let wide = (0..N)
            .filter(|at| columns[*at].fit != Fit::Whole)
            .filter(|at| widths[*at].is_some_and(|width| width > smallest(*at)))
            .max_by_key(|at| widths[*at]);
        if let Some(at) = wide {
            widths[at] = widths[at].map(|width| width - 1);
            continue;
        }
        let spare = (0..N).rev().find(|at| columns[*at].fit == Fit::Spare && widths[*at].is_some());
        match spare {
            Some(at) => widths[at] = None,
            None => return widths,
        }
    }
}

/// The width of the table. A column without a title may be empty in all rows.
fn sum<const N: usize>(widths: &[Option<usize>; N]) -> usize {
    let shown = widths.iter().flatten().filter(|width| **width > 0);
    shown.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
}

/// Gives room that shortened cells leave to text that was cut.
fn give_away<const N: usize>(
    widths: &mut [Option<usize>; N],
    columns: &[Column; N],
    rows: &[[Cell; N]],
    limit: usize,
) {
    for at in (0..N).filter(|at| columns[*at].fit != Fit::Whole) {
        let Some(room) = widths[at] else { continue };
        let used = rows.iter().map(|row| format::width(&row[at].content.within(room)));
        widths[at] = Some(used.max().unwrap_or(0).max(format::width(columns[at].title)));
    }
    for at in (0..N).rev().filter(|at| columns[*at].fit != Fit::Whole) {
        let left = limit.saturating_sub(sum(widths));
        let wanted = rows.iter().map(|row| row[at].content.width()).max().unwrap_or(0);
        if let Some(width) = &mut widths[at] {
            *width = (*width).max(wanted.min(*width + left));
        }
    }
}

// === impl Column ===

impl Column {
    /// A column that is shown whole.
    pub(crate) const fn whole(title: &'static str) -> Self {
        Self { title, fit: Fit::Whole }
    }

    /// A column of text that may be cut.
    pub(crate) const fn text(title: &'static str) -> Self {
        Self { title, fit: Fit::Text }
    }

    /// A column of text that may be cut, and left out in a narrow terminal. The last one goes first.
    pub(crate) const fn spare(title: &'static str) -> Self {
        Self { title, fit: Fit::Spare }
    }
}

// === impl Cell ===

impl Cell {
    /// Parts of which as many are shown as there is room for, with the number of the others.
    pub(crate) fn parts(parts: Vec<String>) -> Self {
        Self { content: Content::Parts(parts), look: None }
    }

    pub(crate) fn look(mut self, look: Look) -> Self {
        self.look = Some(look);
        self
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { content: Content::Text(text.into()), look: None }
    }
}

// === impl Content ===

impl Content {
    fn width(&self) -> usize {
        match self {
            Self::Text(text) => format::width(text),
            Self::Parts(parts) => {
                parts.iter().map(|part| format::width(part) + 1).sum::<usize>().saturating_sub(1)
            }
        }
    }

    /// The text, within this many columns of a terminal.
    fn within(&self, room: usize) -> String {
        match self {
            Self::Text(text) => format::cut(text, room),
            Self::Parts(parts) if self.width() <= room => parts.join(" "),
            Self::Parts(parts) => {
                let with_rest = |shown: usize| {
                    let rest = format!("+{} more", parts.len() - shown);
                    [&parts[..shown], &[rest]].concat().join(" ")
                };
                let fitting = (1..parts.len()).rev().map(with_rest);
                let mut fitting = fitting.filter(|text| format::width(text) <= room);
                fitting.next().unwrap_or_else(|| format::count(parts.len(), "argument"))
            }
        }
    }
}

// === impl Output ===

impl Output {
    /// A table that fits into the terminal, or whole where standard output is none.
    pub(crate) fn table<const N: usize>(&self, columns: [Column; N], rows: &[[Cell; N]]) -> String {
        lay_out(columns, rows, self.columns(), |look, text| self.paint(look, text))
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Column, lay_out};

    fn table<const N: usize>(columns: [Column; N], rows: &[[Cell; N]], limit: usize) -> String {
        let limit = Some(limit).filter(|limit| *limit > 0);
        lay_out(columns, rows, limit, |look, text| format!("<{look:?}:{text}>"))
    }

    #[test]
    fn a_table_is_plain_columns() {
        let rows = [["a".into(), "1".into()], ["longer".into(), "".into()]];
        let columns = [Column::whole("NAME"), Column::whole("N")];
        assert_eq!(table(columns, &rows, 0), "NAME    N\na       1\nlonger");
        // The paint takes no room.
        let rows = [[Cell::from("日本").look(super::Look::Bad), "1".into()]];
        assert_eq!(table(columns, &rows, 0), "NAME  N\n<Bad:日本>  1");
    }

    #[test]
    fn text_is_cut_to_the_limit_and_names_are_not() {
        let columns =
            [Column::whole("TOOL"), Column::spare("ARGUMENTS"), Column::spare("DESCRIPTION")];
        let parts = ["city=string", "[days=integer]", "[unit=string]", "[x=any]"];
        let rows = [[
            "forecast_of_the_weather".into(),
            Cell::parts(parts.map(str::to_owned).to_vec()),
            "What the weather will be like in the days that come".into(),
        ]];
        let row = |limit| table(columns, &rows, limit).lines().nth(1).unwrap().to_owned();
        assert_eq!(
            row(0),
            "forecast_of_the_weather  city=string [days=integer] [unit=string] [x=any]  \
             What the weather will be like in the days that come"
        );
        for (limit, expected) in [
            (
                100,
                "forecast_of_the_weather  city=string [days=integer] +2 more  What the weather will be like in the d…",
            ),
            (80, "forecast_of_the_weather  city=string +3 more  What the weather will be like in…"),
            (52, "forecast_of_the_weather  4 arguments  What the weat…"),
            (40, "forecast_of_the_weather  4 arguments"),
            (20, "forecast_of_the_weather"),
        ] {
            assert_eq!(row(limit), expected, "{limit}");
        }
    }
}
