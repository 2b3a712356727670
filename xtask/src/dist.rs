//! What users get: a static program in an archive with its checksum, `install.sh`, and a container image.
//!
//! The same sources, compiler and certificates give the same bytes: paths of this machine are not in the program,
//! and files bear the time of the commit, or that in `SOURCE_DATE_EPOCH`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use self::archive::Archive;
use self::image::Image;
use self::program::Program;

mod archive;
mod elf;
mod image;
mod licences;
mod pack;
mod program;

#[cfg(test)]
mod tests;

/// The results of a run.
pub(crate) struct Dist {
    /// Has everything below.
    pub(crate) folder: PathBuf,
    /// What was built, where, and what to do with it.
    pub(crate) told: String,
}

/// Builds everything into the folder `dist-files` of the target folder.
///
/// # Errors
/// When a step fails, and when the program would need a library at run time.
pub(crate) fn run(root: &Path) -> anyhow::Result<Dist> {
    let target = target_folder(root);
    let program = Program::build(root, &target)?;
    let licences = licences::of_dependencies(root, &program)?;
    let folder = target.join("dist-files");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let time = pack::time(root)?;
    let archive = Archive { program: &program, root, licences: &licences, time }.write(&folder)?;
    let image = Image { program: &program, time }.write(&folder)?;
    fs::copy(root.join("packaging/install.sh"), folder.join("install.sh"))?;
    let told = told(&folder, &program, [&archive, &image])?;
    Ok(Dist { folder, told })
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root.join(named.unwrap_or_else(|| "target".into()))
}

/// The sizes of all files, and the commands that use them.
fn told(folder: &Path, program: &Program, files: [&str; 2]) -> anyhow::Result<String> {
    let mut lines = vec![format!("in {}:", folder.display())];
    for file in files {
        lines.push(format!("  {file}  {}", size(&folder.join(file))?));
        lines.push(format!("  {file}.sha256"));
    }
    lines.push("  install.sh".to_owned());
    lines.push(format!("the program is linked statically and has {}", size(&program.file)?));
    let [archive, image] = files;
    let folder = folder.display();
    lines.push(format!("to install it:      sh {folder}/install.sh {folder}/{archive}"));
    lines.push(format!("to have the image:  docker load --input {folder}/{image}"));
    Ok(lines.join("\n"))
}

fn size(file: &Path) -> anyhow::Result<String> {
    let bytes = fs::metadata(file).with_context(|| file.display().to_string())?.len();
    Ok(format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)))
}
