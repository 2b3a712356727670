//! What the files of a crate take from each other, and the types they define.
//!
//! Files are read as tokens, so that comments and strings don't count. Tests are left out. What is
//! not seen: fields and methods that are used without naming the module they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::sources;

mod file;
mod token;
mod tree;

#[cfg(test)]
pub(crate) mod tests;

/// A module's path within its crate: `call::route` is `["call", "route"]`, the root is empty.
pub(crate) type Module = Vec<String>;

/// Re-exports of re-exports that are followed before a path is given up.
const HOPS_MAX: usize = 8;

/// The sources of one crate, without its tests.
#[derive(Debug, Default)]
pub(crate) struct Code {
    files: Vec<File>,
    /// Which file holds a module, the modules inside files included.
    modules: BTreeMap<Module, usize>,
}

#[derive(Debug)]
struct File {
    /// Below the repository's root, as it is shown.
    path: PathBuf,
    module: Module,
    read: file::Read,
}

/// One file that names something of another, at its first such line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Use {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) line: usize,
}

// === impl Code ===

impl Code {
    /// Reads `src` of a crate. Programs in `src/bin` are crates of their own and not looked at.
    pub(crate) fn read(root: &Path, folder: &Path) -> anyhow::Result<Self> {
        let source = folder.join("src");
        let mut texts = Vec::new();
        for path in sources::rust_files(&source)? {
            let inside = path.strip_prefix(&source)?;
            if !inside.starts_with("bin") {
                let shown = path.strip_prefix(root).unwrap_or(&path).to_owned();
                texts.push((shown, module_of(inside), sources::read(&path)?));
            }
        }
        Self::of(texts)
    }

    fn of(texts: Vec<(PathBuf, Module, String)>) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for (path, module, text) in texts {
            let read = file::read(&module, &text)
                .with_context(|| format!("{} is not read", path.display()))?;
            files.push(File { path, module, read });
        }
        let tests: BTreeSet<Module> =
            files.iter().flat_map(|file| file.read.test_modules.iter().cloned()).collect();
        files.retain(|file| {
            let above = (1..=file.module.len()).map(|end| &file.module[..end]);
            !file.read.is_test && !above.into_iter().any(|module| tests.contains(module))
        });
        let mut modules = BTreeMap::new();
        for (at, file) in files.iter().enumerate() {
            modules.insert(file.module.clone(), at);
            modules.extend(file.read.modules_inside.iter().map(|inside| (inside.clone(), at)));
        }
        Ok(Self { files, modules })
    }

    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn path(&self, file: usize) -> &Path {
        &self.files[file].path
    }

    pub(crate) fn module(&self, file: usize) -> &[String] {
        &self.files[file].module
    }

    /// Which file takes from which, each pair once, in order.
    pub(crate) fn uses(&self) -> Vec<Use> {
        let mut found: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (from, file) in self.files.iter().enumerate() {
            for named in &file.read.named {
                let Some(to) = self.owner(&named.within, &named.path) else { continue };
                if to != from {
                    let line = found.entry((from, to)).or_insert(named.line);
                    *line = named.line.min(*line);
                }
            }
        }
        found.into_iter().map(|((from, to), line)| Use { from, to, line }).collect()
    }

    /// The types that others can name: each with its file and line, by name.
    pub(crate) fn types(&self) -> BTreeMap<&str, Vec<(usize, usize)>> {
        let mut found: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
        for (at, file) in self.files.iter().enumerate() {
            for (name, line) in &file.read.types {
                found.entry(name).or_default().push((at, *line));
            }
        }
        found
    }

    /// The file that owns what a path names, as it is written in a module.
    fn owner(&self, within: &Module, path: &[String]) -> Option<usize> {
        let absolute = self.absolute(within, path)?;
        self.follow(&absolute, HOPS_MAX)
    }

    /// A path from the crate's root, if it leads to something of this crate.
    fn absolute(&self, within: &Module, path: &[String]) -> Option<Module> {
        let mut at = within.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                at.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {}
            first => {
                at.push(first.to_owned());
                if self.modules.contains_key(&at) {
                    at.pop();
                } else {
                    // What the module has imported under this name.
                    at.pop();
                    let bound = self.bound(&at, first)?;
                    let through = self.absolute_of_import(&at, bound)?;
                    return Some([through.as_slice(), &path[1..]].concat());
                }
            }
        }
        while let Some(("super", below)) = rest.split_first().map(|(a, b)| (a.as_str(), b)) {
            at.pop()?;
            rest = below;
        }
        at.extend_from_slice(rest);
        Some(at)
    }

    /// An import names itself when it is of another crate: it is not looked up once more.
    fn absolute_of_import(&self, within: &Module, bound: &[String]) -> Option<Module> {
        let first = bound.first()?.as_str();
        let child = [within.as_slice(), &[first.to_owned()]].concat();
        let known =
            matches!(first, "crate" | "self" | "super") || self.modules.contains_key(&child);
        known.then(|| self.absolute(within, bound)).flatten()
    }

    fn bound(&self, module: &Module, name: &str) -> Option<&[String]> {
        let file = &self.files[*self.modules.get(module)?];
        file.read.imports.get(&(module.clone(), name.to_owned())).map(Vec::as_slice)
    }

    /// Goes down a path from the root, through what modules import and hand on.
    fn follow(&self, path: &[String], hops: usize) -> Option<usize> {
        let mut module = Module::new();
        for (at, name) in path.iter().enumerate() {
            module.push(name.clone());
            if self.modules.contains_key(&module) {
                continue;
            }
            module.pop();
            let Some(bound) = self.bound(&module, name) else { break };
            let through = self.absolute_of_import(&module, bound).filter(|_| hops > 0)?;
            let onward = [through.as_slice(), &path[at + 1..]].concat();
            return self.follow(&onward, hops - 1);
        }
        self.modules.get(&module).copied()
    }
}

/// `call/route.rs` is `call::route`; `lib.rs` and `main.rs` are the root.
fn module_of(inside: &Path) -> Module {
    let path = inside.with_extension("");
    let parts = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let module: Module = parts.collect();
    if matches!(module.as_slice(), [root] if root == "lib" || root == "main") {
        return Module::new();
    }
    module
}
