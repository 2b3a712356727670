//! Reads the blocks of a page, and the comments that say how to run them.
//!
//! A comment stands in the line before its block:
//!
//! | comment | effect |
//! | --- | --- |
//! | `<!-- run: skip, REASON -->` | the block is not run; the reason is one of [`REASONS`] |
//! | `<!-- run: until "TEXT" -->` | its command is left running once it has printed the text |
//! | `<!-- run: exits N -->` | its last command ends with this exit code, all others with 0 |
//! | `<!-- run: with TEXT = COMMAND -->` | what the command prints takes the place of the text |
//! | `<!-- file: NAME -->` | the block is written into this file |
//!
//! A comment of several lines that begins with `<!-- setup` has commands that prepare the next blocks.

/// Why a block may be left out.
pub(super) const REASONS: [&str; 6] = [
    "another program's file",
    "needs a toolchain",
    "needs docker",
    "needs root",
    "needs systemd",
    "needs the network",
];

/// Languages whose blocks are only shown.
const SHOWN: [&str; 6] = ["dockerfile", "js", "nginx", "python", "text", "yaml"];

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of the page with the first line of the block, from 1.
    pub(super) line: usize,
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) how: How,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Commands only.
    #[default]
    Commands,
    /// Commands of a comment, run as one.
    Setup,
    /// Commands after `$`, with what they print.
    Console,
    Toml,
    Json,
    /// Something that no test reads.
    Shown,
}

/// What the comment before a block says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct How {
    pub(super) is_skipped: bool,
    pub(super) until: Option<String>,
    pub(super) exit_code: i32,
    pub(super) with: Option<(String, String)>,
    pub(super) file: Option<String>,
}

/// A command of a block, and the lines that it should print.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) command: String,
    pub(super) expected: Vec<String>,
}

/// Reads all blocks of a page.
///
/// # Errors
/// With the line, when a comment, a reason or a language is unknown, or a block has no end.
pub(super) fn read(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut how = How::default();
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let at = |why: &str| format!("line {}: {why}", index + 1);
        let line = line.trim();
        if line == "<!-- setup" {
            let text = until(&mut lines, "-->").ok_or_else(|| at("the comment has no end"))?;
            let (line, kind) = (index + 2, Kind::Setup);
            blocks.push(Block { line, kind, text, ..Block::default() });
        } else if let Some(comment) =
            line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"))
        {
            how.add(comment).map_err(|why| at(&why))?;
        } else if let Some(language) = line.strip_prefix("```") {
            let kind =
                kind(language).ok_or_else(|| at(&format!("unknown language `{language}`")))?;
            let text = until(&mut lines, "```").ok_or_else(|| at("the block has no end"))?;
            blocks.push(Block { line: index + 2, kind, text, how: std::mem::take(&mut how) });
        } else if !line.is_empty() && how != How::default() {
            return Err(at("there is no block after the comment"));
        }
    }
    Ok(blocks)
}

/// The lines up to the one that is `end`. None if there is none.
fn until<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, end: &str) -> Option<String> {
    let mut text = String::new();
    for (_, line) in lines {
        if line.trim() == end {
            return Some(text);
        }
        text.push_str(line);
        text.push('\n');
    }
    None
}

fn kind(language: &str) -> Option<Kind> {
    Some(match language {
        "sh" => Kind::Commands,
        "console" => Kind::Console,
        "toml" => Kind::Toml,
        "json" => Kind::Json,
        _ if SHOWN.contains(&language) => Kind::Shown,
        _ => return None,
    })
}

// === impl How ===

impl How {
    fn add(&mut self, comment: &str) -> Result<(), String> {
        if let Some(name) = comment.strip_prefix("file: ") {
            self.file = Some(name.to_owned());
            return Ok(());
        }
        // Other comments are for readers of the source.
        let Some(run) = comment.strip_prefix("run: ") else { return Ok(()) };
        let unknown = || format!("unknown: {comment}");
        let (word, rest) = run.split_once([' ', ',']).ok_or_else(unknown)?;
        let rest = rest.trim();
        match word {
            "skip" if REASONS.contains(&rest) => self.is_skipped = true,
            "skip" => return Err(format!("the reason is none of {REASONS:?}: {comment}")),
            "until" => self.until = Some(rest.trim_matches('"').to_owned()),
            "exits" => self.exit_code = rest.parse().map_err(|_| unknown())?,
            "with" => {
                let (text, command) = rest.split_once(" = ").ok_or_else(unknown)?;
                self.with = Some((text.to_owned(), command.to_owned()));
            }
            _ => return Err(unknown()),
        }
        Ok(())
    }
}

// === impl Block ===

impl Block {
    /// The commands of the block.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        if self.kind == Kind::Setup {
            return vec![Step { command: self.text.clone(), expected: Vec::new() }];
        }
        let mut is_continued = false;
        for line in self.text.lines() {
            let typed = match self.kind {
                Kind::Console if is_continued => Some(line),
                Kind::Console => line.strip_prefix("$ "),
                _ => Some(line),
            };
            match (typed, steps.last_mut()) {
                (Some(typed), Some(step)) if is_continued => {
                    step.command.push('\n');
                    step.command.push_str(typed);
                }
                (Some(typed), _) if typed.trim().is_empty() || typed.starts_with('#') => continue,
                (Some(typed), _) => {
                    steps.push(Step { command: typed.to_owned(), expected: Vec::new() });
                }
                (None, Some(step)) => step.expected.push(line.to_owned()),
                (None, None) => {}
            }
            is_continued = typed.is_some_and(|typed| typed.ends_with('\\'));
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, How, Kind, Step, read};

    #[test]
    fn blocks_have_commands_output_and_comments() {
        let page = "# A page\n\n<!-- run: exits 3 -->\n```console\n$ one \\\n    two\nsaid\n$ three\n```\n\n```toml\na = 1\n```\n";
        let blocks = read(page).unwrap();
        let [first, second] = &blocks[..] else { panic!("{blocks:?}") };
        assert_eq!((first.line, first.how.exit_code), (5, 3));
        let step = |command: &str, expected: &[&str]| Step {
            command: command.to_owned(),
            expected: expected.iter().map(|&line| line.to_owned()).collect(),
        };
        assert_eq!(first.steps(), [step("one \\\n    two", &["said"]), step("three", &[])]);
        let text = "a = 1\n".to_owned();
        assert_eq!(*second, Block { line: 12, kind: Kind::Toml, text, how: How::default() });
    }

    #[test]
    fn a_block_that_nobody_would_run_is_refused() {
        for page in [
            "<!-- run: skip, no time -->\n```sh\na\n```\n",
            "<!-- run: never -->\n```sh\na\n```\n",
            "<!-- run: exits 1 -->\ntext\n",
            "```bash\na\n```\n",
            "```\na\n```\n",
            "```sh\na\n",
        ] {
            assert!(read(page).is_err(), "{page}");
        }
    }
}
