//! Verdicts on answers. One piece of code for the guest `rest`, the host and the offline checks.
//!
//! | function | question |
//! |---|---|
//! | [`judge`] | does this connection work, and whose is it? |
//! | [`failure_for`] | what does this refusal mean? |
//! | [`action_result`] | what did the action yield? |
//! | [`poll_page`] | which events are new, and where to go on? |
//! | [`outgoing`] | how are the requests of a sign-in written? |
//! | [`token_answer`] | what tokens does this answer carry, or why none? |
//!
//! Nothing here repeats an answer's body to a person: what is said comes from the manifest or from a fixed list.

pub mod outgoing;
mod poll;
mod token;
mod verdict;

pub use poll::{PollPage, poll_page};
pub use token::{TokenAnswer, TokenError, TokenErrorKind, TokenJson, token_answer};
pub use verdict::{Account, Failure, Means, action_result, failure_for, judge};

#[cfg(test)]
mod tests;
