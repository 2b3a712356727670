//! The tokens `admin` and `read`.

use std::hint::black_box;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use mainstay_model::Redacted;
use sha2::{Digest, Sha256};

use super::{Shown, bearer};

/// The tokens of one daemon. Both come from one secret, so they last as long as its file does.
#[derive(Debug, Clone)]
pub struct Tokens {
    admin: Redacted<String>,
    read: Redacted<String>,
}

/// What makes the `read` token of the secret. Whoever has the token can't get back to the secret.
const READ: &[u8] = b"mainstay read token\0";

// === impl Tokens ===

impl Tokens {
    /// Bytes of the secret.
    pub const BYTES: usize = 32;

    pub fn new(secret: &[u8; Self::BYTES]) -> Self {
        let read = Sha256::new().chain_update(READ).chain_update(secret).finalize();
        Self { admin: text(secret), read: text(&read) }
    }

    /// Opens everything.
    pub fn admin(&self) -> &Redacted<String> {
        &self.admin
    }

    /// Opens what can only be read: health, numbers and lists.
    pub fn read(&self) -> &Redacted<String> {
        &self.read
    }

    pub(super) fn shown(&self, headers: &HeaderMap) -> Shown {
        if !headers.contains_key(AUTHORIZATION) {
            return Shown::Nothing;
        }
        let Some(given) = bearer(headers) else { return Shown::Unknown };
        // Both are compared in any case, so that the time says nothing about which one it is.
        let (admin, read) = (same(given, self.admin.expose()), same(given, self.read.expose()));
        match (admin, read) {
            (true, _) => Shown::Admin,
            (_, true) => Shown::Read,
            (false, false) => Shown::Unknown,
        }
    }
}

fn text(bytes: &[u8]) -> Redacted<String> {
    Redacted::new(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether two texts are the same, in a time that depends on their lengths alone: an early end
/// would tell a guesser how much of a guess is right.
fn same(given: &str, token: &str) -> bool {
    let differing =
        given.bytes().zip(token.bytes()).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    given.len() == token.len() && differing == 0
}
