//! What the answer to one step of a session's log-in gives: captures for the steps after it, and when the session ends.
//!
//! Only what is declared is kept, each value held to its declared form, for a session's answers come from outside like
//! anything else. Sending the steps, and keeping what they gave, is the host's.

use serde_json::Value;

use super::discovery::{Captures, captures_of};
use super::expiry::{Lifetime, lifetime};
use super::verdict::{Failure, Means, accepted};
use crate::message::PlainResponse;
use crate::model::Session;
use crate::scope::Scope;

/// What a step gave. Holds secrets: no `Debug`.
pub struct StepAnswer {
    /// What is kept of it.
    pub captures: Captures,
    /// When the session ends; of the last step alone, for before it there is no session.
    pub lifetime: Option<Lifetime>,
}

/// Reads the answer to step `number` (from 0) of a log-in. `scope` is the one that its request was rendered with: an expiry
/// may name a capture of an earlier step.
///
/// # Errors
/// What the refusal means; or that there is no such step, or that the answer lacks what the manifest keeps of it.
pub fn session_step(
    session: &Session,
    number: usize,
    scope: &Scope,
    response: &PlainResponse,
    now_unix: i64,
) -> Result<StepAnswer, Failure> {
    let Some(step) = session.steps.get(number) else {
        return Err(Failure::new(
            Means::Other,
            "this way to sign in has no such step",
        ));
    };
    let body = accepted(&step.ok, &step.failures, Some(&step.request), response)?;
    let captures = captures_of(&step.capture, &body, response)?;
    let last = number + 1 == session.steps.len();
    let named = |name: &str| {
        let secret = captures.secret.get(name).map(|s| s.expose().to_owned());
        secret
            .or_else(|| captures.public.get(name).cloned())
            .or_else(|| {
                let earlier = scope.get("capture", name).and_then(Value::as_str);
                earlier.map(str::to_owned)
            })
    };
    let lifetime = last.then(|| match &session.expiry {
        Some(expiry) => lifetime(expiry, &body, named, now_unix),
        None => Lifetime::Unknown,
    });
    Ok(StepAnswer { captures, lifetime })
}
