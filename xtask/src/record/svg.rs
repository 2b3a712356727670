//! A session of a terminal as an animated picture. Without animation it shows the end of the session.

use std::fmt::Write as _;

use super::terminal::{Run, Style};

const LINE_HEIGHT: f64 = 20.0;
/// The width of a letter. Fonts differ by little.
const LETTER_WIDTH: f64 = 8.43;
const MARGIN: f64 = 16.0;
/// The height of the bar with the title.
const BAR: f64 = 34.0;

/// A line of the session.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) runs: Vec<Run>,
    /// When it appears, in seconds.
    pub(super) at: f64,
    /// How many letters at its end are typed, and how long that takes. 0 for output.
    pub(super) typed: usize,
    pub(super) typing: f64,
}

/// A session, and how much of it is seen at once.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    pub(super) title: &'a str,
    pub(super) lines: &'a [Line],
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// How long the session takes, in seconds. Then it begins again.
    pub(super) length: f64,
}

const STYLE: &str = "\
.paper{fill:#ffffff;stroke:#d1d9e0}.cover{fill:#ffffff;opacity:0}.bar{fill:#f6f8fa;stroke:#d1d9e0}
text{fill:#1f2328;font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace;white-space:pre}
.title{fill:#59636e;font-size:13px;text-anchor:middle}.dot{fill:#d1d9e0}
.b{font-weight:700}.d{fill:#59636e}.c1{fill:#c21c28}.c2{fill:#1a7f37}.c3{fill:#8a5a00}.c4{fill:#0858b8}.c5{fill:#8250df}.c6{fill:#1b7c83}
@media (prefers-color-scheme:dark){.paper{fill:#0d1117;stroke:#3d444d}.cover{fill:#0d1117}.bar{fill:#151b23;stroke:#3d444d}
text{fill:#e6edf3}.title,.d{fill:#9198a1}.dot{fill:#3d444d}
.c1{fill:#ff7b72}.c2{fill:#56d364}.c3{fill:#e3b341}.c4{fill:#79c0ff}.c5{fill:#d2a8ff}.c6{fill:#76e3ea}}
";

// === impl Picture ===

impl Picture<'_> {
    /// Draws the session.
    pub(super) fn svg(&self) -> String {
        let width = self.columns as f64 * LETTER_WIDTH + 2.0 * MARGIN;
        let inner = self.rows as f64 * LINE_HEIGHT;
        let height = BAR + inner + 2.0 * MARGIN;
        let (mut rules, mut drawn) = (String::new(), String::new());
        for (index, line) in self.lines.iter().enumerate() {
            self.draw(index, line, &mut rules, &mut drawn);
        }
        self.scroll(&mut rules);
        let title = escaped(self.title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\">\n<title>{title}</title>\n<!-- Made by `cargo xtask record`. -->\n<style>\n{STYLE}\
             .l{{animation-duration:{length:.1}s;animation-iteration-count:infinite;animation-timing-function:step-end}}\n\
             {rules}@media (prefers-reduced-motion:reduce){{.l{{animation:none!important}}}}\n</style>\n\
             <clipPath id=\"in\"><rect x=\"{MARGIN}\" y=\"{top}\" width=\"{text_width:.0}\" height=\"{inner:.0}\"/></clipPath>\n\
             <rect class=\"paper\" x=\".5\" y=\".5\" width=\"{w:.0}\" height=\"{h:.0}\" rx=\"8\"/>\n\
             <path class=\"bar\" d=\"M.5 {BAR}V8.5a8 8 0 0 1 8-8H{bar_end:.1}a8 8 0 0 1 8 8V{BAR}z\"/>\n\
             <circle class=\"dot\" cx=\"20\" cy=\"17\" r=\"6\"/><circle class=\"dot\" cx=\"40\" cy=\"17\" r=\"6\"/>\
             <circle class=\"dot\" cx=\"60\" cy=\"17\" r=\"6\"/>\n\
             <text class=\"title\" x=\"{middle:.0}\" y=\"22\">{title}</text>\n\
             <g clip-path=\"url(#in)\"><g class=\"l s\">\n{drawn}</g></g>\n</svg>\n",
            length = self.length,
            top = BAR + MARGIN,
            text_width = width - 2.0 * MARGIN,
            w = width - 1.0,
            h = height - 1.0,
            bar_end = width - 8.5,
            middle = width / 2.0,
        )
    }

    /// Draws a line, with the rules that let it appear.
    fn draw(&self, index: usize, line: &Line, rules: &mut String, drawn: &mut String) {
        if line.runs.is_empty() {
            return;
        }
        let y = BAR + MARGIN + index as f64 * LINE_HEIGHT;
        let spans: String = line.runs.iter().map(span).collect();
        let start = self.percent(line.at);
        let _ = writeln!(
            drawn,
            "<text xml:space=\"preserve\" class=\"l a{index}\" x=\"{MARGIN}\" y=\"{:.0}\">{spans}</text>",
            y + 15.0
        );
        let _ = writeln!(
            rules,
            ".a{index}{{animation-name:a{index}}}@keyframes a{index}{{0%{{opacity:0}}{start}%,to{{opacity:1}}}}"
        );
        if line.typed == 0 {
            return;
        }
        // A cover goes to the right, letter by letter.
        let letters: usize = line.runs.iter().map(|run| run.text.chars().count()).sum();
        let x = MARGIN + (letters - line.typed) as f64 * LETTER_WIDTH;
        let width = (line.typed + 2) as f64 * LETTER_WIDTH;
        let end = self.percent(line.at + line.typing);
        let _ = writeln!(
            drawn,
            "<rect class=\"l cover t{index}\" x=\"{x:.1}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{LINE_HEIGHT}\"/>"
        );
        let _ = writeln!(
            rules,
            ".t{index}{{animation-name:t{index}}}@keyframes t{index}{{0%,{start}%{{transform:none;opacity:1;\
             animation-timing-function:steps({})}}{end}%,to{{transform:translate({width:.1}px);opacity:1}}}}",
            line.typed
        );
    }

    /// Moves everything up as lines are added below the lower edge.
    fn scroll(&self, rules: &mut String) {
        let up = |count: usize| {
            let hidden = count.saturating_sub(self.rows);
            format!("{{transform:translateY({:.0}px)}}", -(hidden as f64) * LINE_HEIGHT)
        };
        let mut steps = format!("0%{}", up(0));
        let mut last = 0.0;
        for (index, line) in self.lines.iter().enumerate().skip(self.rows) {
            // Lines that appear together move together.
            let is_last = self.lines.get(index + 1).is_none_or(|next| next.at > line.at);
            if is_last && line.at >= last {
                let _ = write!(steps, "{}%{}", self.percent(line.at), up(index + 1));
                last = line.at;
            }
        }
        let all = up(self.lines.len());
        let _ = writeln!(rules, ".s{}.s{{animation-name:s}}@keyframes s{{{steps}to{all}}}", all);
    }

    fn percent(&self, at: f64) -> String {
        format!("{:.2}", at / self.length * 100.0)
    }
}

fn span(run: &Run) -> String {
    let Style { is_bold, is_dim, colour } = run.style;
    let colour =
        colour.filter(|colour| (1..=6).contains(colour)).map(|colour| format!("c{colour}"));
    let names = [is_bold.then(|| "b".to_owned()), is_dim.then(|| "d".to_owned()), colour];
    let class = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let text = escaped(&run.text);
    if class.is_empty() { text } else { format!("<tspan class=\"{class}\">{text}</tspan>") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Line, Picture};
    use crate::record::terminal::{Run, Style};

    #[test]
    fn each_line_appears_in_its_turn_and_markup_in_it_is_text() {
        let line = |text: &str, at: f64, typed: usize| Line {
            runs: vec![Run {
                text: text.to_owned(),
                style: Style { colour: Some(2), ..Style::default() },
            }],
            at,
            typed,
            typing: 1.0,
        };
        let lines = [line("$ a<b", 1.0, 3), line("x & y", 2.0, 0), line("end", 3.0, 0)];
        let picture = Picture { title: "t", lines: &lines, columns: 20, rows: 2, length: 4.0 };
        let svg = picture.svg();
        assert!(
            svg.contains("<tspan class=\"c2\">$ a&lt;b</tspan>") && svg.contains("x &amp; y"),
            "{svg}"
        );
        assert!(svg.contains("@keyframes a1{0%{opacity:0}50.00%,to{opacity:1}}"), "{svg}");
        assert!(svg.contains("75.00%{transform:translateY(-20px)}"), "{svg}");
        assert!(svg.contains("prefers-color-scheme:dark"), "{svg}");
    }
}
