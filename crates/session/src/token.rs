//! Session ids: encrypted tokens that clients can neither guess nor alter.
//!
//! A token contains what is needed to restore its session, so opening a session needs no disk write. It
//! is encrypted and authenticated with XChaCha20-Poly1305 under the key of the state folder.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};

/// The contents of a token: what a session starts with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user of the session. No other user may use it.
    pub principal: String,
    /// The negotiated protocol revision.
    pub revision: String,
    /// The client's capabilities as JSON, reduced to those that servers act on.
    pub capabilities: String,
    /// The endpoint of the session: `""` for `/mcp`, or the name of a server or a group.
    pub endpoint: String,
    /// When the session was opened, in seconds since 1970-01-01 UTC.
    pub opened_at: u64,
    pub serial: Serial,
}

/// Identifies a session among all sessions that a state folder has ever had. Not a secret: it opens
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Serial {
    /// A random number that the daemon chose when it started.
    pub run: u64,
    /// The number of the session within that run of the daemon, counted from 1.
    pub number: u64,
}

/// The key of a state folder that tokens are sealed with.
#[derive(Clone)]
pub struct SealKey(XChaCha20Poly1305);

/// A session id: visible ASCII, safe in headers and URLs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Arc<str>);

const NONCE_BYTES: usize = 24;
/// The first plaintext byte. It separates tokens from other uses of the key and from other layouts.
const CONTEXT: u8 = 2;

// === impl SealKey ===

impl SealKey {
    pub const BYTES: usize = 32;

    pub fn new(key: [u8; Self::BYTES]) -> Self {
        Self(XChaCha20Poly1305::new(&key.into()))
    }

    /// Seals claims into a token. `nonce` must be random; it makes the token unguessable and unique.
    ///
    /// Returns `None` if encryption fails, which takes gigabytes of claims.
    pub fn seal(&self, claims: &Claims, nonce: [u8; NONCE_BYTES]) -> Option<Token> {
        let mut plain = vec![CONTEXT];
        serde_json::to_writer(&mut plain, claims).ok()?;
        let sealed = self.0.encrypt(&XNonce::from(nonce), plain.as_slice()).ok()?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Some(Token(URL_SAFE_NO_PAD.encode(bytes).into()))
    }

    /// Opens a token that was sealed with this key. Returns `None` for any other text.
    pub fn open(&self, text: &str) -> Option<(Token, Claims)> {
        let claims = self.unseal(text)?;
        Some((Token(text.into()), claims))
    }

    fn unseal(&self, token: &str) -> Option<Claims> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let plain = self.0.decrypt(&XNonce::from(*nonce), sealed).ok()?;
        match plain.split_first()? {
            (&CONTEXT, claims) => serde_json::from_slice(claims).ok(),
            _ => None,
        }
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

// === impl Token ===

impl Token {
    /// The empty token of a request without a session. No look-up finds it.
    pub fn none() -> Self {
        Self(Arc::default())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Writes no part of the token: whoever knows a token can use its session.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Claims, SealKey, Serial};

    fn claims() -> Claims {
        Claims {
            principal: "anonymous".into(),
            revision: "2025-11-25".into(),
            capabilities: r#"{"roots":{}}"#.into(),
            endpoint: "files".into(),
            opened_at: 1_790_000_000,
            serial: Serial { run: u64::MAX, number: 7 },
        }
    }

    #[test]
    fn a_token_gives_back_its_claims_and_only_under_its_key() {
        let key = SealKey::new([7; 32]);
        let token = key.seal(&claims(), [1; 24]).unwrap();
        assert_eq!(key.open(token.as_str()), Some((token.clone(), claims())));
        assert_eq!(SealKey::new([8; 32]).open(token.as_str()), None);
        assert!(token.as_str().bytes().all(|b| b.is_ascii_graphic()));
    }

    proptest! {
        #[test]
        fn an_altered_token_is_no_token(at in 0usize..200, with in "[A-Za-z0-9_-]") {
            let key = SealKey::new([7; 32]);
            let token = key.seal(&claims(), [1; 24]).unwrap();
            let mut altered = token.as_str().to_owned();
            let at = at % altered.len();
            altered.replace_range(at..=at, &with);
            // The last character of base64 has bits that carry nothing.
            prop_assume!(altered != token.as_str() && at + 1 < altered.len());
            prop_assert_eq!(key.open(&altered), None);
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in ".{0,300}") {
            prop_assert_eq!(SealKey::new([7; 32]).open(&text), None);
        }
    }
}
