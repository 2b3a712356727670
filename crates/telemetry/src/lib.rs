//! Typed events, the catalogue of metric names, and logs.
