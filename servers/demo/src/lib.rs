//! Demonstration servers that live inside the binary.
