//! The real program under test: started with a configuration of its own in a folder of its
//! own, watched, and gone with all its children when the test is over.

mod log;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tempfile::TempDir;

use crate::client::Client;
use crate::process::{Process, wait_gone};
use log::Log;

/// A variable in the environment of the daemon and its descendants, by which leftovers are found.
const MARK: &str = "MAINSTAY_TESTKIT_RUN";

static RUNS: AtomicU64 = AtomicU64::new(0);

/// Configures the start of a daemon.
pub struct Builder {
    binary: PathBuf,
    config: String,
    /// The file to start with, instead of one with `config` in it.
    config_file: Option<PathBuf>,
    listen: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    ready_within: Duration,
    gone_within: Duration,
    folder: Option<PathBuf>,
    /// A program and its arguments that start the daemon in its place.
    wrapper: Vec<String>,
}

/// A running daemon. Dropping it kills it; children that outlive it fail the test.
pub struct Daemon {
    child: Child,
    binary: PathBuf,
    base: String,
    log: Log,
    mark: String,
    folder: PathBuf,
    config_file: PathBuf,
    gone_within: Duration,
    /// Everybody ever seen below the daemon, by identity.
    family: Vec<Process>,
    _kept: Option<TempDir>,
}

// === impl Builder ===

impl Builder {
    /// Adds configuration text.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.config.push_str(toml);
        self.config.push('\n');
        self
    }

    /// Starts with this file as it is, and not with configuration text.
    #[must_use]
    pub fn config_file(mut self, file: &Path) -> Self {
        self.config_file = Some(file.to_owned());
        self
    }

    /// A server run as a command.
    #[must_use]
    pub fn command_server<S: AsRef<str>>(self, name: &str, command: &[S]) -> Self {
        // A JSON array of strings is a TOML array of strings.
        let words: Vec<&str> = command.iter().map(AsRef::as_ref).collect();
        let command = serde_json::Value::from(words);
        self.config(&format!("[servers.{name}]\ncommand = {command}"))
    }

    /// A server reached over HTTP.
    #[must_use]
    pub fn url_server(self, name: &str, url: &str) -> Self {
        self.config(&format!("[servers.{name}]\nurl = \"{url}\""))
    }

    /// Sets the address to listen on, for tests that restart the daemon at the same address. The
    /// default is a free port of loopback.
    #[must_use]
    pub fn listen(self, address: std::net::SocketAddr) -> Self {
        self.listen_on(&address.to_string())
    }

    /// Sets the address to listen on as it is written on a command line.
    #[must_use]
    pub fn listen_on(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Adds an argument for `up`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Adds a variable to the daemon's environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Works in this folder, which stays: a second daemon there is the first one restarted.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Sets the longest wait for the daemon's address. The default is 30 s.
    #[must_use]
    pub fn ready_within(mut self, within: Duration) -> Self {
        self.ready_within = within;
        self
    }

    /// Sets the longest wait for the children to end after the daemon. The default is 15 s.
    #[must_use]
    pub fn gone_within(mut self, within: Duration) -> Self {
        self.gone_within = within;
        self
    }

    /// Sets the limit on open files that the daemon starts with, soft and hard.
    #[must_use]
    pub fn files(self, limit: u64) -> Self {
        self.script(&format!("ulimit -n {limit}; exec \"$@\""))
    }

    /// Starts the daemon with a shell script, which gets its command line as arguments and has to `exec`
    /// it.
    #[must_use]
    pub fn script(mut self, script: &str) -> Self {
        self.wrapper = ["/bin/sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        self
    }

    /// Starts the daemon and waits until it prints its address.
    ///
    /// # Errors
    ///
    /// When the daemon ends or prints no address in time. The message holds its log.
    pub async fn start(self) -> anyhow::Result<Daemon> {
        let (folder, kept) = match self.folder {
            Some(folder) => (folder, None),
            None => {
                let kept = tempfile::Builder::new().prefix("mainstay-test-").tempdir()?;
                (kept.path().to_owned(), Some(kept))
            }
        };
        let config_file = match self.config_file {
            Some(file) => file,
            None => {
                let file = folder.join("mainstay.toml");
                std::fs::File::create(&file)?.write_all(self.config.as_bytes())?;
                file
            }
        };
        let mark = format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        let mut command = match self.wrapper.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        let mut child = command
            .arg("up")
            .arg("--config")
            .arg(&config_file)
            .arg("--state")
            .arg(folder.join("state"))
            .args(["--listen", &self.listen])
            .args(&self.arguments)
            .env(MARK, &mark)
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", self.binary.display()))?;
        let log = Log::follow(child.stdout.take(), child.stderr.take());
        let mut daemon = Daemon {
            child,
            binary: self.binary,
            base: String::new(),
            log,
            mark,
            folder,
            config_file,
            gone_within: self.gone_within,
            family: Vec::new(),
            _kept: kept,
        };
        daemon.base = daemon.address(self.ready_within).await?;
        Ok(daemon)
    }
}

// === impl Daemon ===

impl Daemon {
    /// A daemon of this program, with `[gateway]` left at its defaults and no servers.
    #[must_use]
    pub fn builder(binary: impl Into<PathBuf>) -> Builder {
        Builder {
            binary: binary.into(),
            config: String::new(),
            config_file: None,
            listen: "127.0.0.1:0".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            ready_within: Duration::from_secs(30),
            gone_within: Duration::from_secs(15),
            folder: None,
            wrapper: Vec::new(),
        }
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The address of one server's or group's endpoint.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> String {
        format!("{}/mcp/{name}", self.base)
    }

    /// A client with a session at one endpoint.
    ///
    /// # Errors
    /// When the daemon refuses it.
    pub async fn client(&self, name: &str) -> anyhow::Result<Client> {
        Client::connect(&self.endpoint(name)).await
    }

    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process numbers fit")
    }

    /// The folder of the configuration and the state.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The daemon's output so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until the log holds a text.
    ///
    /// # Errors
    ///
    /// When it does not in time. The message holds the log.
    pub async fn wait_for_log(&self, text: &str, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        while !self.log.text().contains(text) {
            if Instant::now() >= deadline {
                bail!("'{text}' never came up in the log:\n{}", self.log.text());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// The processes below the daemon.
    pub fn children(&mut self) -> Vec<Process> {
        let now = Process::below(self.pid());
        self.family.extend(
            now.iter().filter(|one| !self.family.contains(one)).cloned().collect::<Vec<_>>(),
        );
        now
    }

    /// Changes the limit on open files of the running daemon, at most to the one it was started with.
    ///
    /// # Panics
    /// When the system does not allow it.
    pub fn limit_files(&self, limit: u64) {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.pid()));
        let limits = limits.expect("the limits of the daemon");
        let most = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let most = most.and_then(|most| most.split_whitespace().nth(1)?.parse().ok());
        let limit = Rlimit { current: Some(limit), maximum: most };
        let pid = Pid::from_raw(self.pid());
        prlimit(pid, Resource::Nofile, limit).expect("the limit can be changed");
    }

    /// Sends a signal to the daemon alone.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.children();
        let pid = Pid::from_raw(self.pid()).context("no process number")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Asks the daemon to stop, as a service manager does.
    ///
    /// # Errors
    /// When it has ended.
    pub fn term(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Kills the daemon without a chance to clean up.
    ///
    /// # Errors
    /// When it has ended.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Waits for the daemon to end.
    ///
    /// # Errors
    ///
    /// When it does not end in time. The message holds its log.
    pub async fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            self.children();
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("the daemon goes on:\n{}", self.log.text());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Runs a command of the same program against this daemon.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run<S: AsRef<str>>(&self, arguments: &[S]) -> anyhow::Result<Output> {
        let output = Command::new(&self.binary)
            .args(arguments.iter().map(AsRef::as_ref))
            .arg("--config")
            .arg(&self.config_file)
            .arg("--state")
            .arg(self.state())
            .stdin(Stdio::null())
            .output()?;
        Ok(output)
    }

    /// Processes that should be gone and are not, a while after the daemon ended.
    fn left_behind(&self) -> Vec<Process> {
        let mut family = self.family.clone();
        family.extend(Process::with_variable(MARK, &self.mark));
        wait_gone(&family, self.gone_within)
    }

    async fn address(&mut self, within: Duration) -> anyhow::Result<String> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(address) = self.log.address() {
                return Ok(address);
            }
            if let Some(status) = self.child.try_wait()? {
                // The last output may still be in the pipe.
                tokio::time::sleep(Duration::from_millis(50)).await;
                bail!("the daemon ended ({status}) before it served:\n{}", self.log.text());
            }
            if Instant::now() >= deadline {
                bail!("the daemon does not say where it serves:\n{}", self.log.text());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.children();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let left = self.left_behind();
        for one in &left {
            one.signal(Signal::KILL);
        }
        let _ = wait_gone(&left, Duration::from_secs(5));
        if !left.is_empty() && !std::thread::panicking() {
            panic!("left behind by the daemon: {left:#?}\n{}", self.log.text());
        }
        if std::thread::panicking() {
            eprintln!("--- log of the daemon\n{}", self.log.text());
        }
    }
}
