//! Events that the driver hands in, and effects that it carries out.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use mainstay_protocol::Message;

/// An action for the driver.
#[derive(Debug)]
pub(in crate::commands::connect) enum Effect {
    /// Write a message to the client.
    Say(Bytes),
    /// POST a message.
    Send { exchange: u64, message: Bytes, headers: HeaderMap, within: Duration },
    /// Open the stream for messages outside of calls, after the event with this id.
    Listen { exchange: u64, headers: HeaderMap, after: Option<String> },
    /// Close the exchange and ignore the rest of it.
    Abandon(u64),
    /// DELETE a session.
    Forget(HeaderMap),
    /// End the program. A last DELETE ends the session, if there is one.
    Leave { why: Leaving, farewell: Option<HeaderMap> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands::connect) enum Leaving {
    /// The client left.
    Done,
    /// No daemon was ever reached, for this reason.
    NoDaemon(String),
}

/// News of an exchange.
#[derive(Debug)]
pub(in crate::commands::connect) enum News {
    /// The answer carries this session id.
    Session(HeaderValue),
    /// The event id after which the stream can be resumed.
    Mark(String),
    Came(Message),
    Ended(End),
}

/// How an exchange ended.
#[derive(Debug)]
pub(in crate::commands::connect) enum End {
    /// The exchange is complete; its answer, if one was due, came before.
    Done,
    /// The message did not reach the daemon.
    Unreached(String),
    /// The message was sent, and its outcome is unknown.
    Lost(String),
    /// The session does not exist, so the message was not carried out.
    SessionGone,
    /// The daemon offers no stream for messages outside of calls.
    NoStream,
    Refused {
        status: StatusCode,
        body: Bytes,
    },
}
