use bytes::Bytes;
use mainstay_model::{Budget, Ids, MemoryKind};
use proptest::prelude::*;

use super::{Cursor, PageBounds};
use crate::catalogue::{Listing, Source};

/// A list of items with these names, each `size` bytes long.
fn listing(names: &[String], size: usize) -> Listing {
    let server = Ids::default().server();
    let raws: Vec<Bytes> = names.iter().map(|_| vec![b' '; size].into()).collect();
    let sources = names.iter().zip(&raws).map(|(name, raw)| Source {
        raw,
        key: name,
        key_span: 0..0,
        may_retry: false,
        is_left_out: false,
    });
    let charge = Budget::UNLIMITED.charge(MemoryKind::Lists);
    Listing::build([(server, "s", sources)], |_, own| Some(own.into()), charge)
}

fn numbered(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("tool_{number}")).collect()
}

fn names(entries: &[super::Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.name.to_string()).collect()
}

/// Reads a list to its end. `lists`: the list that each page is read from, the last one for the rest.
fn read(lists: &[&Listing], bounds: PageBounds) -> Option<Vec<String>> {
    let (mut all, mut cursor): (_, Option<Cursor>) = (Vec::new(), None);
    for page in 0.. {
        let list = lists[page.min(lists.len() - 1)];
        let from = match &cursor {
            Some(cursor) => list.position(&cursor.to_string().parse().unwrap())?,
            None => 0,
        };
        let page = list.page(from, bounds);
        assert!(page.entries.len() <= bounds.items);
        all.extend(names(page.entries));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Some(all)
}

#[test]
fn a_page_is_bounded_in_items_and_in_bytes() {
    let list = listing(&numbered(0..10), 100);
    let count = |items, bytes| list.page(0, PageBounds { items, bytes }).entries.len();
    assert_eq!([count(4, 10_000), count(40, 350), count(40, 300), count(40, 1000)], [4, 3, 3, 10]);
    // An item that is larger than a page is alone on its page.
    assert_eq!(count(40, 10), 1);
    let whole = list.page(0, PageBounds { items: 10, bytes: 1000 });
    assert_eq!(whole.next, None);
    assert!(list.page(10, PageBounds { items: 10, bytes: 1000 }).entries.is_empty());
    assert!(list.page(99, PageBounds { items: 10, bytes: 1000 }).entries.is_empty());
}

#[test]
fn what_is_no_cursor_is_refused() {
    let list = listing(&numbered(0..3), 1);
    let cursor = list.page(0, PageBounds { items: 2, bytes: 100 }).next.unwrap();
    let text = cursor.to_string();
    assert_eq!(text.parse(), Ok(cursor));
    let upper = text.to_uppercase();
    let wrong = ["", "x", "7", "-1", "1-2-3", "1-2-3-4", "+1-2-3", &text[1..], &upper];
    for wrong in wrong.into_iter().filter(|wrong| **wrong != *text) {
        assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
    }
    let past = text.replacen("-2-", "-9-", 1).parse().unwrap();
    assert_eq!(list.position(&past), None);
}

#[test]
fn in_another_list_a_cursor_continues_after_the_item_before_it() {
    let bounds = PageBounds { items: 3, bytes: 100 };
    let before = listing(&numbered(0..6), 1);
    let gained = listing(&numbered([100, 0, 1, 2, 3, 4, 5, 6]), 1);
    assert_eq!(read(&[&before, &gained], bounds), Some(numbered(0..7)));
    let lost = listing(&numbered([0, 2, 4, 5]), 1);
    assert_eq!(read(&[&before, &lost], bounds), Some(numbered([0, 1, 2, 4, 5])));
    // Where the item before is gone, nobody knows where to continue.
    assert_eq!(read(&[&before, &listing(&numbered([0, 1, 3]), 1)], bounds), None);
}

proptest! {
    #[test]
    fn each_item_comes_once_and_in_order(
        count in 0..60_u32, items in 1..20_usize, bytes in 1..400_usize, size in 1..100_usize,
    ) {
        let expected = numbered(0..count);
        let list = listing(&expected, size);
        let bounds = PageBounds { items, bytes };
        prop_assert_eq!(read(&[&list], bounds).unwrap(), expected.clone());
        // A list with the same names is as good, as after a restart.
        let again = listing(&expected, size + 1);
        prop_assert_eq!(read(&[&list, &again, &list, &again], bounds).unwrap(), expected);
    }

    /// Items come and go while a client reads. What was there all the time comes exactly once, as long as
    /// the order stays and the items at the page ends stay.
    #[test]
    fn what_stays_comes_once_whatever_comes_and_goes(
        kept in proptest::collection::vec(any::<bool>(), 1..60),
        added in proptest::collection::vec(0..60_u32, 0..20),
        items in 1..10_usize,
    ) {
        let before: Vec<u32> = (0..kept.len() as u32).collect();
        let bounds = PageBounds { items, bytes: 10_000 };
        let is_page_end = |number: u32| (number as usize + 1).is_multiple_of(items);
        let stays = |number: &u32| kept[*number as usize] || is_page_end(*number);
        let mut after: Vec<(u32, u32)> =
            before.iter().copied().filter(stays).map(|number| (number, 0)).collect();
        after.extend(added.iter().map(|number| (*number, 1)));
        after.sort_unstable();
        after.dedup();
        let after = after.into_iter().map(|(number, new)| format!("tool_{number}{}", ["", "_new"][new as usize]));
        let (before_list, after_list) =
            (listing(&numbered(before.clone()), 1), listing(&after.collect::<Vec<_>>(), 1));
        let got = read(&[&before_list, &after_list], bounds).unwrap();
        let old: Vec<_> = got.iter().filter(|name| !name.ends_with("_new")).cloned().collect();
        let first = numbered(before.iter().copied().take(items));
        let rest = numbered(before.into_iter().skip(items).filter(stays));
        prop_assert_eq!(old, [first, rest].concat());
    }
}
