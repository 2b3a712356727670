//! Pages of a merged list. A cursor says which list it belongs to, so that nothing is lost or doubled when
//! the list changes between two pages.

use std::fmt;
use std::str::FromStr;

use super::{Entry, Listing};

/// The bounds of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageBounds {
    pub items: usize,
    /// The sum of the sizes of the items. A larger item has a page of its own.
    pub bytes: usize,
}

/// A slice of a list.
#[derive(Debug)]
pub struct Page<'a> {
    pub entries: &'a [Entry],
    /// Where the next page begins. `None`: this is the last one.
    pub next: Option<Cursor>,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The digest of the list that the cursor belongs to.
    pub list: u64,
    /// The position in that list.
    from: usize,
    /// The digest of the name before this position, which finds the place in another list.
    after: u64,
}

/// The error for a text that is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCursor;

// === impl Listing ===

impl Listing {
    /// The page that begins at a position.
    pub fn page(&self, from: usize, bounds: PageBounds) -> Page<'_> {
        let rest = self.entries.get(from..).unwrap_or_default();
        let mut bytes = 0;
        let fits = rest.iter().take(bounds.items).enumerate().take_while(|(at, entry)| {
            bytes += entry.raw.len();
            *at == 0 || bytes <= bounds.bytes
        });
        let entries = &rest[..fits.count()];
        let to = from + entries.len();
        let next = (entries.len() < rest.len()).then(|| Cursor {
            list: self.digest,
            from: to,
            after: digest([&*self.entries[to - 1].name]),
        });
        Page { entries, next }
    }

    /// Whether a cursor belongs to this list.
    pub fn has(&self, cursor: &Cursor) -> bool {
        cursor.list == self.digest
    }

    /// The position at which a cursor continues. In another list than its own, this is the place after
    /// the last item of the page before. `None`: the list does not have that item.
    pub fn position(&self, cursor: &Cursor) -> Option<usize> {
        if self.has(cursor) {
            return (cursor.from <= self.entries.len()).then_some(cursor.from);
        }
        let before =
            self.entries.iter().position(|entry| digest([&*entry.name]) == cursor.after)?;
        Some(before + 1)
    }
}

// === impl Cursor ===

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}-{:016x}", self.list, self.from, self.after)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let mut parts = text.split('-');
        let mut number = || {
            let part = parts.next().ok_or(BadCursor)?;
            u64::from_str_radix(part, 16).map_err(|_| BadCursor)
        };
        let (list, from, after) = (number()?, number()?, number()?);
        let cursor = Self { list, from: usize::try_from(from).map_err(|_| BadCursor)?, after };
        // There is one way to write a cursor.
        (cursor.to_string() == text).then_some(cursor).ok_or(BadCursor)
    }
}

/// The digest of names in their order (FNV-1a, 64 bits). It is the same in every run and version.
pub(super) fn digest<'a>(names: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for name in names {
        // No name contains this byte.
        for byte in name.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

#[cfg(test)]
mod tests;
