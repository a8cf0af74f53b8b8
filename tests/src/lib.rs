//! Drives the built binary against real parts.
