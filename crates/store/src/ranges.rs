//! A set of numbers, most of them consecutive.

use std::collections::BTreeMap;

/// Stores numbers as ranges, so that a million consecutive numbers need no more memory than one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    /// The last number of each range by its first; both are included. Ranges never touch.
    by_first: BTreeMap<u64, u64>,
}

impl Ranges {
    pub(crate) fn contains(&self, number: u64) -> bool {
        let before = self.by_first.range(..=number).next_back();
        before.is_some_and(|(_, last)| number <= *last)
    }

    /// Adds all numbers of `first..=last`.
    pub(crate) fn insert(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let (mut first, mut last) = (first, last);
        let touching = |(other_first, other_last): (&u64, &u64)| {
            (other_last.saturating_add(1) >= first).then_some((*other_first, *other_last))
        };
        // Stored ranges don't touch, so the ranges that the new one touches are adjacent.
        let reach = ..=last.saturating_add(1);
        let swallowed: Vec<_> = self.by_first.range(reach).rev().map_while(touching).collect();
        for (other_first, other_last) in swallowed {
            self.by_first.remove(&other_first);
            first = first.min(other_first);
            last = last.max(other_last);
        }
        self.by_first.insert(first, last);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.by_first.iter().map(|(first, last)| (*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Ranges;

    #[test]
    fn neighbours_become_one() {
        let mut ranges = Ranges::default();
        for (first, last) in [(1, 1), (3, 3), (2, 2), (10, 20), (5, 9), (12, 13), (30, 29)] {
            ranges.insert(first, last);
        }
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(1, 3), (5, 20)]);
        ranges.insert(0, u64::MAX);
        ranges.insert(u64::MAX, u64::MAX);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(0, u64::MAX)]);
    }

    proptest! {
        #[test]
        fn it_is_a_set(inserts in prop::collection::vec((0u64..60, 0u64..6), 0..40)) {
            let (mut ranges, mut plain) = (Ranges::default(), BTreeSet::new());
            for (first, more) in inserts {
                ranges.insert(first, first + more);
                plain.extend(first..=first + more);
            }
            for number in 0..70 {
                prop_assert_eq!(ranges.contains(number), plain.contains(&number), "{}", number);
            }
            let all: Vec<_> = ranges.iter().collect();
            for pair in all.windows(2) {
                prop_assert!(pair[0].1 + 1 < pair[1].0, "{:?} touch", pair);
            }
        }
    }
}
