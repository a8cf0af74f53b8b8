//! Verdicts on answers. One piece of code for the guest `rest`, the host and the offline checks.
//!
//! | function | question |
//! |---|---|
//! | [`judge`] | does this connection work, and whose is it? |
//! | [`judge_call`], [`refused_by_all`] | the same for several test calls, one after the other |
//! | [`discovered`] | which site or workspace is meant? |
//! | [`next_page`] | where is the next page, if there is one? |
//! | [`failure_for`] | what does this refusal mean? |
//! | [`action_result`] | what did the action yield? |
//! | [`poll_page`] | which events are new, and where to go on? |
//! | [`outgoing`] | how are the requests of a sign-in written? |
//! | [`token_answer`], [`refresh_answer`] | what tokens does this answer carry, or why none? |
//! | [`prolonged`] | for how long does a refresh without tokens make the old ones live? |
//! | [`exchange_answer`] | the same of the further exchange that some apps need |
//! | [`temporary_credentials`], [`oauth1_answer`] | the same of an OAuth 1.0a server |
//! | [`returned`] | what does a callback bring along? |
//! | [`session_step`] | what does a step of a log-in give, and when does the session end? |
//! | [`lifetime`] | when does a token end? |
//!
//! Nothing here repeats an answer's body to a person: what is said comes from the manifest or from a fixed list.

mod callback;
mod discovery;
mod expiry;
mod oauth1;
pub mod outgoing;
mod pages;
mod poll;
mod session;
mod token;
mod verdict;

pub use callback::{CallbackError, Returned, query_signed, returned};
pub use discovery::{Captures, Discovered, DiscoveryChoice, discovered};
pub use expiry::{Lifetime, lifetime};
pub use oauth1::{Oauth1Token, oauth1_answer, temporary_credentials};
pub use pages::{NextStep, Progress, first_page, next_page, page_items};
pub use poll::{PollPage, poll_page};
pub use session::{StepAnswer, session_step};
pub use token::{
    SecondAnswer, TokenAnswer, TokenError, TokenErrorKind, TokenJson, exchange_answer, prolonged,
    refresh_answer, token_answer,
};
pub use verdict::{
    Account, Failure, Means, action_result, failure_for, judge, judge_call, refused_by_all,
};

#[cfg(test)]
mod signin_tests;
#[cfg(test)]
mod tests;
