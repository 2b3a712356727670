//! Events that the driver hands in, and effects that it carries out.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use mainstay_protocol::Message;

/// What the driver has to do.
#[derive(Debug)]
pub(in crate::commands::connect) enum Effect {
    /// Write a message to the client.
    Say(Bytes),
    /// POST a message.
    Send { exchange: u64, message: Bytes, headers: HeaderMap, within: Duration },
    /// Open the stream for messages outside of calls, after the event with this id.
    Listen { exchange: u64, headers: HeaderMap, after: Option<String> },
    /// Close the exchange: nobody wants to hear more of it.
    Abandon(u64),
    /// DELETE a session.
    Forget(HeaderMap),
    /// End, with a last word to the session if there is one.
    Leave { why: Leaving, farewell: Option<HeaderMap> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands::connect) enum Leaving {
    /// The client has left.
    Done,
    /// There was never a daemon, as far as is known for this reason.
    NoDaemon(String),
}

/// What became of an exchange so far.
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
    /// As expected; an answer, if one was due, has come before.
    Done,
    /// Nothing of the message has been taken in by anybody.
    Unreached(String),
    /// The message was sent, and the rest is unknown.
    Lost(String),
    /// The session does not exist, so the message was not looked at.
    SessionGone,
    /// There are no streams of this kind here.
    NoStream,
    Refused {
        status: StatusCode,
        body: Bytes,
    },
}
