//! Reads from the header of a program whether it needs a loader, and with it libraries, at run time.

/// The kind of a segment that names the loader (`PT_INTERP`).
const INTERPRETER: u32 = 3;

/// Whether a 64-bit little-endian ELF program names no loader.
pub(super) fn is_static(program: &[u8]) -> bool {
    segments(program).is_some_and(|kinds| !kinds.contains(&INTERPRETER))
}

/// The kinds of all segments; none: it is no such program.
fn segments(program: &[u8]) -> Option<Vec<u32>> {
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let short = |at: usize| Some(u16::from_le_bytes(program.get(at..at + 2)?.try_into().ok()?));
    let table = u64::from_le_bytes(program.get(32..40)?.try_into().ok()?);
    let (size, count) = (usize::from(short(54)?), usize::from(short(56)?));
    let table = usize::try_from(table).ok()?;
    let kind = |number: usize| {
        let at = table.checked_add(number * size)?;
        Some(u32::from_le_bytes(program.get(at..at.checked_add(4)?)?.try_into().ok()?))
    };
    (0..count).map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::is_static;

    #[test]
    fn a_program_that_names_a_loader_is_not_static() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(!is_static(&own), "tests are linked dynamically");
        assert!(!is_static(b"#!/bin/sh\n") && !is_static(&own[..60]));
        // The same program, whose loader is said to be a note.
        let mut changed = own;
        let table =
            usize::try_from(u64::from_le_bytes(changed[32..40].try_into().unwrap())).unwrap();
        let size = usize::from(u16::from_le_bytes(changed[54..56].try_into().unwrap()));
        let count = usize::from(u16::from_le_bytes(changed[56..58].try_into().unwrap()));
        for at in (0..count).map(|number| table + number * size) {
            if changed[at] == 3 {
                changed[at] = 4;
            }
        }
        assert!(is_static(&changed));
    }
}
