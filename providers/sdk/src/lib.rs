//! Write a Keyport provider in Rust: one trait, one macro.
