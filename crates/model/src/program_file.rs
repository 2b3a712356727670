//! Whether this machine can run a program file, as far as its first bytes tell.

use std::fmt;

/// The number of bytes at the beginning of a file that [`fault_of`] needs.
pub const HEAD_BYTES: usize = 64;

/// Why the kernel can't run a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramFault {
    Empty,
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
    if head.starts_with(b"#!") {
        return None;
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
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Empty => "install the program again",
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
            Self::Empty => f.write_str("the file is empty"),
            Self::NoInterpreter => {
                f.write_str("it is no program, and its first line names no interpreter (`#!`)")
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
    use super::{OWN, ProgramFault, fault_of};

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
    fn it_is_told_in_plain_words() {
        let fault = ProgramFault::OtherProcessor { name: Some("aarch64"), number: 183 };
        assert_eq!(fault.to_string(), "it is a program for another processor (aarch64)");
        assert_eq!(fault.remedy(), "take a program that was built for this machine");
        assert!(ProgramFault::NoInterpreter.remedy().contains("#!"));
    }
}
