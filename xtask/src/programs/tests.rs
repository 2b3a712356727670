use std::path::Path;

use super::{cargo, cargo_named_by};

#[test]
fn cargo_is_the_one_of_this_run() {
    assert_eq!(cargo_named_by(Some("/moved/bin/cargo".into())), Path::new("/moved/bin/cargo"));
    assert_eq!(cargo_named_by(Some("".into())), Path::new("cargo"));
    assert_eq!(cargo_named_by(None), Path::new("cargo"));
    // What runs the tests says so, too.
    assert_eq!(cargo(), cargo_named_by(std::env::var_os("CARGO")));
}

/// A path from compile time is gone as soon as the toolchain moves.
#[test]
fn no_chore_keeps_the_path_of_a_toolchain() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let baked_in = concat!("env!(\"CARGO", "\")");
    for file in crate::sources::rust_files(&sources).unwrap() {
        let source = crate::sources::read(&file).unwrap();
        assert!(!source.contains(baked_in), "{} has {baked_in}", file.display());
    }
}
