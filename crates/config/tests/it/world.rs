//! A small world for a configuration to be loaded in: no process environment, no disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use mainstay_config::{
    ConfigFile, Disk, Flag, LoadRequest, Loaded, Origin, Problems, SecretFile, StateDir, load,
};
use mainstay_model::program_file::ProgramFault;

/// What a request is made of; the file is `/etc/mainstay/mainstay.toml`, shown by its name alone.
#[derive(Default)]
pub(crate) struct World {
    text: Option<String>,
    env: BTreeMap<String, String>,
    flags: Vec<Flag>,
    disk: FakeDisk,
}

/// A disk with a few things on it.
#[derive(Default, Clone)]
struct FakeDisk {
    secrets: BTreeMap<PathBuf, (String, bool)>,
}

pub(crate) fn file(text: &str) -> World {
    World { text: Some(text.to_owned()), ..World::default() }.env("PATH", "/usr/bin")
}

pub(crate) fn no_file() -> World {
    World::default()
}

// === impl World ===

impl World {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn flag(mut self, flag: &str, key: &str, value: &str) -> Self {
        self.flags.push(Flag { flag: flag.into(), key: key.into(), value: value.into() });
        self
    }

    pub(crate) fn secret(mut self, path: &str, text: &str, is_open_to_others: bool) -> Self {
        self.disk.secrets.insert(path.into(), (text.to_owned(), is_open_to_others));
        self
    }

    pub(crate) fn load(&self) -> Result<Loaded, Problems> {
        let state = StateDir { path: "/var/lib/mainstay".into(), origin: Origin::Default };
        let mut request = LoadRequest::new(state);
        request.file =
            self.text.clone().map(|text| ConfigFile { path: "mainstay.toml".into(), text });
        request.env.clone_from(&self.env);
        request.home = Some("/home/user".into());
        request.flags.clone_from(&self.flags);
        request.base = "/etc/mainstay".into();
        request.disk = Box::new(self.disk.clone());
        load(request)
    }

    /// What it loads to; fails the test with the problems otherwise.
    pub(crate) fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The problems it has, as somebody reads them.
    pub(crate) fn problems(&self) -> String {
        match self.load() {
            Ok(loaded) => panic!("it loads: {:?}", loaded.settings),
            Err(problems) => problems.to_string(),
        }
    }

    /// Fails unless there is exactly one problem, and it says this.
    #[track_caller]
    pub(crate) fn fails_with(&self, expected: &str) {
        let problems = self.problems();
        assert!(problems.contains(expected), "expected {expected:?} in\n{problems}");
        assert_eq!(problems.matches(": error: ").count(), 1, "{problems}");
    }
}

/// Programs that can't be run.
const SCRIPT: &str = "/opt/script";
const FOREIGN: &str = "/usr/bin/foreign";

// === impl FakeDisk ===

impl Disk for FakeDisk {
    fn is_program(&self, path: &Path) -> bool {
        ["/usr/bin/npx", "/usr/bin/uvx", "/opt/weather", SCRIPT, FOREIGN]
            .iter()
            .any(|known| Path::new(known) == path)
    }

    fn program_fault(&self, path: &Path, _: &str) -> Option<ProgramFault> {
        match path.to_str()? {
            SCRIPT => Some(ProgramFault::NoInterpreter),
            "/srv" => Some(ProgramFault::Folder),
            "/srv/plain" => Some(ProgramFault::NotExecutable),
            FOREIGN => Some(ProgramFault::OtherProcessor { name: Some("aarch64"), number: 183 }),
            _ => None,
        }
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.starts_with("/srv") || path.starts_with("/home/user")
    }

    fn secret(&self, path: &Path) -> io::Result<SecretFile> {
        let (text, is_open_to_others) =
            self.secrets.get(path).cloned().ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        Ok(SecretFile { text, is_open_to_others })
    }
}
