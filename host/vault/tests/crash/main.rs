//! What survives what: `store.md` part 4, lines 1 to 12 and 15, a test each, named after its line.
//!
//! The short form of each takes seconds; `KEYPORT_PROOF=full` runs the whole numbers. Whatever is random prints its seed.
//!
//! | file | lines |
//! |---|---|
//! | `kill.rs` | 1 killed at random, 3 killed while starting, 15 a second process; and that no secret stands in the files |
//! | `power.rs` | 2 the loss of every byte that no fsync covered, in any mixture |
//! | `damage.rs` | 4 left-over files, 6 bits flipped and tails cut, 7 one damaged part, 8 missing files |
//! | `faults.rs` | 9 ENOSPC and EIO at each call, 10 the end of the process at each call |
//! | `soak.rs` | 11 no stall, 12 disk and memory |
//! | `proof.rs`, `shim.c` | the process that is hurt, and what hurts it |
//!
//! Line 5 (a journal torn at every byte) is beside the journal, in `src/store/sled/journal_tests.rs`.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may be blunt"
)]

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod faults;
mod kill;
mod power;
mod proof;
mod soak;
