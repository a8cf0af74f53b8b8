//! The audit trail made tamper-evident: events are numbered and chained with a keyed MAC.
//!
//! | file | what |
//! |---|---|
//! | `chain.rs` | the numbers and MACs; pure |
//! | `keep.rs` | chaining what has happened, some seconds after it has |
//! | `look.rs` | exporting, and proving that nothing was changed, removed, put in or cut off |
//! | `position.rs` | a whole older store that was put back is told at the start |
//! | `age.rs` | what is older than it is to be kept goes, from the front |
//!
//! An event itself is durable in the commit of what it tells (see [`crate::event`]); it is chained soon after, in batches, by one
//! host at a time. So the trail costs a request nothing, and no two requests wait for each other because both are audited.
//!
//! **What can be told**: an event that was edited, deleted, exchanged, put in or moved, and a beginning that was cut off. **Against
//! an anchor**, the last line of an export that is kept off the machine: an end that was cut off, or a whole older store that was
//! put back. **Not**: what happened in the seconds before it was chained, should somebody delete it from the store in them.

mod age;
mod chain;
mod keep;
mod look;
mod position;

pub use self::look::{AuditLine, AuditReport};
pub use self::position::Position;
