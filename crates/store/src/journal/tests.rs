use std::fs;

use mainstay_session::Serial;
use proptest::prelude::*;

use super::{Found, HEADER, Journal, read, replay};
use crate::file::set_aside;
use crate::image::tests::any_record;
use crate::record::Record;

fn used(number: u64) -> Record {
    Record::Used { session: Serial { run: u64::MAX, number }, at: 1_790_000_000 }
}

fn lines(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    records.iter().for_each(|record| record.write(&mut out));
    out
}

fn file(records: &[Record]) -> Vec<u8> {
    [HEADER, &lines(records)].concat()
}

fn replayed(bytes: &[u8]) -> (Vec<Record>, Found) {
    let mut records = Vec::new();
    let found = replay(bytes, |record| records.push(record));
    (records, found)
}

#[test]
fn a_line_is_for_people_too() {
    let line = lines(&[used(7)]);
    let line = String::from_utf8(line).unwrap();
    let json = line.split_once(' ').unwrap().1;
    assert_eq!(
        json,
        "{\"used\":{\"of\":{\"run\":18446744073709551615,\"number\":7},\"at\":1790000000}}\n"
    );
}

#[test]
fn a_torn_end_is_cut_wherever_it_is_torn() {
    let records: Vec<_> = (1..=4).map(used).collect();
    let bytes = file(&records);
    let ends: Vec<usize> = (0..=4).map(|count| file(&records[..count]).len()).collect();
    for at in 0..bytes.len() {
        let whole = ends.iter().rposition(|end| *end <= at);
        let (read, found) = replayed(&bytes[..at]);
        assert_eq!(read, records[..whole.unwrap_or(0)], "cut at {at}");
        let torn = at - whole.map_or(0, |count| ends[count]);
        let expected = if torn == 0 && at > 0 { Found::Whole } else { Found::Torn { bytes: torn } };
        assert_eq!(found, expected, "cut at {at}");
        // Blocks that were promised and never written are zeros.
        let mut zeros = bytes[..at].to_vec();
        zeros.extend([0; 40]);
        let (read, found) = replayed(&zeros);
        if at >= HEADER.len() {
            assert_eq!(read, records[..whole.unwrap_or(0)], "zeros from {at}");
            assert!(matches!(found, Found::Torn { .. }), "zeros from {at}: {found:?}");
        }
    }
}

#[test]
fn a_damaged_line_costs_itself_and_no_other() {
    let records: Vec<_> = (1..=4).map(used).collect();
    let bytes = file(&records);
    let second = file(&records[..1]).len()..file(&records[..2]).len();
    for at in second {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let (read, found) = replayed(&damaged);
        let without: &[usize] = if bytes[at] == b'\n' { &[2, 3] } else { &[2] };
        let rest: Vec<_> = records
            .iter()
            .enumerate()
            .filter(|(at, _)| !without.contains(&(at + 1)))
            .map(|(_, record)| record.clone())
            .collect();
        assert_eq!(read, rest, "byte {at}");
        assert!(matches!(found, Found::Damaged { lines: 1 | 2 }), "byte {at}: {found:?}");
    }
}

#[test]
fn what_is_no_journal_of_this_format_is_left_alone() {
    for foreign in ["{}", "mainstay sessions 2\n", "\n", "mainstay sessions 1 \n", "\0\0\0"] {
        assert_eq!(replayed(foreign.as_bytes()), (vec![], Found::Foreign), "{foreign:?}");
    }
    assert_eq!(replayed(b""), (vec![], Found::Torn { bytes: 0 }));
}

#[test]
fn it_is_replaced_as_a_whole_and_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.journal");
    assert_eq!(read(&path, drop).unwrap(), Found::Nothing);
    let mut journal = Journal::replace(&path, &lines(&[used(1)])).unwrap();
    journal.append(&lines(&[used(2)])).unwrap();
    journal.append(&lines(&[used(3), used(4)])).unwrap();
    assert_eq!(journal.bytes(), fs::metadata(&path).unwrap().len());
    assert_eq!(fs::read(&path).unwrap(), file(&[used(1), used(2), used(3), used(4)]));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(!journal.is_bloated());
    let many: Vec<_> = (0..20_000).map(used).collect();
    journal.append(&lines(&many)).unwrap();
    assert!(journal.is_bloated());
    let journal = Journal::replace(&path, &lines(&many)).unwrap();
    assert!(!journal.is_bloated());
    let aside = set_aside(&path).unwrap();
    assert!(aside.exists() && !path.exists());
}

proptest! {
    #[test]
    fn records_come_back_as_they_were(records in prop::collection::vec(any_record(), 0..40)) {
        prop_assert_eq!(replayed(&file(&records)), (records, Found::Whole));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        replayed(&bytes);
        let after_header = [HEADER, &bytes].concat();
        let (read, _) = replayed(&after_header);
        prop_assert_eq!(read, vec![]);
    }

    /// Whatever happens to bytes of the file, no record is made up.
    #[test]
    fn nothing_is_made_up(
        records in prop::collection::vec(any_record(), 1..10),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let mut bytes = file(&records);
        let at = HEADER.len() + at.index(bytes.len() - HEADER.len());
        bytes[at] = with;
        let (read, _) = replayed(&bytes);
        prop_assert!(read.iter().all(|record| records.contains(record)), "{:?}", read);
        prop_assert!(read.len() + 2 >= records.len());
    }
}
