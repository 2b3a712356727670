//! The admin API: one module for each resource, with its types, its routes and its handlers. `status`,
//! `servers`, `services`, `limits`, `graph`, `sessions` and `pools` have only types, which [`Source`](crate::Source)
//! returns; their handlers are in `numbers`.
//!
//! The types here are what goes over the wire, in answers and in `openapi.json`; the command line reads the
//! same ones. A handler translates and decides nothing: facts come from [`Source`](crate::Source), changes
//! are carried out by [`Actions`](crate::Actions).

pub mod actions;
pub mod audit;
pub mod breakers;
pub mod commands;
pub mod configuration;
pub mod events;
pub mod graph;
pub mod health;
pub mod limits;
pub mod logs;
pub mod metrics;
mod node_state;
pub mod nodes;
pub mod numbers;
pub mod openapi;
pub mod pools;
pub mod problem;
pub mod servers;
pub mod services;
pub mod sessions;
pub mod status;
pub mod verify;
mod words;
