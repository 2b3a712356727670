//! JSON-RPC and MCP on paper: bytes to envelopes and back, without loss and without I/O.
