//! The only crate that starts a process or opens a connection to a server. Does not know who the client is.
