//! The gateway itself, in the process of the test, with real servers behind it.

mod exec;
mod hub;
mod non_mcp;
mod restore;
mod scene;
mod topology;
