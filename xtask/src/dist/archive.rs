//! The archive that `install.sh` takes: program, completions, unit and licences.

use std::fs;
use std::path::Path;

use super::pack;
use super::program::Program;

/// The shells, with the names that they look for.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "mainstay.bash"), ("zsh", "_mainstay"), ("fish", "mainstay.fish")];

/// Files of the repository that are packed as they are.
const FILES: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "packaging/mainstay.service"];

/// What goes into one archive.
pub(super) struct Archive<'a> {
    pub(super) program: &'a Program,
    /// The repository.
    pub(super) root: &'a Path,
    /// The licences of everything that is linked into the program.
    pub(super) licences: &'a str,
    pub(super) time: u64,
}

// === impl Archive ===

impl Archive<'_> {
    /// Writes the archive and its checksum into the folder and returns the name of the archive.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<String> {
        let name = self.program.name();
        let inside = folder.join(&name);
        pack::make_folder(&inside, 0o755)?;
        pack::put(&inside.join("mainstay"), 0o755, &fs::read(&self.program.file)?)?;
        for (shell, file) in COMPLETIONS {
            let script = self.program.says(&["completions", shell])?;
            pack::put(&inside.join("completions").join(file), 0o644, script.as_bytes())?;
        }
        for file in FILES {
            let own = file.rsplit('/').next().unwrap_or(file);
            pack::put(&inside.join(own), 0o644, &fs::read(self.root.join(file))?)?;
        }
        pack::put(&inside.join("THIRD-PARTY-LICENSES"), 0o644, self.licences.as_bytes())?;
        let file = format!("{name}.tar.gz");
        pack::tar(&folder.join(&file), folder, &[&name], self.time)?;
        fs::remove_dir_all(inside)?;
        pack::write_checksum(folder, &file)?;
        Ok(file)
    }
}
