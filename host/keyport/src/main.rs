//! The `keyport` binary.
fn main() {}
