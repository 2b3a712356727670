//! From text to settings: the only reader of configuration files and of the environment.
