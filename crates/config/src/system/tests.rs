#![expect(clippy::disallowed_methods, reason = "tests may block")]

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn configuration_is_looked_for_near_first() {
    for (variables, home, expected) in [
        (
            &[][..],
            Some("/home/u"),
            "mainstay.toml /home/u/.config/mainstay/mainstay.toml /etc/mainstay/mainstay.toml",
        ),
        (
            &[("XDG_CONFIG_HOME", "/c")][..],
            Some("/home/u"),
            "mainstay.toml /c/mainstay/mainstay.toml /etc/mainstay/mainstay.toml",
        ),
        (&[("XDG_CONFIG_HOME", "relative")][..], None, "mainstay.toml /etc/mainstay/mainstay.toml"),
    ] {
        let env = env(variables);
        let caller = Caller { env: &env, home: home.map(Path::new), is_root: false };
        let found: Vec<_> =
            caller.config_candidates().iter().map(|path| path.display().to_string()).collect();
        assert_eq!(found.join(" "), expected);
    }
}

#[test]
fn the_state_folder_is_chosen_by_flag_variable_and_user() {
    let named = &[("MAINSTAY_STATE", "/env"), ("XDG_STATE_HOME", "/x")][..];
    for (flag, variables, home, is_root, expected) in [
        (Some("/flag"), named, Some("/home/u"), false, Some(("/flag", "flag --state"))),
        (None, named, Some("/home/u"), true, Some(("/env", "env MAINSTAY_STATE"))),
        (None, &named[1..], Some("/home/u"), true, Some(("/var/lib/mainstay", "default"))),
        (None, &named[1..], None, false, Some(("/x/mainstay", "default"))),
        (None, &[][..], Some("/home/u"), false, Some(("/home/u/.local/state/mainstay", "default"))),
        (None, &[][..], None, false, None),
    ] {
        let env = env(variables);
        let caller = Caller { env: &env, home: home.map(Path::new), is_root };
        let found = caller.state_dir(flag.map(Path::new)).ok();
        let shown = found.map(|state| (state.path.display().to_string(), state.origin.to_string()));
        assert_eq!(shown, expected.map(|(path, origin)| (path.to_owned(), origin.to_owned())));
    }
}

#[test]
fn a_missing_file_is_an_error_only_when_it_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let request = |config: Option<PathBuf>| Request {
        config,
        state: Some(folder.path().to_owned()),
        flags: vec![],
    };
    let problems = from_system(request(Some(missing.clone()))).unwrap_err();
    assert_eq!(problems.problems[0].place, Place::File { file: missing });

    let file = folder.path().join("mainstay.toml");
    std::fs::write(&file, "[gateway]\nlisten = '127.0.0.1:0'\n").unwrap();
    let loaded = from_system(request(Some(file.clone()))).unwrap();
    assert_eq!(loaded.settings.gateway.listen.port(), 0);
    assert_eq!(loaded.settings.state_dir, folder.path());
    assert_eq!(loaded.file, Some(file));
}

#[test]
fn a_file_that_is_there_is_never_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("second"), "# second").unwrap();
    std::fs::write(path("third"), "# third").unwrap();
    let first = |names: [&str; 3]| {
        first_config(&names.map(path), read_text).map(|file| file.map(|file| file.text))
    };

    assert_eq!(first(["none", "second", "third"]), Ok(Some("# second".to_owned())));
    assert_eq!(first(["none", "second/below", "also-none"]), Ok(None));
    // A folder can't be read as a file, even by root.
    std::fs::create_dir(path("folder")).unwrap();
    assert!(first(["none", "folder", "third"]).is_err());
}

#[test]
fn a_file_of_another_kind_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, reason) in [
        ("large", vec![b'#'; FILE_BYTES_MAX as usize + 1], "larger than"),
        ("binary", b"# \xff\xfe".to_vec(), "not UTF-8 from line 1, column 3"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let text = read_config(&file, read_text).err().expect("it can't be read").to_string();
        assert!(text.contains(reason), "{text}");
    }
}
