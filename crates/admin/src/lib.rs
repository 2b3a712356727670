//! Health, metrics and the command socket, and the client the command line speaks with.
