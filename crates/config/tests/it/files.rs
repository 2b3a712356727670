//! What is asked of a real disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mainstay_config::{Disk, RealDisk};
use mainstay_model::program_file::ProgramFault;

#[test]
fn programs_folders_and_secrets_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let pipe = folder.path().join("pipe");
    std::fs::write(&file, "secret\n").unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let set_mode =
        |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();

    for (mode, is_program, is_open_to_others) in
        [(0o600, false, false), (0o700, true, false), (0o640, false, true), (0o604, false, true)]
    {
        set_mode(mode);
        assert_eq!(RealDisk.is_program(&file), is_program, "{mode:o}");
        let secret = RealDisk.secret(&file).unwrap();
        assert_eq!(
            (&*secret.text, secret.is_open_to_others),
            ("secret\n", is_open_to_others),
            "{mode:o}"
        );
    }
    let fault = |path: &Path| RealDisk.program_fault(path, "/nowhere:/usr/bin:/bin");
    assert_eq!(fault(&file), Some(ProgramFault::NotExecutable));
    set_mode(0o755);
    let missing = |name: &str| Some(ProgramFault::MissingInterpreter(name.to_owned()));
    for (text, expected) in [
        ("import sys\n", Some(ProgramFault::NoInterpreter)),
        ("#!/bin/sh\n", None),
        ("#!/bin/sh\r\n", Some(ProgramFault::CarriageReturn)),
        ("#!/no/such/shell\n", missing("/no/such/shell")),
        ("#!/usr/bin/env sh\n", None),
        ("#!/usr/bin/env no-such-shell\n", missing("no-such-shell")),
    ] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(fault(&file), expected, "{text:?}");
    }
    assert_eq!(fault(folder.path()), Some(ProgramFault::Folder));
    assert_eq!(fault(&pipe), None);
    assert_eq!(fault(&folder.path().join("nothing")), None);
    assert!(RealDisk.is_folder(folder.path()) && !RealDisk.is_folder(&file));
    assert!(!RealDisk.is_program(folder.path()));
    // Reading a pipe that nobody writes to would never end.
    assert!(RealDisk.secret(&pipe).is_err());
    std::fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
    assert!(RealDisk.secret(&file).is_err());
}
