//! Loads settings from text.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mainstay_model::program_file::ProgramFault;
use mainstay_model::settings::{ProbeCheck, ProbeSpec, RemoteSpec, Runtime, Settings};

use crate::assemble::assemble;
use crate::check::{Machine, check};
use crate::disk::{Disk, NoDisk, SecretFile};
use crate::document::{Node, SyntaxError, parse_file};
use crate::layers::{Flag, lay_environment, lay_flags};
use crate::notes::Notes;
use crate::origin::{Origin, Origins};
use crate::problem::{Place, Problem, Problems, Severity};
use crate::read::Reader;
use crate::source::Source;
use crate::syntax;
use crate::units::format_duration;

/// All sources of settings. May hold secrets, so it has no `Debug`.
pub struct LoadRequest {
    pub file: Option<ConfigFile>,
    /// The environment: for `MAINSTAY__` variables, `${VAR}`, `secret:env:` references and `PATH`.
    pub env: BTreeMap<String, String>,
    /// The folder that `~` means.
    pub home: Option<PathBuf>,
    pub flags: Vec<Flag>,
    pub state: StateDir,
    /// Relative paths count from here: the folder of the file, in full.
    pub base: PathBuf,
    pub disk: Box<dyn Disk>,
}

/// A configuration file that has been read.
pub struct ConfigFile {
    /// The path for messages.
    pub path: PathBuf,
    pub text: String,
}

/// The state folder, which is chosen before any file is read, and the origin of the choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    pub path: PathBuf,
    pub origin: Origin,
}

/// Valid settings, with the origin of each value.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub settings: Settings,
    pub origins: Origins,
    pub warnings: Vec<Problem>,
    /// The file that was read; none: there is none, and defaults hold.
    pub file: Option<PathBuf>,
    /// The files with secrets that the configuration refers to, whether they could be read or not.
    pub secret_files: BTreeSet<PathBuf>,
}

/// Loads settings from a file, the environment and the flags. Later sources override earlier ones.
///
/// Without a file, settings are the defaults, without servers.
///
/// # Errors
///
/// All problems at once, warnings included. When the text is not TOML, only syntax errors and
/// problems before them are reported.
pub fn load(mut request: LoadRequest) -> Result<Loaded, Problems> {
    let files = Rc::new(RefCell::default());
    let disk = std::mem::replace(&mut request.disk, Box::new(NoDisk));
    request.disk = Box::new(Noting { disk, files: files.clone() });
    let (mut tree, errors) = match &request.file {
        Some(file) => parse_file(&file.text),
        None => (Node::empty_table(), Vec::new()),
    };
    let mut source = request.file.as_ref().map(|file| Source::new(&file.path, &file.text, &tree));
    if let (Some(first), Some(source)) =
        (errors.iter().map(|error| error.span.start).min(), &mut source)
    {
        return Err(broken(&request, &tree, &errors, first, source));
    }

    let mut notes = Notes::default();
    lay_environment(&mut tree, &request.env, &mut notes);
    lay_flags(&mut tree, &request.flags, &mut notes);
    let mut reader = request.reader(notes);
    let root = reader.read(&tree);
    let Reader { mut notes, written, .. } = reader;
    let env_path = request.env.get("PATH").map(String::as_str);
    check(&root, Machine { env_path, disk: &*request.disk }, &mut notes);

    let settings = assemble(&root, &request.env, request.state.path.clone());
    let has_errors = notes.has_errors();
    let problems = notes.finish(source.as_ref());
    let Some(settings) = settings.filter(|_| !has_errors) else {
        debug_assert!(has_errors, "what can't be assembled must have been noted");
        return Err(Problems { problems });
    };
    let mut origins = Origins::new(written, source.as_ref());
    in_force(&settings, &mut origins);
    origins.push("state", request.state.path.to_string_lossy().into(), request.state.origin);
    let secret_files = files.borrow().clone();
    let file = request.file.map(|file| file.path);
    Ok(Loaded { settings, origins, warnings: problems, file, secret_files })
}

/// Notes which files with secrets are asked for.
struct Noting {
    disk: Box<dyn Disk>,
    files: Rc<RefCell<BTreeSet<PathBuf>>>,
}

impl Disk for Noting {
    fn is_program(&self, path: &Path) -> bool {
        self.disk.is_program(path)
    }

    fn program_fault(&self, path: &Path, folders: &str) -> Option<ProgramFault> {
        self.disk.program_fault(path, folders)
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.disk.is_folder(path)
    }

    fn secret(&self, path: &Path) -> io::Result<SecretFile> {
        self.files.borrow_mut().insert(path.to_owned());
        self.disk.secret(path)
    }
}

/// Corrects the values that follow from others: defaults that give way, and keys that mean nothing.
fn in_force(settings: &Settings, origins: &mut Origins) {
    let mut changes = BTreeMap::new();
    for server in &settings.servers {
        let path = format!("servers.{}", server.name);
        // The default of `min` gives way to a small `max`.
        changes.insert(format!("{path}.pool.min"), Some(server.pool.instances_min.into()));
        probe_in_force(&format!("{path}.probe"), server.probe.as_ref(), &mut changes);
        match &server.runtime {
            Runtime::Process(_) => {
                changes.insert(format!("{path}.http_proxy"), None);
            }
            Runtime::Remote(RemoteSpec { proxy, .. }) => {
                for key in ["restart", "stop_signal", "stop_timeout"] {
                    changes.insert(format!("{path}.{key}"), None);
                }
                if let Some(proxy) = proxy {
                    let origin = Origin::Environment { variable: proxy.variable.clone() };
                    origins.push(&format!("{path}.proxy"), proxy.url.clone().into(), origin);
                }
            }
        }
    }
    for service in &settings.services {
        let path = format!("services.{}", service.name);
        let restart = serde_json::to_value(service.restart).ok();
        changes.insert(format!("{path}.restart"), restart);
        probe_in_force(&format!("{path}.probe"), service.probe.as_ref(), &mut changes);
    }
    for external in &settings.externals {
        let path = format!("externals.{}", external.name);
        probe_in_force(&path, Some(&external.probe), &mut changes);
    }
    for check in &settings.checks {
        let others: &[&str] = match check.kind.word() {
            "call" => &["query"],
            "postgres" => &["args", "is_error"],
            _ => &["args", "is_error", "query"],
        };
        changes.extend(others.iter().map(|key| (format!("checks.{}.{key}", check.number), None)));
    }
    origins.change(&changes);
}

/// Takes out the keys of other checks, which have defaults.
fn probe_in_force(
    path: &str,
    probe: Option<&ProbeSpec>,
    changes: &mut BTreeMap<String, Option<serde_json::Value>>,
) {
    let Some(probe) = probe else { return };
    let is_tool = matches!(probe.check, ProbeCheck::Tool(_));
    if is_tool {
        let timeout = format_duration(probe.timeout);
        changes.insert(format!("{path}.timeout"), Some(timeout.into()));
    } else {
        changes.insert(format!("{path}.args"), None);
    }
    if !matches!(probe.check, ProbeCheck::Postgres(_)) {
        changes.insert(format!("{path}.query"), None);
    }
}

/// The problems of a text that is no TOML, with those found before the first syntax error. After it
/// a key may have lost its table, so later problems would be misleading.
fn broken(
    request: &LoadRequest,
    tree: &Node,
    errors: &[SyntaxError],
    first: usize,
    source: &mut Source<'_>,
) -> Problems {
    let mut reader = request.reader(Notes::default());
    reader.read(tree);
    let mut notes = reader.notes;
    let first_line = source.line_number(first);
    notes.keep_before(source.line_start(first_line));

    source.mark_broken();
    let file = request.file.as_ref().map_or("", |file| &*file.text);
    syntax::tell(file, errors, source, &mut notes);
    Problems { problems: notes.finish(Some(source)) }
}

// === impl Loaded ===

impl Loaded {
    /// Why a daemon would have nothing to do. None if there is a server or a service.
    pub fn no_server(&self) -> Option<Problem> {
        if !self.settings.servers.is_empty() || !self.settings.services.is_empty() {
            return None;
        }
        let (place, from) = match &self.file {
            Some(file) => {
                let from = format!("{} has no [servers.NAME]", file.display());
                (Place::File { file: file.clone() }, from)
            }
            None => (Place::Settings, "no configuration file was found".to_owned()),
        };
        Some(Problem {
            severity: Severity::Error,
            place,
            key: "servers".to_owned(),
            message: format!("no server is configured: {from}"),
            help: Some(
                "add one with `mainstay add NAME -- COMMAND`, or write a starter file with `mainstay init`"
                    .to_owned(),
            ),
        })
    }
}

// === impl LoadRequest ===

impl LoadRequest {
    /// A request for the defaults, on a disk where nothing is missing.
    pub fn new(state: StateDir) -> Self {
        Self {
            file: None,
            env: BTreeMap::new(),
            home: None,
            flags: Vec::new(),
            state,
            base: PathBuf::from("/"),
            disk: Box::new(NoDisk),
        }
    }

    fn reader(&self, notes: Notes) -> Reader<'_> {
        let home: Option<&Path> = self.home.as_deref();
        Reader {
            env: &self.env,
            home,
            base: &self.base,
            disk: &*self.disk,
            notes,
            written: Vec::new(),
            lacks: None,
        }
    }
}
