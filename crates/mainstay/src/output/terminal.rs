//! Finds out what standard output and standard error can show. Each is asked for itself, since one may be
//! a terminal and the other a file.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

/// Fewest columns that a layout is made for. A terminal that says less is taken for one this wide.
const COLUMNS_MIN: usize = 40;

/// What one of the two streams can show.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StandardStream {
    /// Whether people read it as it is written.
    pub(super) is_terminal: bool,
    pub(super) colour: bool,
    /// Columns of the terminal. `None`: lines have no limit.
    pub(super) columns: Option<usize>,
}

/// When text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    Never,
    /// Where the stream is a terminal.
    OnTerminals,
    Always,
}

// === impl StandardStream ===

impl StandardStream {
    pub(super) fn of(stream: &(impl IsTerminal + AsFd)) -> Self {
        let is_terminal = stream.is_terminal();
        let columns = is_terminal.then(|| tcgetwinsize(stream).ok()).flatten();
        let columns = columns.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        Self {
            is_terminal,
            colour: colours_on(is_terminal),
            columns: columns.map(|columns| columns.max(COLUMNS_MIN)),
        }
    }
}

/// Whether text for a stream is coloured.
pub(crate) fn colours_on(is_terminal: bool) -> bool {
    match Colours::wanted(|name| std::env::var_os(name)) {
        Colours::Never => false,
        Colours::OnTerminals => is_terminal,
        Colours::Always => true,
    }
}

/// Whether the terminal understands control sequences, so that a line can be drawn again.
pub(super) fn can_redraw() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

// === impl Colours ===

impl Colours {
    /// What the environment asks for: <https://no-color.org>, then <https://bixense.com/clicolors>.
    fn wanted(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let is = |name: &str, value: &str| variable(name).is_some_and(|set| set == value);
        if is_set("NO_COLOR") {
            Self::Never
        } else if is_set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") {
            Self::Always
        } else if is("CLICOLOR", "0") || is("TERM", "dumb") {
            Self::Never
        } else {
            Self::OnTerminals
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Colours;

    #[test]
    fn the_environment_decides_about_colours() {
        for (environment, expected) in [
            (&[][..], Colours::OnTerminals),
            (&[("TERM", "xterm")], Colours::OnTerminals),
            (&[("TERM", "dumb")], Colours::Never),
            (&[("NO_COLOR", "")], Colours::OnTerminals),
            (&[("NO_COLOR", "1")], Colours::Never),
            (&[("CLICOLOR", "0")], Colours::Never),
            (&[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")], Colours::Always),
            (&[("CLICOLOR_FORCE", "0"), ("TERM", "dumb")], Colours::Never),
            (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], Colours::Never),
        ] {
            let value = |name: &str| environment.iter().find(|(known, _)| *known == name);
            let wanted = Colours::wanted(|name| value(name).map(|(_, value)| value.into()));
            assert_eq!(wanted, expected, "{environment:?}");
        }
    }
}
