#![expect(clippy::disallowed_methods, reason = "tests may block")]

use std::fs;
use std::path::Path;

use mainstay_config::packages::PackageCommand;
use mainstay_model::Name;
use mainstay_model::settings::{GatewaySettings, ProcessSpec, Runtime, ServerSpec, Settings};

use super::record::{Digests, Fetched, Record};
use super::{FOLDER, folder_of, take_fetched};

fn run(words: &[&str]) -> PackageCommand {
    let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
    PackageCommand::parse(&words).unwrap().unwrap()
}

fn digests(name: &str, version: &str, digests: &[&str]) -> Digests {
    Digests {
        name: name.to_owned(),
        version: version.to_owned(),
        digests: digests.iter().map(|&digest| digest.to_owned()).collect(),
    }
}

fn fetched(folder: &str, package: Digests, program: &str) -> Fetched {
    Fetched {
        folder: folder.to_owned(),
        registry: "npm".to_owned(),
        packages: vec![package],
        program: Some(program.to_owned()),
        at: "2026-01-01T00:00:00Z".to_owned(),
    }
}

fn server(name: &str, command: &[&str]) -> ServerSpec {
    let command = command.iter().map(|&word| word.to_owned()).collect();
    let process = ProcessSpec { command, ..ProcessSpec::default() };
    ServerSpec::new(Name::try_new(name).unwrap(), Runtime::Process(process))
}

#[test]
fn a_folder_is_for_one_thing() {
    let folder = folder_of(&run(&["npx", "@x/y@1.0.0"])).unwrap();
    assert!(folder.starts_with("npm-x_y-1.0.0-") && folder.len() == "npm-x_y-1.0.0-".len() + 8);
    assert_eq!(folder_of(&run(&["npx", "-y", "@x/y@1.0.0", "--other"])).unwrap(), folder);
    assert_eq!(folder_of(&run(&["npx", "@x/y"])), None);
    for other in [
        &["npx", "@x/y@1.0.1"][..],
        &["npx", "-p", "@x/y@1.0.0", "-p", "z@1.0.0", "y"],
        &["npx", "--registry=http://r/", "@x/y@1.0.0"],
    ] {
        assert_ne!(folder_of(&run(other)).unwrap(), folder, "{other:?}");
    }
}

#[test]
fn the_same_version_stays_the_same() {
    let mut record = Record::default();
    record.put(fetched("a", digests("y", "1.0.0", &["sha512-a", "sha512-b"]), "y"));
    for (now, is_same) in [
        (digests("y", "1.0.0", &["sha512-a", "sha512-b"]), true),
        (digests("y", "1.0.0", &["sha512-a", "sha512-b", "sha512-c"]), true),
        (digests("y", "1.0.0", &["sha512-a", "sha512-c"]), false),
        (digests("y", "1.0.1", &["sha512-c"]), true),
        (digests("z", "1.0.0", &["sha512-c"]), true),
    ] {
        assert_eq!(record.compare("npm", &now).is_ok(), is_same, "{now:?}");
        assert!(record.compare("pypi", &now).is_ok(), "{now:?}");
    }
    let error = record.compare("npm", &digests("y", "1.0.0", &["sha512-c"])).unwrap_err();
    let says = "y 1.0.0 is not what it was: sha512-a, sha512-b was recorded, and the registry has \
                sha512-c; if that is meant, take its entry out of packages.json in the state folder \
                and fetch again";
    assert_eq!(error.to_string(), says);
}

#[test]
fn a_record_survives_the_disk_and_a_later_one_is_left_alone() {
    let state = tempfile::tempdir().unwrap();
    assert_eq!(Record::load(state.path()).unwrap(), Record::default());
    let mut record = Record::default();
    record.put(fetched("a", digests("y", "1.0.0", &["sha512-a"]), "y"));
    record.put(fetched("a", digests("y", "1.0.0", &["sha512-b"]), "y"));
    record.save(state.path()).unwrap();
    assert_eq!(Record::load(state.path()).unwrap(), record);
    assert!(record.compare("npm", &digests("y", "1.0.0", &["sha512-b"])).is_ok());
    for (text, why) in [
        (
            r#"{"version": 2, "all": []}"#,
            "has format 2, and this version of Mainstay reads formats up to 1",
        ),
        ("{", "is not a record of packages"),
    ] {
        fs::write(state.path().join("packages.json"), text).unwrap();
        let error = Record::load(state.path()).unwrap_err().to_string();
        assert!(error.contains("packages.json") && error.contains(why), "{error}");
    }
}

#[test]
fn servers_start_from_what_was_fetched_or_get_the_time_to_fetch() {
    let state = tempfile::tempdir().unwrap();
    let command = ["npx", "-y", "@x/y@1.0.0", "--flag"];
    let folder = folder_of(&run(&command)).unwrap();
    let bin = state.path().join(FOLDER).join(&folder).join("node_modules/.bin");
    let mut record = Record::default();
    record.put(fetched(&folder, digests("@x/y", "1.0.0", &["sha512-a"]), "why"));
    record.save(state.path()).unwrap();
    let settings = || {
        let mut settings = Settings {
            notify: Vec::new(),
            gateway: GatewaySettings::default(),
            servers: vec![
                server("there", &command),
                server("open", &["npx", "-y", "@x/y"]),
                server("unclear", &["npx", "-c", "y"]),
                server("plain", &["node", "y.js"]),
            ],
            endpoints: Vec::new(),
            services: Vec::new(),
            volumes: Vec::new(),
            externals: Vec::new(),
            checks: Vec::new(),
            state_dir: state.path().to_owned(),
        };
        take_fetched(&mut settings);
        let of = |spec: &ServerSpec| match &spec.runtime {
            Runtime::Process(process) => (process.command.clone(), spec.start_deadline.as_secs()),
            Runtime::Remote(_) => unreachable!("all are commands"),
        };
        settings.servers.iter().map(of).collect::<Vec<_>>()
    };
    // In the record, and missing on the disk.
    assert_eq!(settings()[0], (command.map(str::to_owned).to_vec(), 300));
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("why"), "").unwrap();
    let found = settings();
    let program = bin.join("why").to_str().unwrap().to_owned();
    assert_eq!(found[0], (vec![program, "--flag".to_owned()], 120));
    assert_eq!(found.iter().map(|(_, seconds)| *seconds).collect::<Vec<_>>(), [120, 300, 300, 120]);
}

#[test]
fn a_record_of_the_first_version_is_read() {
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/states/before-formats");
    let record = Record::load(&state).unwrap();
    let fetched = record.find("npm-echo-server-1.0.0-00000000").unwrap();
    assert_eq!(fetched.packages, [digests("echo-server", "1.0.0", &["sha512:AAAA"])]);
}
