use std::path::Path;

use super::{Target, Way, Wrong};

fn show(target: Result<Target, Wrong>) -> String {
    match target {
        Ok(Target { way: Way::Socket(socket), path, .. }) => {
            format!("{} {path}", socket.display())
        }
        Ok(Target { way: Way::Tcp { host, port, trust }, path, host: header, .. }) => {
            let scheme = if trust.is_some() { "tls" } else { "tcp" };
            format!("{scheme} {host} {port} {path} {}", header.to_str().unwrap())
        }
        Err(Wrong::Name(_)) => "name".to_owned(),
        Err(Wrong::Url(_)) => "url".to_owned(),
        Err(Wrong::Twice { .. }) => "twice".to_owned(),
        Err(Wrong::NeedlessCertificates(_)) => "needless".to_owned(),
        Err(Wrong::Trust(_)) => "trust".to_owned(),
    }
}

#[test]
fn endpoints_of_a_state_folder() {
    for (name, expected) in [
        (None, "/s/control.sock /mcp"),
        (Some("time"), "/s/control.sock /mcp/time"),
        (Some("../x"), "name"),
        (Some(""), "name"),
    ] {
        assert_eq!(show(Target::of_state(Path::new("/s"), name)), expected, "{name:?}");
    }
}

#[test]
fn endpoints_at_a_url() {
    for (url, name, expected) in [
        ("http://h:8000", None, "tcp h 8000 /mcp h:8000"),
        ("http://h:8000/", Some("time"), "tcp h 8000 /mcp/time h:8000"),
        ("http://h/mcp", None, "tcp h 80 /mcp h"),
        ("http://h/mcp/", Some("time"), "tcp h 80 /mcp/time h"),
        ("https://h/dev/mcp/time", None, "tls h 443 /dev/mcp/time h"),
        ("http://[::1]:9/mcp?x=1", None, "tcp ::1 9 /mcp?x=1 [::1]:9"),
        ("http://h/mcp/time", Some("time"), "twice"),
        ("http://h", Some("no name"), "name"),
        ("http://user:word@h", None, "url"),
        ("h:8000", None, "url"),
        ("ftp://h", None, "url"),
        ("/mcp", None, "url"),
        ("http://", None, "url"),
        ("", None, "url"),
    ] {
        assert_eq!(show(Target::of_url(url, name, None)), expected, "{url} {name:?}");
    }
}

#[test]
fn certificates_must_be_there_and_wanted() {
    let none = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    for (url, ca, expected) in [
        ("https://h", none, "trust"),
        ("https://h", Path::new("/nowhere/ca.pem"), "trust"),
        ("http://h", none, "needless"),
    ] {
        assert_eq!(show(Target::of_url(url, None, Some(ca))), expected, "{url} {ca:?}");
    }
}
