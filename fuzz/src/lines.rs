//! Lines: cutting a stream differently finds the same lines, and a line is what was written.

use bytes::Bytes;
use mainstay_protocol::framing::lines::{LineDecoder, LineTooLong, encode_line};

pub fn check(data: &[u8]) {
    let Some((limit, piece, stream)) = crate::split(data) else { return };
    let whole = decode([stream], limit);
    assert_eq!(decode(stream.chunks(piece), limit), whole, "in pieces of {piece}");
    for line in whole.iter().flatten() {
        assert!(line.len() <= limit);
        assert!(!line.contains(&b'\n'));
    }
    check_written(stream);
}

fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> Vec<Result<Bytes, LineTooLong>> {
    let mut decoder = LineDecoder::new(limit);
    let mut out = Vec::new();
    for (at, piece) in pieces.into_iter().enumerate() {
        if at % 2 == 0 {
            decoder.push(piece);
        } else {
            decoder.buffer_mut().extend_from_slice(piece);
        }
        out.extend(std::iter::from_fn(|| decoder.next_line()));
        assert!(decoder.buffer_mut().len() <= limit + 3, "holds no more than a line");
    }
    out.extend(std::iter::from_fn(|| decoder.finish()));
    out
}

/// One message is one line, the same but for its line breaks.
fn check_written(message: &[u8]) {
    let mut out = Vec::new();
    encode_line(message, &mut out);
    let (last, line) = out.split_last().expect("a line feed at least");
    assert_eq!(*last, b'\n');
    assert_eq!(line.len(), message.len());
    for (written, byte) in line.iter().zip(message) {
        let expected = if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
        assert_eq!(*written, expected);
    }
}
