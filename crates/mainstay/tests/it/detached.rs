//! A daemon in the background: `up --detach` and `up --wait`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::shared::{misbehave, until};
use crate::{Ran, mainstay};

/// A folder with a configuration and a daemon in the background, which is stopped in the end.
struct Home {
    folder: tempfile::TempDir,
}

// === impl Home ===

impl Home {
    fn new(servers: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.write(&format!("[gateway]\nlisten = \"127.0.0.1:0\"\n{servers}"));
        home
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, configuration: &str) {
        std::fs::write(self.path().join("mainstay.toml"), configuration).unwrap();
    }

    fn run(&self, line: &[&str]) -> Ran {
        mainstay(self.path(), line)
    }

    fn log(&self) -> PathBuf {
        self.path().join("state/daemon.log")
    }

    fn status(&self) -> Value {
        self.run(&["status", "--json"]).exits(0).json()
    }

    fn spawn(&self, line: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.args(line).current_dir(self.path()).env_clear().env("HOME", self.path());
        command.env("MAINSTAY_STATE", self.path().join("state"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let stopped = self.run(&["stop", "--json"]);
        // 3: there is none.
        if !matches!(stopped.code, Some(0 | 3)) && !std::thread::panicking() {
            panic!("{}\n{}", stopped.out, stopped.err);
        }
    }
}

fn clock() -> String {
    format!(
        "[servers.clock]\ncommand = [{:?}, \"__demo\", \"clock\"]\n",
        env!("CARGO_BIN_EXE_mainstay")
    )
}

fn server(name: &str, command: &[String]) -> String {
    format!("[servers.{name}]\ncommand = {}\n", Value::from(command.to_vec()))
}

fn process(pid: &Value) -> Pid {
    Pid::from_raw(i32::try_from(pid.as_i64().unwrap()).unwrap()).unwrap()
}

#[test]
fn a_daemon_in_the_background_has_left_the_terminal_and_logs_into_its_file() {
    let home = Home::new(&clock());
    let said = home.run(&["up", "--detach"]).exits(0);
    assert!(said.out.starts_with("mainstay is serving at http://127.0.0.1:"), "{}", said.out);
    assert!(said.out.contains("/daemon.log") && said.err.is_empty(), "{} {}", said.out, said.err);
    let pid = home.status()["pid"].as_i64().unwrap();
    assert!(said.out.contains(&format!("as process {pid}")), "{}", said.out);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let (session, terminal) = (fields[3], fields[4]);
    assert_eq!((session, terminal), (pid.to_string().as_str(), "0"), "{stat}");
    let stream = |number: u8| std::fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
    let log = home.log().canonicalize().unwrap();
    assert_eq!([stream(0), stream(1), stream(2)], ["/dev/null".into(), log.clone(), log]);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&home.log().metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    home.run(&["stop"]).exits(0);
    let log = std::fs::read_to_string(home.log()).unwrap();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(last["message"], "stopped", "{log}");
}

#[test]
fn services_alone_are_counted_and_no_address_for_servers_is_printed() {
    let home = Home::new(
        "[services.db]\ncommand = [\"sleep\", \"1000\"]\n[services.cache]\ncommand = [\"sleep\", \"1000\"]\n\
         user = \"nobody-of-this-name\"\n[externals.api]\ntcp = \"127.0.0.1:1\"\n",
    );
    let checked = home.run(&["check"]).exits(0);
    assert!(checked.out.contains("ok: 0 servers, 2 services, 1 external, "), "{}", checked.out);
    assert!(checked.out.contains("nobody-of-this-name"), "{}", checked.out);
    let said = home.run(&["up", "--detach"]).exits(0);
    assert!(!said.out.contains("/mcp"), "{}", said.out);
}

#[test]
fn what_was_stopped_by_hand_is_not_waited_for_and_a_newer_file_is_told() {
    let home = Home::new(
        "[services.db]\ncommand = [\"sleep\", \"1000\"]\n[services.cache]\ncommand = [\"sleep\", \"1000\"]\n",
    );
    home.run(&["up", "--wait"]).exits(0).says("all 2 servers and services are ready");
    let status = home.run(&["status"]).exits(0);
    assert!(!status.err.contains("has changed"), "{}", status.err);
    home.run(&["stop", "cache"]).exits(0);
    home.run(&["up", "--wait"])
        .exits(0)
        .says("the other one is ready; not waited for: cache (stopped)");
    let text = std::fs::read_to_string(home.path().join("mainstay.toml")).unwrap();
    home.write(&format!("{text}[services.new]\ncommand = [\"sleep\", \"1000\"]\n"));
    let changed = "has changed since the daemon read it";
    home.run(&["status"]).exits(0).complains(changed);
    for line in [
        &["status", "new"][..],
        &["start", "new"],
        &["logs", "new"],
        &["events", "new"],
        &["tools", "new"],
    ] {
        home.run(line).exits(1).complains(changed);
    }
}

#[test]
fn why_a_daemon_does_not_start_is_told_with_its_exit_code() {
    let home = Home::new("[servers.clock]\ncommand = 7\n");
    let said = home.run(&["up", "--detach"]).exits(2);
    assert!(said.err.contains("mainstay.toml:4:"), "{}", said.err);
    home.write("");
    let said = home.run(&["up", "--detach"]).exits(2);
    assert!(said.err.contains("mainstay demo"), "{}", said.err);
    home.write(&clock());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = ["up", "--detach", "--listen", &address];
    let said = home.run(&line).exits(1);
    assert!(said.err.starts_with(&format!("error: can't listen on {address}: ")), "{}", said.err);
    assert!(said.err.contains("hint: "), "{}", said.err);
    assert!(said.out.is_empty(), "{}", said.out);
    let said = home.run(&[&line[..], &["--json"]].concat()).exits(1).json();
    assert!(said["error"]["message"].as_str().unwrap().starts_with("can't listen"), "{said}");
    home.run(&["status"]).exits(3);
}

#[test]
fn a_second_start_of_the_same_daemon_changes_nothing_and_of_another_one_is_refused() {
    let home = Home::new(&clock());
    let first = home.run(&["up", "--wait", "--json"]).exits(0).json();
    assert_eq!((&first["started"], &first["ready"]), (&true.into(), &true.into()));
    let second = home.run(&["up", "--wait", "--json"]).exits(0).json();
    assert_eq!((&second["started"], &second["pid"]), (&false.into(), &first["pid"]));
    let said = home.run(&["up", "-d"]).exits(0);
    assert_eq!(
        said.out.lines().next().unwrap(),
        format!("the daemon runs already, as process {}", first["pid"])
    );
    // What was changed since counts only after a reload.
    home.write(&format!("[gateway]\nlisten = \"127.0.0.1:0\"\n{}# more\n", clock()));
    let said = home.run(&["up", "-d"]).exits(0);
    assert!(said.err.contains("has changed since the daemon read it"), "{}", said.err);
    let other = home.path().join("other.toml");
    std::fs::copy(home.path().join("mainstay.toml"), &other).unwrap();
    let said = home.run(&["up", "-d", "--config", other.to_str().unwrap()]).exits(1);
    assert!(said.err.contains("another daemon uses the state folder"), "{}", said.err);
    assert!(said.err.contains("mainstay.toml"), "{}", said.err);
    let said = home.run(&["up", "-d", "--listen", "127.0.0.1:9"]).exits(1);
    assert!(said.err.contains("and not on 127.0.0.1:9"), "{}", said.err);
    assert_eq!(home.status()["pid"], first["pid"]);
}

#[test]
fn of_several_starts_at_once_all_find_the_same_daemon() {
    let home = Home::new(&clock());
    let starts: Vec<_> = (0..4).map(|_| home.spawn(&["up", "--wait", "--json"])).collect();
    let said = starts.into_iter().map(|child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    });
    let said: Vec<_> = said.collect();
    assert_eq!(said.iter().filter(|one| one["started"] == true).count(), 1, "{said:?}");
    assert!(said.iter().all(|one| one["pid"] == said[0]["pid"]), "{said:?}");
}

#[test]
fn a_wait_that_is_too_short_says_what_is_not_ready_and_leaves_the_daemon_running() {
    // A server that never answers its first message.
    let hangs = ["sleep".to_owned(), "1000".to_owned()];
    let home = Home::new(&[clock(), server("slow", &hangs)].concat());
    let said = home.run(&["up", "--wait", "1s"]).exits(1);
    assert!(said.err.contains("error: 1 of 2 are not ready after 1 s:\n  slow, "), "{}", said.err);
    assert!(said.err.contains("the daemon goes on running"), "{}", said.err);
    assert!(said.err.contains("1 of 2 are ready; not yet: slow ("), "{}", said.err);
    assert_eq!(home.status()["servers"][0]["state"], "ready");
    let said = home.run(&["up", "--wait", "100ms", "--json"]).exits(1).json();
    assert_eq!(said["error"]["details"]["not_ready"][0]["name"], "slow", "{said}");
}

#[test]
fn a_wait_for_what_is_not_tried_again_in_time_ends_at_once() {
    let home = Home::new(&server("gone", &["/nonexistent/program".to_owned()]));
    let said = home.run(&["up", "--wait", "4m"]).exits(1);
    assert!(said.err.contains("none of them is tried again in time"), "{}", said.err);
    assert!(said.err.contains("gone, failed: "), "{}", said.err);
}

#[test]
fn a_wait_ends_with_the_daemon() {
    let home = Home::new(&server("slow", &["sleep".to_owned(), "1000".to_owned()]));
    home.run(&["up", "--detach"]).exits(0);
    let waits = home.spawn(&["up", "--wait", "5m"]);
    kill_process(process(&home.status()["pid"]), Signal::TERM).unwrap();
    let output = waits.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // Whether it was found running or ending, it is not there in the end.
    assert!(!output.status.success() || said.contains("serving"), "{said}");
}

#[tokio::test]
async fn the_log_file_is_put_aside_when_it_is_full_and_opened_again_on_request() {
    let home = Home::new(&server("odd", &misbehave(&[])));
    std::fs::create_dir(home.path().join("state")).unwrap();
    let full = std::fs::File::create(home.log()).unwrap();
    full.set_len(8 << 20).unwrap();
    home.run(&["up", "--wait"]).exits(0);
    let (log, aside) = (home.log(), home.path().join("state/daemon.log.1"));
    let size = |path: &Path| path.metadata().map_or(0, |file| file.len());
    until("the full file is put aside", async || size(&aside) >= 8 << 20 && size(&log) < 8 << 20)
        .await;
    // As logrotate does it.
    let moved = home.path().join("moved.log");
    std::fs::rename(&log, &moved).unwrap();
    kill_process(process(&home.status()["pid"]), Signal::USR1).unwrap();
    until("the file is there again", async || log.exists()).await;
    home.run(&["stop"]).exits(0);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("\"stopped\""), "{text}");
}
