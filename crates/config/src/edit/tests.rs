use std::path::Path;

use super::{RemoveError, remove, taken};

fn removed(text: &str, name: &str) -> Result<String, RemoveError> {
    remove(Path::new("mainstay.toml"), text, name).map(|removed| removed.text)
}

#[test]
fn only_what_belongs_to_the_server_goes() {
    let before = "# All of it.\n\n[gateway] # here\nlisten = '127.0.0.1:1'\n\n\
                  # The first.\n[servers.a]\ncommand = ['a'] # one\n# env = {}\n\n\
                  [servers.a.pool]\nmax = 3\n\n\
                  # The second.\n[servers.b]\ncommand = ['b']\n\n\
                  # Far below.\n[servers.a.limits]\nfiles = 64\n\n\
                  [endpoints.g]\nservers = ['a', 'b'] # two\n\n\
                  [endpoints.h]\nservers = [\n  'b', # stays\n  'a', # goes\n]\n";
    let after = "# All of it.\n\n[gateway] # here\nlisten = '127.0.0.1:1'\n\n\
                 # The second.\n[servers.b]\ncommand = ['b']\n\n\
                 [endpoints.g]\nservers = ['b'] # two\n\n\
                 [endpoints.h]\nservers = [\n  'b', # stays\n]\n";
    assert_eq!(removed(before, "a").unwrap(), after);
    let crlf = before.replace('\n', "\r\n");
    assert_eq!(removed(&crlf, "a").unwrap(), after.replace('\n', "\r\n"));
}

#[test]
fn every_way_to_write_a_server_can_be_removed() {
    for (before, after) in [
        (
            "servers.a.url = 'http://a'\nservers.b.url = 'http://b'\n",
            "servers.b.url = 'http://b'\n",
        ),
        (
            "[servers]\na = { url = 'http://a' }\nb = { url = 'http://b' } # b\n",
            "[servers]\nb = { url = 'http://b' } # b\n",
        ),
        (
            "[servers]\na.url = 'http://a'\n# about b\nb.url = 'http://b'\n",
            "[servers]\n# about b\nb.url = 'http://b'\n",
        ),
        (
            "[servers.b]\nurl = 'http://b'\n[servers.a]\nurl = 'http://a'\nenv.X = '1'",
            "[servers.b]\nurl = 'http://b'\n",
        ),
        (
            "[servers.a]\nurl = 'http://a'\n[servers.a.tools.'x*']\nretry = true\n[servers.b]\nurl = 'http://b'\n[servers.a.tools.y]\n",
            "[servers.b]\nurl = 'http://b'\n",
        ),
        (
            "servers.a.url = 'http://a'\r\nservers.b.url = 'http://b'\r\n",
            "servers.b.url = 'http://b'\r\n",
        ),
        (
            "# top\n[servers.a]\nurl = 'http://a'\n\n# about b\n[servers.b]\nurl = 'http://b'\n",
            "# top\n\n# about b\n[servers.b]\nurl = 'http://b'\n",
        ),
        (
            "[servers.a]\nurl = 'http://a'\n# about b\n[servers.b]\nurl = 'http://b'\n",
            "# about b\n[servers.b]\nurl = 'http://b'\n",
        ),
    ] {
        assert_eq!(removed(before, "a").unwrap(), after, "{before}");
    }
}

#[test]
fn what_is_needed_stays_and_the_place_is_named() {
    let text = "[servers.a]\nurl = 'http://a'\n\n[servers.b]\nurl = 'http://b'\nneeds = ['server:a']\n\n\
                [endpoints.g]\nservers = ['b']\n";
    for (name, says) in [
        ("a", "`a` is needed by server `b` (line 6)"),
        ("b", "group `g` (line 8) has no other server"),
        ("c", "nothing in the configuration is called `c`"),
    ] {
        assert_eq!(removed(text, name).unwrap_err().to_string(), says);
    }
    assert!(!removed(text, "g").unwrap().contains("endpoints"));
}

#[test]
fn secrets_that_nothing_names_any_more_are_told() {
    let text = "[servers.a]\ncommand = ['a']\nenv = { A = 'secret:file:s/a', B = 'secret:file:s/b' }\n\
                [servers.b]\ncommand = ['b']\nenv = { B = 'secret:file:s/b' }\n";
    let removed = remove(Path::new("x"), text, "a").unwrap();
    assert_eq!(removed.secrets, ["s/a"]);
}

#[test]
fn names_are_shared_by_all_tables() {
    let text = "[servers.a]\n[endpoints.b]\n[volumes.c]\npath = '/x'\n[externals.d]\n";
    for (name, kind) in [
        ("a", Some("server")),
        ("b", Some("group")),
        ("c", Some("volume")),
        ("d", Some("external")),
        ("e", None),
    ] {
        assert_eq!(taken(Path::new("x"), text, name).unwrap(), kind);
    }
}

#[test]
fn notifications_no_longer_name_what_is_removed() {
    let all = "[servers.b]\nurl = 'http://b'\n\n[[notify]]\nurl = 'http://hook'\n\n\
               [[notify]]\nurl = 'http://hook'\nservers = ['a', 'b'] # both\n";
    let before = format!("[servers.a]\nurl = 'http://a'\n\n{all}");
    let after = all.replace("['a', 'b']", "['b']");
    let without = remove(Path::new("mainstay.toml"), &before, "a").unwrap();
    assert_eq!((without.text, &*without.notifications), (after, &["notify.2".to_owned()][..]));
    assert!(without.groups.is_empty());
    let inline = "notify = [{ url = 'http://hook', servers = ['b', 'a', 'a'] }]\n\
                  [servers]\na.url = 'http://a'\nb.url = 'http://b'\n";
    let after =
        "notify = [{ url = 'http://hook', servers = ['b'] }]\n[servers]\nb.url = 'http://b'\n";
    assert_eq!(removed(inline, "a").unwrap(), after);
    let only = before.replace("'a', 'b'", "'a'");
    let refused = removed(&only, "a").unwrap_err();
    assert_eq!(refused.to_string(), "`[[notify]]` (line 10) names no other server");
}

#[test]
fn services_volumes_and_externals_are_removed_unless_something_needs_them() {
    let rest = "[servers.a]\nurl = 'http://a'\nneeds = ['service:b']\n\n\
                [services.b]\ncommand = ['b']\nneeds = ['volume:d', 'external:e']\n\n\
                [[notify]]\nurl = 'http://hook'\nservers = ['a'] # told\n";
    let text = format!(
        "{rest}\n[services.c]\ncommand = ['c']\n[services.c.probe]\ntcp = 'c:1'\n\n\
         [volumes.d]\npath = '/d'\n\n[externals.e]\ntcp = 'e:1'\n"
    );
    for (name, says) in [
        ("b", "`b` is needed by server `a` (line 3)"),
        ("d", "`d` is needed by service `b` (line 7)"),
        ("e", "`e` is needed by service `b` (line 7)"),
    ] {
        assert_eq!(removed(&text, name).unwrap_err().to_string(), says);
    }
    let without = removed(&text, "c").unwrap();
    assert!(!without.contains("'c"), "{without}");
    let free = without.replace("\nneeds = ['volume:d', 'external:e']", "");
    let without = removed(&removed(&free, "d").unwrap(), "e").unwrap();
    assert_eq!(
        without.trim_end(),
        rest.replace("\nneeds = ['volume:d', 'external:e']", "").trim_end()
    );
    let told = text.replace("servers = ['a']", "servers = ['a', 'c']");
    let without = remove(Path::new("x"), &told, "c").unwrap();
    assert_eq!((without.kind, &*without.notifications), ("service", &["notify.1".to_owned()][..]));
    assert!(without.text.contains("servers = ['a'] # told"), "{}", without.text);
}

#[test]
fn what_a_check_is_about_stays() {
    let text = "[servers.a]\ncommand = ['a']\n[externals.b]\ntcp = 'h:1'\n\n[[checks]]\nserver = 'a'\n\
                tool = 't'\n\n[[checks]]\nof = 'b'\ntcp = 'h:1'\n";
    for (name, line) in [("a", 6), ("b", 10)] {
        let error = removed(text, name).unwrap_err().to_string();
        assert_eq!(error, format!("the check in line {line} is about `{name}`"));
    }
}
