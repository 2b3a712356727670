//! The way of a request: listeners, client transports, the one pipeline, drain.
