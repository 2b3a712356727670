//! Services: programs that the daemon runs for a stack.

use std::time::Duration;

use mainstay_testkit::process::Process;
use rustix::process::Signal;

use super::{in_state, node, switch, switched};
use crate::shared::{PATIENCE, daemon, eventually, until};

#[tokio::test]
async fn a_job_must_end_with_0_before_what_needs_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let config = format!(
        "[services.job]\nkind = 'once'\ncommand = ['sh', '-c', 'test -f {path}/disk || exit 1']\n\
         [services.db]\nneeds = ['service:job']\ncommand = ['sleep', '1000']\n"
    );
    let daemon = daemon().config(&config).start().await.unwrap();
    in_state(&daemon, "job", "backing-off").await;
    assert_eq!(node(&daemon, "db").await.state.as_str(), "waiting");
    std::fs::write(folder.path().join("disk"), "").unwrap();
    in_state(&daemon, "job", "done").await;
    in_state(&daemon, "db", "ready").await;
}

#[tokio::test]
async fn a_killed_service_comes_back_and_a_silent_one_is_replaced() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "[services.web]\ncommand = ['python3', '-u', '-m', 'http.server', '{port}', '--bind', '127.0.0.1']\n\
         cwd = '/'\n\
         [services.web.probe]\nhttp = 'http://127.0.0.1:{port}/'\nperiod = '200ms'\n\
         waiting_period = '200ms'\ntimeout = '300ms'\nfall = 2\n"
    );
    let daemon = daemon().config(&config).start().await.unwrap();
    let first = in_state(&daemon, "web", "ready").await.pid.unwrap();
    let process = |pid: u32| Process::find(pid.try_into().unwrap()).unwrap();
    process(first).signal(Signal::KILL);
    let second = eventually("another process", async || {
        let web = node(&daemon, "web").await;
        web.pid.filter(|pid| *pid != first && web.state.as_str() == "ready")
    })
    .await;
    process(second).signal(Signal::STOP);
    eventually("a third process", async || {
        let web = node(&daemon, "web").await;
        web.pid.filter(|pid| *pid != second && web.state.as_str() == "ready")
    })
    .await;
    let log = daemon.log();
    assert!(log.contains("was killed by signal 9"), "{log}");
    assert!(log.contains("its probe failed 2 times in a row"), "{log}");
}

#[tokio::test]
async fn a_service_that_lacks_a_variable_fails_alone_and_says_which() {
    let config = "[services.db]\ncommand = ['sleep', '1000']\nenv = { KEY = '${NO_SUCH_KEY}' }\n\
                  [services.web]\ncommand = ['sleep', '1000']\n";
    let daemon = daemon().config(config).start().await.unwrap();
    let failed = in_state(&daemon, "db", "failed").await;
    assert!(failed.reason.unwrap().contains("NO_SUCH_KEY is not set"));
    in_state(&daemon, "web", "ready").await;
}

#[tokio::test]
async fn a_service_whose_probe_has_a_wrong_address_fails_alone_and_names_the_reference() {
    let config = "[services.db]\ncommand = ['sleep', '1000']\nprobe.http = 'secret:env:DB_URL'\n\
                  [services.web]\ncommand = ['sleep', '1000']\n";
    let daemon = daemon().variable("DB_URL", "no url").config(config).start().await.unwrap();
    let failed = in_state(&daemon, "db", "failed").await;
    let reason = failed.reason.unwrap();
    assert!(reason.starts_with("the value of secret:env:DB_URL is not an address"), "{reason}");
    in_state(&daemon, "web", "ready").await;
}

/// What a service prints is kept with its last words, in status and `mainstay logs`.
#[tokio::test]
async fn the_last_words_of_a_service_are_shown() {
    let config =
        "[services.db]\ncommand = ['sh', '-c', 'echo to stdout; echo no room >&2; exit 4']\n";
    let daemon = daemon().config(config).start().await.unwrap();
    let client = mainstay_admin::Client::new(&daemon.state(), PATIENCE);
    let service = eventually("last words", async || {
        let status = client.status().await.unwrap();
        status.services.into_iter().next().filter(|service| !service.last_output.is_empty())
    })
    .await;
    let said = service.last_output;
    assert!(
        ["no room", "to stdout"].iter().all(|line| said.contains(&(*line).to_owned())),
        "{said:?}"
    );
    assert!(service.reason.unwrap().contains("exited with code 4"));
    let logs = daemon.run(&["logs", "db"]).unwrap();
    assert!(String::from_utf8_lossy(&logs.stdout).contains("no room"));
}

/// PostgreSQL stops with INT, and ends its own processes itself.
#[tokio::test]
async fn only_the_main_process_gets_the_stop_signal_and_the_rest_ends_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let script = format!(
        "trap 'echo main INT >> {path}/heard; exit 0' INT; trap 'echo main TERM >> {path}/heard' TERM\n\
         sh -c 'trap \"echo child INT >> {path}/heard\" INT; while :; do sleep 0.05; done' &\n\
         echo up > {path}/up; while :; do sleep 0.05; done"
    );
    let config = format!(
        "[services.db]\nstop_signal = 'INT'\ncommand = ['bash', '-c', '''{script}''']\n\
         probe = {{ command = ['test', '-f', '{path}/up'] }}\n"
    );
    let mut daemon = daemon().config(&config).start().await.unwrap();
    in_state(&daemon, "db", "ready").await;
    daemon.term().unwrap();
    daemon.wait(Duration::from_secs(20)).await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("heard")).unwrap(), "main INT\n");
}

#[tokio::test]
async fn services_end_after_those_that_need_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let service = |name: &str, needs: &str| {
        let script =
            format!("trap 'echo {name} >> {path}/ends; exit 0' TERM; while :; do sleep 0.02; done");
        format!("[services.{name}]\nneeds = {needs}\ncommand = ['bash', '-c', \"{script}\"]\n")
    };
    let config = service("db", "[]")
        + &service("api", "['service:db']")
        + &service("web", "['service:api']");
    let mut daemon = daemon().config(&config).start().await.unwrap();
    in_state(&daemon, "web", "ready").await;
    daemon.term().unwrap();
    daemon.wait(Duration::from_secs(20)).await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("ends")).unwrap(), "web\napi\ndb\n");
}

#[tokio::test]
async fn an_external_is_watched_and_never_started() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    switch(folder.path(), "db", true);
    let config = format!(
        "[externals.x]\ntcp = '{address}'\nperiod = '200ms'\nwaiting_period = '200ms'\nfall = 1\n{}",
        switched(folder.path(), "db", &["external:x"])
    );
    let daemon = daemon().config(&config).start().await.unwrap();
    in_state(&daemon, "db", "ready").await;
    drop(listener);
    in_state(&daemon, "x", "unhealthy").await;
    in_state(&daemon, "db", "degraded").await;
    let again = tokio::net::TcpListener::bind(address).await.unwrap();
    until("ready", async || node(&daemon, "db").await.state.as_str() == "ready").await;
    drop(again);
}
