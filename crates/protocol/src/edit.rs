//! Byte-preserving edits: replace some spans of a message and keep all other bytes.

use std::ops::Range;

use bytes::{BufMut, Bytes};

/// Replaces the bytes of `span` with `with`. An empty span inserts.
#[derive(Debug, Clone)]
pub struct Edit<'a> {
    pub span: Range<usize>,
    pub with: &'a [u8],
}

impl<'a> Edit<'a> {
    pub fn new(span: Range<usize>, with: &'a [u8]) -> Self {
        Self { span, with }
    }
}

/// Applies `edits` to `bytes` and appends the result to `out`.
///
/// Edits can be in any order, but must not overlap. They are sorted in place.
pub fn splice_into(bytes: &[u8], edits: &mut [Edit<'_>], out: &mut impl BufMut) {
    edits.sort_by_key(|edit| edit.span.start);
    let mut at = 0;
    for edit in edits {
        debug_assert!(at <= edit.span.start && edit.span.end <= bytes.len(), "edits overlap");
        out.put_slice(&bytes[at..edit.span.start]);
        out.put_slice(edit.with);
        at = edit.span.end;
    }
    out.put_slice(&bytes[at..]);
}

/// Applies `edits` to a copy of `bytes`.
pub fn splice(bytes: &[u8], edits: &mut [Edit<'_>]) -> Bytes {
    let more: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let less: usize = edits.iter().map(|edit| edit.span.len()).sum();
    // The exact capacity lets the conversion to `Bytes` keep the allocation.
    let mut out = Vec::with_capacity((bytes.len() + more).saturating_sub(less));
    splice_into(bytes, edits, &mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::{Edit, splice};

    #[test]
    fn edits_apply_in_any_order() {
        let mut edits =
            [Edit::new(6..11, b"there"), Edit::new(0..5, b"bye"), Edit::new(11..11, b"!")];
        assert_eq!(splice(b"hello world", &mut edits), "bye there!");
        assert_eq!(splice(b"same", &mut []), "same");
    }
}
