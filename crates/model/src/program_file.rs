//! Whether this machine can run a program file, as far as its first bytes tell.

use std::fmt;

/// The number of bytes at the beginning of a file that [`fault_of`] needs.
pub const HEAD_BYTES: usize = 256;

/// Why the kernel can't run a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramFault {
    Folder,
    /// Nobody has the permission to execute the file.
    NotExecutable,
    Empty,
    /// The line that names the interpreter ends with a carriage return, which counts as part of the name.
    CarriageReturn,
    /// The interpreter of a script, which does not exist.
    MissingInterpreter(String),
    /// The file has no format that the kernel knows, such as a script without `#!`.
    NoInterpreter,
    /// A program for a processor of this name, or of this number in the ELF specification.
    OtherProcessor {
        name: Option<&'static str>,
        number: u16,
    },
    /// A program for another operating system.
    OtherSystem(&'static str),
}

/// The processors that servers are built for: ELF number, name.
const PROCESSORS: [(u16, &str); 8] = [
    (3, "x86"),
    (20, "powerpc"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
];

/// The beginnings of programs for other systems.
const OTHER_SYSTEMS: [(&[u8], &str); 4] = [
    (b"MZ", "Windows"),
    (&[0xcf, 0xfa, 0xed, 0xfe], "macOS"),
    (&[0xce, 0xfa, 0xed, 0xfe], "macOS"),
    (&[0xca, 0xfe, 0xba, 0xbe], "macOS"),
];

/// The processors whose programs this machine runs. Empty if that is not known.
const OWN: &[u16] = if cfg!(target_arch = "x86_64") {
    &[62, 3]
} else if cfg!(target_arch = "aarch64") {
    &[183, 40]
} else {
    &[]
};

/// Why this machine can't run a file that begins like this. `None` if nothing is wrong with it, or that is
/// not known.
pub fn fault_of(head: &[u8]) -> Option<ProgramFault> {
    if head.is_empty() {
        return Some(ProgramFault::Empty);
    }
    if let Some(line) = first_line(head) {
        return line.ends_with(b"\r").then_some(ProgramFault::CarriageReturn);
    }
    if head.starts_with(b"\x7fELF") {
        let number = elf_processor(head)?;
        let name = PROCESSORS.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
        let other = !OWN.is_empty() && !OWN.contains(&number);
        return other.then_some(ProgramFault::OtherProcessor { name, number });
    }
    let other = OTHER_SYSTEMS.iter().find(|(magic, _)| head.starts_with(magic));
    Some(match other {
        Some((_, system)) => ProgramFault::OtherSystem(system),
        None => ProgramFault::NoInterpreter,
    })
}

/// The programs that run a script which begins like this: the interpreter, and the one that it finds on
/// the `PATH` if it is `env`. Empty for other files.
pub fn interpreters(head: &[u8]) -> Vec<String> {
    let Some(line) = first_line(head) else { return Vec::new() };
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_whitespace();
    let Some(first) = words.next() else { return Vec::new() };
    let is_env = first.rsplit('/').next() == Some("env");
    let named = words.find(|word| !word.starts_with('-') && !word.contains('='));
    let named = named.filter(|_| is_env);
    [Some(first), named].into_iter().flatten().map(str::to_owned).collect()
}

/// The rest of a first line that names an interpreter, if all of it is there.
fn first_line(head: &[u8]) -> Option<&[u8]> {
    let rest = head.strip_prefix(b"#!")?;
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    Some(&rest[..end])
}

/// `e_machine` of an ELF header, in the byte order of the file.
fn elf_processor(head: &[u8]) -> Option<u16> {
    let bytes = [*head.get(18)?, *head.get(19)?];
    match head.get(5)? {
        1 => Some(u16::from_le_bytes(bytes)),
        2 => Some(u16::from_be_bytes(bytes)),
        _ => None,
    }
}

// === impl ProgramFault ===

impl ProgramFault {
    /// What the user can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Folder => "name a program in the folder",
            Self::NotExecutable => {
                "make it executable with `chmod +x`, or name its interpreter first in `command`"
            }
            Self::Empty => "install the program again",
            Self::CarriageReturn => {
                "convert its line ends from Windows to Unix, with `dos2unix` for example"
            }
            Self::MissingInterpreter(_) => {
                "install the interpreter, or correct the first line of the script"
            }
            Self::NoInterpreter => {
                "begin the script with `#!` and its interpreter, or name the interpreter first in `command`"
            }
            Self::OtherProcessor { .. } | Self::OtherSystem(_) => {
                "take a program that was built for this machine"
            }
        }
    }
}

impl fmt::Display for ProgramFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("it is a folder"),
            Self::NotExecutable => f.write_str("it is not executable"),
            Self::Empty => f.write_str("the file is empty"),
            Self::CarriageReturn => {
                f.write_str("its first line (`#!`) ends with a carriage return")
            }
            Self::MissingInterpreter(name) => {
                write!(f, "its first line (`#!`) names {name}, which does not exist")
            }
            Self::NoInterpreter => {
                f.write_str("it is not a program, and its first line names no interpreter (`#!`)")
            }
            Self::OtherProcessor { name: Some(name), .. } => {
                write!(f, "it is a program for another processor ({name})")
            }
            Self::OtherProcessor { name: None, number } => {
                write!(f, "it is a program for another processor (ELF machine {number})")
            }
            Self::OtherSystem(system) => write!(f, "it is a program for {system}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OWN, ProgramFault, fault_of, interpreters};

    fn elf(order: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut head = b"\x7fELF\x02".to_vec();
        head.extend([order, 1]);
        head.resize(18, 0);
        head.extend(machine);
        head
    }

    #[test]
    fn what_the_first_bytes_tell() {
        let processor = |number, name| Some(ProgramFault::OtherProcessor { name, number });
        for (head, fault) in [
            (&b""[..], Some(ProgramFault::Empty)),
            (b"import sys\n", Some(ProgramFault::NoInterpreter)),
            (b"#!/bin/sh\n", None),
            (b"#!/bin/sh\r\necho\r\n", Some(ProgramFault::CarriageReturn)),
            (b"#!/bin/sh", None),
            (b"MZ\x90", Some(ProgramFault::OtherSystem("Windows"))),
            (b"\xcf\xfa\xed\xfe\x0c", Some(ProgramFault::OtherSystem("macOS"))),
            (b"\x7fELF", None),
            (&elf(9, [0, 0]), None),
            (&elf(2, [0, 22]), processor(22, Some("s390x"))),
            (&elf(1, [0x34, 0x12]), processor(0x1234, None)),
        ] {
            assert_eq!(fault_of(head), fault, "{head:?}");
        }
        for own in OWN {
            assert_eq!(fault_of(&elf(1, own.to_le_bytes())), None);
            assert_eq!(fault_of(&elf(2, own.to_be_bytes())), None);
        }
    }

    #[test]
    fn a_script_names_its_interpreters() {
        for (head, named) in [
            (&b"#! /bin/sh -e\n"[..], &["/bin/sh"][..]),
            (b"#!/usr/bin/env python3\nimport", &["/usr/bin/env", "python3"]),
            (b"#!/usr/bin/env -S A=b node --x", &["/usr/bin/env", "node"]),
            (b"#!\n", &[]),
            (b"\x7fELF", &[]),
        ] {
            assert_eq!(interpreters(head), named, "{head:?}");
        }
    }

    #[test]
    fn it_is_told_in_plain_words() {
        let fault = ProgramFault::OtherProcessor { name: Some("aarch64"), number: 183 };
        assert_eq!(fault.to_string(), "it is a program for another processor (aarch64)");
        assert_eq!(fault.remedy(), "take a program that was built for this machine");
        assert!(ProgramFault::NoInterpreter.remedy().contains("#!"));
    }
}
