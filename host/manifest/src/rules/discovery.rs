//! What a step of discovery found: which item is meant, and what is kept of it.
//!
//! The list comes from the app and is shown to a person, so labels are cut to one clean line, and what is captured is held to
//! its declared form like anything typed: an item cannot name a host that the manifest does not allow.

use indexmap::IndexMap;
use serde_json::Value;

use super::verdict::{Failure, Means, accepted, clean};
use crate::message::PlainResponse;
use crate::model::{Capture, Discovery, Pick};
use crate::scope::Scope;
use crate::secret::SecretText;
use crate::template::Slot;

/// Most items that a person is asked to choose from.
const MAX_CHOICES: usize = 500;

/// What is kept of an item. Holds secrets: no `Debug`.
#[derive(Default)]
pub struct Captures {
    /// Captures that may be shown.
    pub public: IndexMap<String, String>,
    /// Captures that are secret.
    pub secret: IndexMap<String, SecretText>,
}

/// One of several items that a person chooses from.
pub struct DiscoveryChoice {
    /// What the person sees.
    pub label: String,
    /// What is kept if they choose it.
    pub captures: Captures,
}

/// What a step of discovery found.
pub enum Discovered {
    /// The item that is meant.
    Item(Captures),
    /// The person must choose; in the order of the app's list.
    Ask(Vec<DiscoveryChoice>),
}

/// Reads the answer to a step of discovery. `scope` is the one that its request was rendered with.
///
/// # Errors
/// What the refusal means; or that there is nothing to choose, too much, or an item without what is kept of it.
pub fn discovered(
    step: &Discovery,
    scope: &Scope,
    response: &PlainResponse,
) -> Result<Discovered, Failure> {
    let other = |say: &str| Failure::new(Means::Other, say);
    let body = accepted(&step.ok, &step.failures, Some(&step.request), response)?;
    let Some(path) = &step.items else {
        return captures_of(&step.capture, &body, response).map(Discovered::Item);
    };
    let items: Vec<&Value> = match path.first(&body) {
        Some(Value::Array(items)) if path.is_singular() => items.iter().collect(),
        _ if path.is_singular() => Vec::new(),
        _ => path.select(&body),
    };
    let item = match (&step.pick, items.as_slice()) {
        (_, []) => {
            return Err(other(
                "the app lists nothing that this sign-in could be used with",
            ));
        }
        (Some(Pick::Ask), [only]) => only,
        (Some(Pick::Ask), many) => return ask(step, scope, many, response),
        (Some(Pick::First), [first, ..]) | (Some(Pick::Only) | None, [first]) => first,
        (Some(Pick::Only) | None, _) => {
            return Err(other("the app lists several things where one was expected"));
        }
        (Some(Pick::Match(condition)), many) => many
            .iter()
            .find(|item| condition.holds(response, item))
            .ok_or_else(|| other("nothing that the app lists is the one that is meant"))?,
    };
    captures_of(&step.capture, item, response).map(Discovered::Item)
}

fn ask(
    step: &Discovery,
    scope: &Scope,
    items: &[&Value],
    response: &PlainResponse,
) -> Result<Discovered, Failure> {
    if items.len() > MAX_CHOICES {
        return Err(Failure::new(
            Means::Other,
            "the app lists more than a person can choose from",
        ));
    }
    let mut scope = scope.with_response(response, step.request.decode);
    let mut choices = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        scope.set("item", (*item).clone());
        let label = step
            .label
            .as_ref()
            .and_then(|t| t.render(&scope, Slot::Raw).ok())
            .map(|label| clean(&label))
            .filter(|label| !label.is_empty())
            .unwrap_or_else(|| format!("{} {}", step.id, i + 1));
        choices.push(DiscoveryChoice {
            label,
            captures: captures_of(&step.capture, item, response)?,
        });
    }
    Ok(Discovered::Ask(choices))
}

/// What is kept of an item or of a session's answer, each value held to its declared form.
pub(super) fn captures_of(
    declared: &IndexMap<String, Capture>,
    item: &Value,
    response: &PlainResponse,
) -> Result<Captures, Failure> {
    let mut captures = Captures::default();
    for (id, capture) in declared {
        let Some(found) = capture.read(response, item, None) else {
            if capture.required {
                return Err(Failure::new(
                    Means::Other,
                    format!("the app's answer lacks `{id}`, which the manifest keeps of it"),
                ));
            }
            continue;
        };
        let value = capture.check(&found).ok_or_else(|| {
            Failure::new(
                Means::Other,
                format!("the app's answer has a `{id}` that is not of the declared form"),
            )
        })?;
        if capture.public {
            captures.public.insert(id.clone(), value);
        } else {
            captures.secret.insert(id.clone(), SecretText::new(value));
        }
    }
    Ok(captures)
}
