//! Decodes bodies that a server compresses although it was asked not to.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};

/// Decodes the pieces of one body. What a piece decodes to is bounded: a kilobyte can hold a
/// megabyte.
pub(crate) struct BodyDecoder(Coding);

enum Coding {
    Gzip(Box<MultiGzDecoder<Decoded>>),
    /// `deflate`, whose first byte says whether it has the header that the standard demands.
    Deflate,
    Zlib(Box<ZlibDecoder<Decoded>>),
    RawDeflate(Box<DeflateDecoder<Decoded>>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Decoded>>),
}

/// What was decoded and not taken yet, with the most it may be.
struct Decoded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

/// Why a body can't be decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotDecoded {
    #[error("its answer is encoded as {0:?}, which Mainstay does not support")]
    UnknownCoding(String),
    #[error("its answer is declared as {0} and can't be decoded")]
    Malformed(&'static str),
    #[error("its answer is too large when it is decoded")]
    TooLarge,
}

/// Input that is decoded at once. The least that a bound can be exceeded by follows from it.
const PIECE_BYTES: usize = 1 << 10;
/// Buffer of a brotli decoder.
const BROTLI_BUFFER_BYTES: usize = 4 << 10;
/// Longest name of a coding in an error.
const NAME_CHARS_MAX: usize = 20;

// === impl BodyDecoder ===

impl BodyDecoder {
    /// The decoder for a body with these headers. None where it is not encoded.
    ///
    /// # Errors
    /// For a coding that is not known, or several one upon the other.
    pub(crate) fn new(headers: &HeaderMap) -> Result<Option<Self>, NotDecoded> {
        let Some(coding) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
        let coding = String::from_utf8_lossy(coding.as_bytes()).trim().to_ascii_lowercase();
        let into = Decoded { bytes: Vec::new(), bytes_max: 0 };
        Ok(Some(Self(match coding.as_str() {
            "" | "identity" => return Ok(None),
            "gzip" | "x-gzip" => Coding::Gzip(Box::new(MultiGzDecoder::new(into))),
            "deflate" => Coding::Deflate,
            "br" => Coding::Brotli(Box::new(brotli_decompressor::DecompressorWriter::new(
                into,
                BROTLI_BUFFER_BYTES,
            ))),
            _ => {
                let name = coding.chars().take(NAME_CHARS_MAX).collect();
                return Err(NotDecoded::UnknownCoding(name));
            }
        })))
    }

    /// Decodes the next piece of the body.
    ///
    /// # Errors
    /// When it is malformed, or decodes to more than `bytes_max`.
    pub(crate) fn decode(&mut self, data: &[u8], bytes_max: usize) -> Result<Bytes, NotDecoded> {
        self.begin(data);
        if let Some(decoded) = self.decoded() {
            decoded.bytes_max = bytes_max;
        }
        for piece in data.chunks(PIECE_BYTES) {
            if let Err(error) = self.write(piece) {
                return Err(match error.kind() {
                    io::ErrorKind::FileTooLarge => NotDecoded::TooLarge,
                    _ => NotDecoded::Malformed(self.name()),
                });
            }
        }
        Ok(self
            .decoded()
            .map(|decoded| std::mem::take(&mut decoded.bytes))
            .unwrap_or_default()
            .into())
    }

    /// Finds out which `deflate` it is. Servers send the raw form, too.
    fn begin(&mut self, data: &[u8]) {
        if let (Coding::Deflate, Some(first)) = (&self.0, data.first()) {
            let into = Decoded { bytes: Vec::new(), bytes_max: 0 };
            // The method of compression, and a window that exists (RFC 1950 §2.2).
            let has_header = first & 0x0f == 8 && first >> 4 <= 7;
            self.0 = if has_header {
                Coding::Zlib(Box::new(ZlibDecoder::new(into)))
            } else {
                Coding::RawDeflate(Box::new(DeflateDecoder::new(into)))
            };
        }
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        let decoder: &mut dyn Write = match &mut self.0 {
            Coding::Gzip(decoder) => decoder,
            Coding::Zlib(decoder) => decoder,
            Coding::RawDeflate(decoder) => decoder,
            Coding::Brotli(decoder) => decoder,
            Coding::Deflate => return Ok(()),
        };
        decoder.write_all(piece)?;
        // Events must not wait in the decoder for those that follow.
        decoder.flush()
    }

    fn decoded(&mut self) -> Option<&mut Decoded> {
        match &mut self.0 {
            Coding::Gzip(decoder) => Some(decoder.get_mut()),
            Coding::Zlib(decoder) => Some(decoder.get_mut()),
            Coding::RawDeflate(decoder) => Some(decoder.get_mut()),
            Coding::Brotli(decoder) => Some(decoder.get_mut()),
            Coding::Deflate => None,
        }
    }

    fn name(&self) -> &'static str {
        match self.0 {
            Coding::Gzip(_) => "gzip",
            Coding::Deflate | Coding::Zlib(_) | Coding::RawDeflate(_) => "deflate",
            Coding::Brotli(_) => "br",
        }
    }
}

impl std::fmt::Debug for BodyDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BodyDecoder({})", self.name())
    }
}

impl Write for Decoded {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::{HeaderMap, HeaderValue, header};

    use super::{BodyDecoder, NotDecoded};

    const TEXT: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    /// `TEXT` as brotli: one block that is not compressed, then the end.
    const BROTLI: &[u8] = b"\x8b\x11\x80{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\x03";

    fn decoder(coding: &'static str) -> Result<Option<BodyDecoder>, NotDecoded> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        BodyDecoder::new(&headers)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_common_coding_is_decoded_in_pieces_of_any_size() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(TEXT).unwrap();
        let (zlib, raw) = (zlib.finish().unwrap(), raw.finish().unwrap());
        for (coding, encoded) in [
            ("gzip", gzip(TEXT)),
            ("X-GZIP", gzip(TEXT)),
            ("deflate", zlib),
            ("Deflate", raw),
            ("br", BROTLI.to_vec()),
        ] {
            for size in [1, 7, 1000] {
                let mut decoder = decoder(coding).unwrap().unwrap();
                let mut decoded = Vec::new();
                for piece in encoded.chunks(size) {
                    decoded.extend_from_slice(&decoder.decode(piece, 1000).unwrap());
                }
                assert_eq!(decoded, TEXT, "{coding} in pieces of {size}");
            }
        }
    }

    #[test]
    fn events_come_out_as_soon_as_they_are_flushed() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut decoder = decoder("gzip").unwrap().unwrap();
        for event in ["data: one\n\n", "data: two\n\n"] {
            encoder.write_all(event.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let sent = std::mem::take(encoder.get_mut());
            assert_eq!(decoder.decode(&sent, 1000).unwrap(), event.as_bytes());
        }
    }

    #[test]
    fn a_bomb_is_refused_and_so_is_nonsense() {
        let bomb = gzip(&vec![0; 10 << 20]);
        let mut gzip = decoder("gzip").unwrap().unwrap();
        assert_eq!(gzip.decode(&bomb, 1 << 20), Err(NotDecoded::TooLarge));
        let mut nonsense = decoder("gzip").unwrap().unwrap();
        assert_eq!(nonsense.decode(b"no gzip at all", 1000), Err(NotDecoded::Malformed("gzip")));
        assert!(decoder("identity").unwrap().is_none());
        assert!(BodyDecoder::new(&HeaderMap::new()).unwrap().is_none());
        for unknown in ["zstd", "gzip, br"] {
            assert!(matches!(decoder(unknown), Err(NotDecoded::UnknownCoding(_))), "{unknown}");
        }
    }
}
