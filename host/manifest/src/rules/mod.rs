//! Verdicts on answers. One piece of code for the guest `rest`, the host and the offline checks.
//!
//! | function | question |
//! |---|---|
//! | [`judge`] | does this connection work, and whose is it? |
//! | [`judge_call`], [`refused_by_all`] | the same for several test calls, one after the other |
//! | [`discovered`] | which site or workspace is meant? |
//! | [`next_page`] | where is the next page, if there is one? |
//! | [`failure_for`] | what does this refusal mean? |
//! | [`action_result`], [`ActionRun`] | what did the action yield? by one answer, by several |
//! | [`input_choices`] | what can an input be, by what an action lists? |
//! | [`poll_page`], [`PollRun`] | which events are new, and where to go on? over one page, over several |
//! | [`dedupe_key`] | which event is it? |
//! | [`verify_hook`], [`challenged`], [`hook_events`], [`hook_is_ours`] | is a call the app's, what does it want, what does it bring, and for whom? |
//! | [`hook_tenant`], [`connection_tenant`], [`hook_is_wanted`] | whom is a call to an app's one address about, and who wants it? |
//! | [`subscribed`] | what is kept of the answer to a subscription? |
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
mod capture;
mod choices;
mod discovery;
mod expiry;
mod oauth1;
pub mod outgoing;
mod pages;
mod poll;
mod run;
mod session;
mod token;
mod verdict;
mod webhook;

pub use callback::{CallbackError, Returned, query_signed, returned};
pub use choices::{InputChoice, input_choices};
pub use discovery::{Captures, Discovered, DiscoveryChoice, discovered};
pub use expiry::{Lifetime, lifetime};
pub use oauth1::{Oauth1Token, oauth1_answer, temporary_credentials};
pub use pages::{NextStep, Progress, first_page, next_page, page_items};
pub use poll::{PollPage, PollRun, dedupe_key, poll_page};
pub use run::ActionRun;
pub use session::{StepAnswer, session_step};
pub use token::{
    SecondAnswer, TokenAnswer, TokenError, TokenErrorKind, TokenJson, exchange_answer, prolonged,
    refresh_answer, token_answer,
};
pub use verdict::{
    Account, Failure, Means, action_result, failure_for, judge, judge_call, refused_by_all,
};
pub use webhook::{
    HookCall, HookRefusal, challenged, connection_tenant, hook_events, hook_is_ours,
    hook_is_wanted, hook_tenant, subscribed, verify_hook,
};

#[cfg(test)]
mod signin_tests;
#[cfg(test)]
mod tests;
