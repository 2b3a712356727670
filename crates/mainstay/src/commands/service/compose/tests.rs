use std::path::Path;
use std::time::Duration;

use super::super::place::Place;
use super::ComposeFile;

fn text(config: &str, text: &str, sse_port: Option<u16>) -> String {
    let place = Place::new(Path::new("/m"), Path::new(config), Path::new("/s"), text).unwrap();
    let drain = Duration::from_secs(30);
    let user = None;
    ComposeFile {
        place: &place,
        image: "mainstay:1",
        port: 8000,
        sse_port,
        drain,
        user,
        built_in: &[],
    }
    .text()
}

#[test]
fn who_alone_may_read_the_configuration_is_who_the_daemon_runs_as() {
    let place = Place::new(Path::new("/m"), Path::new("/c"), Path::new("/s"), "").unwrap();
    let (drain, user) = (Duration::from_secs(30), Some((1000, 100)));
    let file = ComposeFile {
        place: &place,
        image: "m",
        port: 1,
        sse_port: None,
        drain,
        user,
        built_in: &[],
    };
    assert!(file.text().contains("\n    user: \"1000:100\"\n"), "{}", file.text());
    assert!(!text("/c", "", None).contains("user:"));
}

#[test]
fn the_container_is_checked_restarted_and_reached_from_this_machine_only() {
    let expected = "\
# Made by `mainstay service show compose`.
services:
  mainstay:
    image: \"mainstay:1\"
    entrypoint: [\"/usr/local/bin/mainstay\"]
    command: [\"up\", \"--config\", \"/etc/mainstay/mainstay.toml\", \"--state\", \
                    \"/var/lib/mainstay\", \"--listen\", \"0.0.0.0:8000\"]
    restart: unless-stopped
    stop_grace_period: 60s
    ports:
      - \"127.0.0.1:8000:8000\"
    volumes:
      - type: bind
        source: \"/home/me/mainstay.toml\"
        target: /etc/mainstay/mainstay.toml
        read_only: true
      - type: volume
        source: mainstay-state
        target: /var/lib/mainstay
    # Servers on this machine are at host.docker.internal.
    extra_hosts: [\"host.docker.internal:host-gateway\"]
    healthcheck:
      test: [\"CMD\", \"/usr/local/bin/mainstay\", \"status\", \"--healthy\", \"--state\", \
                    \"/var/lib/mainstay\"]
      interval: 30s
      timeout: 10s
      retries: 3
volumes:
  mainstay-state:
";
    assert_eq!(text("/home/me/mainstay.toml", "", None), expected);
}

#[test]
fn variables_and_a_port_of_its_own_are_passed_on() {
    let text = text("/a $b: \"c\"/m.toml", "x = \"${KEY}${OTHER:-1}${HOME}\"", Some(8001));
    let expected = "
    ports:
      - \"127.0.0.1:8000:8000\"
      - \"127.0.0.1:8001:8001\"
    # Values come from the shell or from an `.env` file beside this one.
    environment:
      - \"KEY\"
      - \"OTHER\"
      - \"MAINSTAY__GATEWAY__SSE_LISTEN=0.0.0.0:8001\"
    volumes:
      - type: bind
        source: \"/a $$b: \\\"c\\\"/m.toml\"
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_built_in_server_is_told_where_the_program_is_in_the_image() {
    let place = Place::new(Path::new("/m"), Path::new("/c"), Path::new("/s"), "").unwrap();
    let (drain, user) = (Duration::from_secs(30), None);
    let built_in = [("my-notes".to_owned(), "notes".to_owned())];
    let file = ComposeFile {
        place: &place,
        image: "m",
        port: 1,
        sse_port: None,
        drain,
        user,
        built_in: &built_in,
    };
    let expected = "\n    environment:\n      # The program has another path in the image.\n      \
                    - \"MAINSTAY__SERVERS__MY_NOTES__COMMAND=\
                    [\\\"/usr/local/bin/mainstay\\\",\\\"__demo\\\",\\\"notes\\\"]\"\n";
    assert!(file.text().contains(expected), "{}", file.text());
}
