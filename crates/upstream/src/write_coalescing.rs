//! Coalesces small vectored writes into one write.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that coalesces small vectored writes.
///
/// Most messages are a head and a short body. To copy these together costs less than `writev`, which
/// goes through the layers of files where `send` goes straight to the socket. Longer ones are written
/// as they are.
#[derive(Debug)]
pub struct CoalescingStream<S>(pub S);

/// Vectored writes of at most this many bytes are coalesced, in a buffer on the stack.
const COALESCED_BYTES_MAX: usize = 2048;

impl<S: AsyncRead + Unpin> AsyncRead for CoalescingStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CoalescingStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        let mut room = [const { MaybeUninit::uninit() }; COALESCED_BYTES_MAX];
        let mut gathered = ReadBuf::uninit(&mut room);
        for piece in pieces {
            if piece.len() > gathered.remaining() {
                return stream.poll_write_vectored(cx, pieces);
            }
            gathered.put_slice(piece);
        }
        stream.poll_write(cx, gathered.filled())
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, IoSlice};
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncWrite, AsyncWriteExt};

    use super::{COALESCED_BYTES_MAX, CoalescingStream};

    /// Takes so much with each write, and notes how it came.
    #[derive(Default)]
    struct Sink {
        taken: Vec<u8>,
        at_once_max: usize,
        vectored: usize,
    }

    impl AsyncWrite for Sink {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let length = bytes.len().min(self.at_once_max);
            self.taken.extend_from_slice(&bytes[..length]);
            Poll::Ready(Ok(length))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            pieces: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.vectored += 1;
            let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
            self.poll_write(cx, &all)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn pieces_arrive_in_order_whole_or_in_part() {
        for (lengths, vectored) in [
            (vec![100, 200], false),
            (vec![COALESCED_BYTES_MAX - 1, 1], false),
            (vec![COALESCED_BYTES_MAX, 1], true),
            (vec![1, COALESCED_BYTES_MAX * 2, 3], true),
            (vec![0, 5, 0], false),
        ] {
            for at_once_max in [7, usize::MAX] {
                let pieces: Vec<Vec<u8>> =
                    lengths.iter().zip(1..).map(|(length, mark)| vec![mark; *length]).collect();
                let mut slices: Vec<IoSlice<'_>> =
                    pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                let mut rest = &mut slices[..];
                let mut stream = CoalescingStream(Sink { at_once_max, ..Sink::default() });
                while rest.iter().any(|piece| !piece.is_empty()) {
                    let written = stream.write_vectored(rest).await.unwrap();
                    IoSlice::advance_slices(&mut rest, written);
                }
                assert_eq!(stream.0.taken, pieces.concat(), "{lengths:?}");
                assert_eq!(stream.0.vectored > 0, vectored, "{lengths:?}");
            }
        }
    }
}
