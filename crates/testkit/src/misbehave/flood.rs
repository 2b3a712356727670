//! Output without a pause, in blocks so large that a reader never catches up.

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::flags::Flags;

/// A block that is sent again and again, between the messages.
#[derive(Debug, Clone)]
pub(super) struct Flood {
    block: Bytes,
    begun: CancellationToken,
}

/// Bytes of a block.
const BLOCK_BYTES: usize = 32 << 10;

// === impl Flood ===

impl Flood {
    /// The flood that the flags ask for: events if `events`, else lines. It begins once `begun` is
    /// cancelled.
    pub(super) fn new(flags: &Flags, events: bool, begun: &CancellationToken) -> Option<Self> {
        let text = match flags.text("without-pause")? {
            "notes" => {
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"debug","data":0}}"#
            }
            "strays" => "nonsense",
            // Events or lines of nothing.
            _ => "",
        };
        let piece = match (events, text) {
            (true, "") => ":\n\n".to_owned(),
            (true, text) => format!("data: {text}\n\n"),
            (false, text) => format!("{text}\n"),
        };
        let block = piece.repeat(BLOCK_BYTES / piece.len()).into();
        Some(Self { block, begun: begun.clone() })
    }

    /// The next block. Pending for ever where nothing is flooded.
    pub(super) async fn next(flood: Option<&Self>) -> Bytes {
        match flood {
            Some(flood) => {
                flood.begun.cancelled().await;
                flood.block.clone()
            }
            None => std::future::pending().await,
        }
    }
}
