//! The picture of a session in the README: real commands, and what the real program prints.
//!
//! Waits are shortened, and the home folder is shown as `/home/me`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use self::svg::{Line, Picture};
use self::terminal::{Run, Screen, Style, Terminal};
use crate::programs::cargo;

mod svg;
mod terminal;

const COLUMNS: u16 = 92;
const ROWS: u16 = 25;
const PICTURE: &str = "docs/session.svg";
const SIZE_MAX: usize = 100_000;
/// The port of the session's daemon, and of the picture.
const PORT: &str = "8000";

/// The client's file at the beginning.
const CLIENT: &str = r#"{
  "numStartups": 12,
  "mcpServers": {
    "files": {
      "type": "stdio",
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem@2026.8.31", "HOME/notes"]
    },
    "everything": {
      "type": "stdio",
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-everything@2026.8.31"],
      "env": { "API_KEY": "sk-8d1f4c2b9a7e4f60a3c5d7e9" }
    }
  }
}
"#;

/// The home, the programs and the lines of a session.
struct Session {
    home: TempDir,
    program: PathBuf,
    port: String,
    /// With its terminal, which is not looked at once the daemon serves.
    daemon: Option<(Child, Terminal)>,
    lines: Vec<Line>,
    now: f64,
}

/// Runs the session, and writes its picture.
///
/// # Errors
/// When a command does not print what the session needs.
pub(crate) fn run(root: &Path) -> anyhow::Result<String> {
    let mut session = Session::new(program(root)?)?;
    session.play()?;
    let picture = Picture {
        title: "From a client's servers to Mainstay, and a server that is killed",
        lines: &session.lines,
        columns: COLUMNS.into(),
        rows: ROWS.into(),
        length: session.now + 5.0,
    }
    .svg();
    ensure!(picture.len() <= SIZE_MAX, "the picture has {} bytes", picture.len());
    fs::write(root.join(PICTURE), &picture)?;
    Ok(format!("{PICTURE}: {} lines, {} bytes", session.lines.len(), picture.len()))
}

/// The program of the session: `MAINSTAY_BIN`, or else a build of this repository.
fn program(root: &Path) -> anyhow::Result<PathBuf> {
    if let Some(given) = std::env::var_os("MAINSTAY_BIN") {
        return Ok(given.into());
    }
    let mut build = Command::new(cargo());
    let status = build.args(["build", "--package", "mainstay"]).current_dir(root).status();
    let status = status.context("can't start cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    Ok(root.join(target).join("debug/mainstay"))
}

// === impl Session ===

impl Session {
    fn new(program: PathBuf) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let shown = home.path().display().to_string();
        fs::create_dir(home.path().join("notes"))?;
        fs::write(home.path().join("notes/today.txt"), "buy milk\n")?;
        fs::write(home.path().join(".claude.json"), CLIENT.replace("HOME", &shown))?;
        let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self {
            home,
            program,
            port: free.to_string(),
            daemon: None,
            lines: Vec::new(),
            now: 0.5,
        })
    }

    fn play(&mut self) -> anyhow::Result<()> {
        self.comment("# take over the servers of a client, and run them");
        self.mainstay(&["init", "--from", "claude-code"], 1.6)?;
        self.up()?;
        self.comment("# in another terminal: connect the client to the daemon");
        self.mainstay(&["export", "claude-code", "--write", "--replace"], 2.2)?;
        self.ready("files")?;
        let pid = self.ready("everything")?;
        self.comment("# kill a server, and call it");
        self.mainstay(&["status"], 2.4)?;
        self.type_line(&format!("kill -9 {pid}"));
        let killed = Command::new("kill").args(["-9", &pid]).status()?;
        ensure!(killed.success(), "kill: {killed}");
        // As long as it takes to type the next command.
        std::thread::sleep(Duration::from_millis(500));
        self.pause(0.8);
        self.mainstay(&["call", "everything", "get-sum", "a=2", "b=40"], 2.0)?;
        ensure!(self.ready("everything")? != pid, "the process of the server is the same");
        self.mainstay(&["status"], 3.0)
    }

    /// A command with the environment of the session.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.home.path()).env_clear();
        command.env("HOME", self.home.path()).env("TERM", "xterm-256color");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("MAINSTAY__GATEWAY__LISTEN", format!("127.0.0.1:{}", self.port));
        command.env("MAINSTAY_STATE", self.home.path().join(".local/state/mainstay"));
        command.env("MAINSTAY_LOG", "warn");
        command
    }

    /// Types a command, runs it to its end, and shows what it printed.
    fn mainstay(&mut self, arguments: &[&str], pause: f64) -> anyhow::Result<()> {
        self.type_line(&format!("mainstay {}", arguments.join(" ")));
        let terminal = Terminal::open(COLUMNS, ROWS)?;
        let mut command = self.command(arguments);
        let begun = Instant::now();
        let mut child = terminal.attach(&mut command)?.spawn().context("can't start mainstay")?;
        drop(command);
        let screen = terminal.ended();
        let status = child.wait()?;
        ensure!(status.success(), "mainstay {}: {status}: {screen:?}", arguments.join(" "));
        self.pause(begun.elapsed().as_secs_f64().min(0.6));
        self.show(&screen);
        self.pause(pause);
        Ok(())
    }

    /// Starts the daemon, and shows where it serves.
    fn up(&mut self) -> anyhow::Result<()> {
        self.type_line("mainstay up");
        let terminal = Terminal::open(COLUMNS, ROWS)?;
        let mut command = self.command(&["up"]);
        let child = terminal.attach(&mut command)?.spawn().context("can't start mainstay")?;
        let (_, terminal) = self.daemon.insert((child, terminal));
        let screen = terminal.shows("/mcp/everything")?;
        self.pause(0.4);
        self.show(&screen);
        self.pause(1.6);
        Ok(())
    }

    /// Waits until a server is ready. Returns its process.
    fn ready(&self, name: &str) -> anyhow::Result<String> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(120) {
            let output = self.command(&["status", name, "--json"]).stdin(Stdio::null()).output()?;
            let text: String = String::from_utf8_lossy(&output.stdout).split_whitespace().collect();
            let pid = text
                .split_once("\"pid\":")
                .map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()));
            let pid = pid.and_then(|mut digits| digits.next()).filter(|pid| !pid.is_empty());
            if let (Some(pid), true) = (pid, text.contains("\"state\":\"ready\"")) {
                return Ok(pid.to_owned());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("{name} does not become ready")
    }

    fn comment(&mut self, text: &str) {
        if !self.lines.is_empty() {
            self.push(vec![], 0, 0.0);
        }
        let style = Style { is_dim: true, ..Style::default() };
        self.push(vec![Run { text: text.to_owned(), style }], 0, 0.0);
        self.pause(0.6);
    }

    fn type_line(&mut self, text: &str) {
        let style = Style { colour: Some(2), is_bold: true, ..Style::default() };
        let prompt = Run { text: "$ ".to_owned(), style };
        let typed = Run { text: text.to_owned(), style: Style::default() };
        let letters = text.chars().count();
        let typing = letters as f64 * 0.04;
        self.push(vec![prompt, typed], letters, typing);
        self.pause(typing + 0.3);
    }

    fn show(&mut self, screen: &Screen) {
        for mut runs in screen.lines() {
            for run in &mut runs {
                run.text = self.shown(&run.text);
            }
            self.push(runs, 0, 0.0);
        }
    }

    /// A text with the home and the port of the picture.
    fn shown(&self, text: &str) -> String {
        let home = self.home.path().display().to_string();
        text.replace(&home, "/home/me").replace(&format!(":{}", self.port), &format!(":{PORT}"))
    }

    fn push(&mut self, runs: Vec<Run>, typed: usize, typing: f64) {
        self.lines.push(Line { runs, at: self.now, typed, typing });
    }

    fn pause(&mut self, seconds: f64) {
        self.now += seconds;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some((mut daemon, _terminal)) = self.daemon.take() else { return };
        let _ = self.command(&["stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = daemon.kill();
        let _ = daemon.wait();
    }
}
