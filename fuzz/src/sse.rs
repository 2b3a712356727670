//! Events: cutting a stream differently finds the same events, and what is written is read back.

use mainstay_protocol::framing::sse::{Event, EventTooLarge, SseDecoder, encode_event};

pub fn check(data: &[u8]) {
    let Some((limit, piece, stream)) = crate::split(data) else { return };
    let whole = decode([stream], limit);
    assert_eq!(decode(stream.chunks(piece), limit), whole, "in pieces of {piece}");
    for event in whole.iter().flatten() {
        check_written(event);
    }
}

fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> Vec<Result<Event, EventTooLarge>> {
    let mut decoder = SseDecoder::new(limit);
    let mut out = Vec::new();
    for (at, piece) in pieces.into_iter().enumerate() {
        if at % 2 == 0 {
            decoder.push(piece);
        } else {
            decoder.buffer_mut().extend_from_slice(piece);
        }
        out.extend(std::iter::from_fn(|| decoder.next_event()));
        assert!(decoder.buffer_mut().len() <= limit + 5, "holds no more than an event");
    }
    out
}

fn check_written(event: &Event) {
    let mut out = Vec::new();
    encode_event(event.event.as_deref(), event.id.as_deref(), &event.data, &mut out);
    let mut decoder = SseDecoder::new(out.len());
    decoder.push(&out);
    let expected = Event { retry: None, ..event.clone() };
    assert_eq!(decoder.next_event(), Some(Ok(expected)));
    assert_eq!(decoder.next_event(), None);
}
