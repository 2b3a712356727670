//! A terminal that a command can be started on, and what is on its screen afterwards.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use anyhow::Context;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How the letters of a run look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) is_bold: bool,
    pub(super) is_dim: bool,
    /// One of the eight colours, as in the code 30 to 37.
    pub(super) colour: Option<u8>,
}

/// Letters of a line that look the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) style: Style,
}

/// A program's end of a terminal, and ours.
pub(super) struct Terminal {
    theirs: File,
    output: Receiver<Vec<u8>>,
}

/// The lines that were written, as a terminal of endless height shows them.
#[derive(Debug, Default)]
pub(super) struct Screen {
    lines: Vec<Vec<(char, Style)>>,
    row: usize,
    column: usize,
    style: Style,
}

// === impl Terminal ===

impl Terminal {
    /// Opens a terminal of this size.
    pub(super) fn open(columns: u16, rows: u16) -> anyhow::Result<Self> {
        let own =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("can't open a terminal")?;
        grantpt(&own)?;
        unlockpt(&own)?;
        let name = ptsname(&own, Vec::new())?;
        let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&theirs, size)?;
        let mut own = File::from(own);
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = own.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { theirs: theirs.into(), output })
    }

    /// Has a command use this terminal.
    pub(super) fn attach<'a>(&self, command: &'a mut Command) -> anyhow::Result<&'a mut Command> {
        let end = || Ok::<_, std::io::Error>(Stdio::from(self.theirs.try_clone()?));
        Ok(command.stdin(end()?).stdout(end()?).stderr(end()?))
    }

    /// Waits until nobody can write any more, and returns the screen.
    pub(super) fn ended(self) -> Screen {
        let Self { theirs, output } = self;
        drop(theirs);
        let mut screen = Screen::default();
        screen.write(&output.iter().flatten().collect::<Vec<u8>>());
        screen
    }

    /// Waits until a text is on the screen and nothing follows for a moment.
    pub(super) fn shows(&self, text: &str) -> anyhow::Result<Screen> {
        let mut bytes = Vec::new();
        loop {
            let is_there = String::from_utf8_lossy(&bytes).contains(text);
            let patience = std::time::Duration::from_millis(if is_there { 300 } else { 30_000 });
            match self.output.recv_timeout(patience) {
                Ok(more) => bytes.extend(more),
                Err(_) if is_there => break,
                Err(_) => {
                    anyhow::bail!("does not print {text:?}: {}", String::from_utf8_lossy(&bytes))
                }
            }
        }
        let mut screen = Screen::default();
        screen.write(&bytes);
        Ok(screen)
    }
}

// === impl Screen ===

impl Screen {
    /// Writes what a program printed.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let mut rest = text.chars();
        while let Some(letter) = rest.next() {
            match letter {
                '\n' => (self.row, self.column) = (self.row + 1, 0),
                '\r' => self.column = 0,
                '\u{1b}' => self.escape(&mut rest),
                letter if letter.is_control() => {}
                letter => self.put(letter),
            }
        }
    }

    /// Obeys an escape sequence: colours, erasing and steps of the cursor. Others have no effect.
    fn escape(&mut self, rest: &mut std::str::Chars<'_>) {
        match rest.next() {
            Some('[') => {}
            // A title or a link ends with BEL or with ESC \.
            Some(']') => {
                let _ = rest.by_ref().find(|&letter| letter == '\u{7}' || letter == '\\');
                return;
            }
            _ => return,
        }
        let mut numbers = String::new();
        let Some(end) = rest.by_ref().find(|&letter| {
            let is_end = ('@'..='~').contains(&letter);
            if !is_end {
                numbers.push(letter);
            }
            is_end
        }) else {
            return;
        };
        let first = numbers.parse::<usize>().unwrap_or(0);
        match end {
            'm' => numbers.split(';').for_each(|code| self.style.set(code.parse().unwrap_or(0))),
            'A' => self.row = self.row.saturating_sub(first.max(1)),
            'G' => self.column = first.saturating_sub(1),
            'J' => {
                self.erase(first);
                self.lines.truncate(self.row + 1);
            }
            'K' => self.erase(first),
            _ => {}
        }
    }

    /// Erases the line from the cursor on, or all of it.
    fn erase(&mut self, how: usize) {
        let from = if how == 2 { 0 } else { self.column };
        if let Some(line) = self.lines.get_mut(self.row) {
            line.truncate(from);
        }
    }

    fn put(&mut self, letter: char) {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        let line = &mut self.lines[self.row];
        if line.len() <= self.column {
            line.resize(self.column + 1, (' ', Style::default()));
        }
        line[self.column] = (letter, self.style);
        self.column += 1;
    }

    /// The lines, without empty ones at the end.
    pub(super) fn lines(&self) -> Vec<Vec<Run>> {
        let mut lines: Vec<Vec<Run>> = self.lines.iter().map(|line| runs(line)).collect();
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        lines
    }
}

/// Joins letters that look the same. Spaces at the end are left out.
fn runs(line: &[(char, Style)]) -> Vec<Run> {
    let end = line.iter().rposition(|(letter, _)| *letter != ' ').map_or(0, |last| last + 1);
    let mut runs: Vec<Run> = Vec::new();
    for &(letter, style) in &line[..end] {
        match runs.last_mut() {
            Some(run) if run.style == style => run.text.push(letter),
            _ => runs.push(Run { text: letter.into(), style }),
        }
    }
    runs
}

// === impl Style ===

impl Style {
    fn set(&mut self, code: u8) {
        match code {
            0 => *self = Self::default(),
            1 => self.is_bold = true,
            2 => self.is_dim = true,
            22 => (self.is_bold, self.is_dim) = (false, false),
            30..=37 => self.colour = Some(code - 30),
            90..=97 => self.colour = Some(code - 90),
            39 => self.colour = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Run, Screen, Style};

    #[test]
    fn the_screen_has_what_is_left_of_all_that_was_written() {
        let mut screen = Screen::default();
        screen.write(
            b"\x1b[?25lwaiting 1 s\r\x1b[Kone\r\n\x1b[1;32mready\x1b[0m now  \r\nspin\r\x1b[2K\r\n",
        );
        let plain = |text: &str| Run { text: text.to_owned(), style: Style::default() };
        let style = Style { is_bold: true, colour: Some(2), ..Style::default() };
        let ready = Run { text: "ready".to_owned(), style };
        assert_eq!(screen.lines(), [vec![plain("one")], vec![ready, plain(" now")]]);
    }
}
