//! Runs the blocks of a page, in order, in one shell with an empty home.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::blocks::{Block, Kind, Step};
use super::expected;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a command that only looks is repeated until it prints what the page shows.
const PATIENCE_TO_LOOK: Duration = Duration::from_secs(20);
/// The port that pages name. Each page gets another one.
const PORT: &str = "8000";
/// The home folder that pages name.
const HOME: &str = "/home/me";
/// What the shell prints after each command, before the exit code.
const END: &str = "==end-of-command";

/// Programs that pages use and that tests can't rely on: each starts a server that is built in.
const STAND_INS: [&str; 2] = ["npx", "uvx"];

/// A shell with the home and the programs that the commands of a page need.
pub(super) struct Shell {
    child: Child,
    input: ChildStdin,
    ends: Receiver<String>,
    home: TempDir,
    port: u16,
    /// The files with the output of commands that are left running, by their number.
    count: usize,
}

// === impl Shell ===

impl Shell {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let programs = home.path().join(".programs");
        fs::create_dir(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_mainstay"), programs.join("mainstay")).unwrap();
        for name in STAND_INS {
            let text = "#!/bin/sh\nexec mainstay __demo notes\n";
            fs::write(programs.join(name), text).unwrap();
            fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        // An answer with an error fails the command.
        fs::write(home.path().join(".curlrc"), "fail\nsilent\nshow-error\nmax-time = 20\n")
            .unwrap();
        let port = free_port();
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc"]).current_dir(home.path()).env_clear();
        command.env("HOME", home.path()).env("MAINSTAY_STATE", home.path().join(".state"));
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()));
        command.env("MAINSTAY__GATEWAY__LISTEN", format!("127.0.0.1:{port}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.process_group(0).spawn().expect("bash starts");
        let output = child.stdout.take().unwrap();
        let (sender, ends) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take().unwrap();
        Self { child, input, ends, home, port, count: 0 }
    }

    /// Runs or checks a block.
    ///
    /// # Errors
    /// When a command fails, takes too long, or does not print what the page shows.
    pub(super) fn run(&mut self, block: &Block) -> Result<(), String> {
        if let Some(name) = &block.how.file {
            let path = self.home.path().join(name);
            fs::write(path, self.here(&block.text)).map_err(|error| error.to_string())?;
        }
        if block.how.is_skipped {
            return Ok(());
        }
        match block.kind {
            Kind::Shown => Ok(()),
            Kind::Json => serde_json::from_str::<serde_json::Value>(&block.text)
                .map(drop)
                .map_err(|error| error.to_string()),
            Kind::Toml => self.check(&block.text),
            Kind::Commands | Kind::Setup | Kind::Console => self.run_steps(block),
        }
    }

    fn run_steps(&mut self, block: &Block) -> Result<(), String> {
        let mut steps = block.steps();
        if let Some((text, command)) = &block.how.with {
            let value = self.value(command)?;
            steps.iter_mut().for_each(|step| step.command = step.command.replace(text, &value));
        }
        let last = steps.len().saturating_sub(1);
        for (index, step) in steps.iter().enumerate() {
            let code = if index == last { block.how.exit_code } else { 0 };
            match &block.how.until {
                Some(text) => self.leave_running(&step.command, text, &step.expected)?,
                None => self.run_step(step, code)?,
            }
        }
        Ok(())
    }

    /// What a command prints, as soon as it prints anything.
    fn value(&mut self, command: &str) -> Result<String, String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE_TO_LOOK {
            let value = self.output(command, 0)?.trim().to_owned();
            if !value.is_empty() {
                return Ok(value);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("prints nothing: {command}"))
    }

    fn run_step(&mut self, step: &Step, code: i32) -> Result<(), String> {
        let begun = Instant::now();
        // States change by themselves, so these are looked at until they are as expected.
        let is_look = ["status", "tools", "logs", "call"]
            .iter()
            .any(|name| step.command.starts_with(&format!("mainstay {name}")));
        loop {
            let output = self.output(&step.command, code);
            let wrong = match &output {
                Ok(output) => self.missing(&step.expected, output).map(|line| {
                    format!("{}\n  does not print: {line}\n  but:\n{output}", step.command)
                }),
                Err(why) => Some(why.clone()),
            };
            match wrong {
                None => return Ok(()),
                Some(_) if is_look && begun.elapsed() < PATIENCE_TO_LOOK => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Some(wrong) => return Err(wrong),
            }
        }
    }

    /// Runs a command to its end, and returns what it printed.
    fn output(&mut self, command: &str, code: i32) -> Result<String, String> {
        let said = self.send(command, "")?;
        let end =
            self.ends.recv_timeout(PATIENCE).map_err(|_| format!("takes too long: {command}"))?;
        let output = fs::read_to_string(said).unwrap_or_default();
        if end != format!("{END} {code}") {
            return Err(format!("{command}\n  ends with {end}, not {code}:\n{output}"));
        }
        Ok(output)
    }

    /// Starts a command in the background, and waits for what it prints.
    fn leave_running(
        &mut self,
        command: &str,
        text: &str,
        expected: &[String],
    ) -> Result<(), String> {
        let said = self.send(command, " &")?;
        self.ends.recv_timeout(PATIENCE).map_err(|_| "the shell hangs".to_owned())?;
        let begun = Instant::now();
        loop {
            let output = fs::read_to_string(&said).unwrap_or_default();
            if output.contains(text) && self.missing(expected, &output).is_none() {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE_TO_LOOK {
                let line = self.missing(expected, &output).unwrap_or_else(|| text.to_owned());
                return Err(format!("{command}\n  does not print: {line}\n  but:\n{output}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Has the shell run a command. Returns the file that gets its output.
    fn send(&mut self, command: &str, after: &str) -> Result<PathBuf, String> {
        self.count += 1;
        let folder = self.home.path().join(".programs");
        let (script, said) =
            (folder.join(format!("{}.sh", self.count)), folder.join(format!("{}.out", self.count)));
        fs::write(&script, format!("{}\n", self.here(command)))
            .map_err(|error| error.to_string())?;
        let line = format!(
            "source '{}' >'{}' 2>&1 </dev/null{after}\necho \"{END} $?\"\n",
            script.display(),
            said.display()
        );
        self.input.write_all(line.as_bytes()).map_err(|error| error.to_string())?;
        Ok(said)
    }

    /// Lets `mainstay check` look at a piece of a configuration.
    fn check(&mut self, text: &str) -> Result<(), String> {
        let mut text = self.here(text);
        if !text.contains("[servers.") {
            // A piece without servers gets those that it may name.
            for name in ["everything", "files"] {
                writeln!(text, "[servers.{name}]\ncommand = [\"true\"]").unwrap();
            }
        }
        fs::write(self.home.path().join(".page.toml"), text).map_err(|error| error.to_string())?;
        self.output("mainstay check ~/.page.toml", 0).map(drop)
    }

    /// A text of the page with the port and the home of this shell.
    fn here(&self, text: &str) -> String {
        let port = self.port.to_string();
        text.replace(&format!(":{PORT}"), &format!(":{port}")).replace(HOME, &self.folder())
    }

    fn missing(&self, expected: &[String], output: &str) -> Option<String> {
        let output = output.replace(&self.folder(), HOME);
        expected::missing(expected, &output).map(str::to_owned)
    }

    fn folder(&self) -> String {
        self.home.path().display().to_string()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The daemon ends its servers, and the guard ends those of a daemon that is killed.
        let _ = self.send("mainstay stop", "");
        let _ = self.ends.recv_timeout(PATIENCE);
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
