//! What has to hold for any bytes at all: nothing panics, nothing is lost, nothing is found where it
//! does not stand. Plain functions, so that anything that makes bytes can call them.

pub mod envelope;
pub mod headers;
pub mod lines;
pub mod pages;
pub mod sse;

/// The first two bytes say how large things may be and how the rest is cut into pieces.
fn split(data: &[u8]) -> Option<(usize, usize, &[u8])> {
    let [limit, piece, rest @ ..] = data else { return None };
    Some((usize::from(*limit), usize::from(*piece) + 1, rest))
}
