//! Attacks on the egress, each against real servers on loopback.
//!
//! Servers are reached as an operator would let them be reached: over an origin override, or (with TLS)
//! over an exception for one loopback address and an extra root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod answers;
mod credentials;
mod fuzz;
mod identity;
mod network;
mod pooling;
mod redirects;
mod requests;
mod upstream;
