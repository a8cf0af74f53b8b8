//! One page of a polling trigger: which events are new, and where to go on.
//!
//! With a declared `cursor` the app itself tells new from old. Without one the keys of the events last listed are
//! remembered in the cursor, `{"seen": […]}`, so that an app that only lists its newest items works too. Events of one page
//! with the same key are one event.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::verdict::{Failure, Means, accepted};
use crate::message::PlainResponse;
use crate::model::{Order, Trigger};
use crate::scope::Scope;
use crate::template::Slot;

/// Most keys that a cursor remembers; several pages of any app known.
const MAX_SEEN: usize = 1000;

/// New events, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct PollPage {
    /// The events.
    pub events: Vec<Value>,
    /// What to pass next time.
    pub cursor: Value,
    /// Whether there is more to fetch at once.
    pub more: bool,
}

/// Reads the answer to a poll. `previous` is the cursor that the request was made with.
///
/// # Errors
/// What the refusal means; or that the answer does not list events as the manifest says.
pub fn poll_page(
    trigger: &Trigger,
    scope: &Scope,
    previous: Option<&Value>,
    response: &PlainResponse,
) -> Result<PollPage, Failure> {
    let body = accepted(
        &trigger.ok,
        &trigger.failures,
        trigger.request.as_ref(),
        response,
    )?;
    let unexpected = |say: &str| Failure::new(Means::Other, say);
    let mut items: Vec<Value> = match &trigger.items {
        Some(path) if path.is_singular() => path
            .first(&body)
            .cloned()
            .into_iter()
            .flat_map(list)
            .collect(),
        Some(path) => path.select(&body).into_iter().cloned().collect(),
        None => list(body.clone()),
    };
    if trigger.order == Order::NewestFirst {
        items.reverse();
    }
    let decode = trigger
        .request
        .as_ref()
        .map(|r| r.decode)
        .unwrap_or_default();
    let mut scope = scope.with_response(response, decode);
    scope.set("cursor", previous.cloned().unwrap_or(Value::Null));

    let seen: HashSet<&str> = match (&trigger.cursor, previous) {
        (None, Some(cursor)) => cursor
            .get("seen")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect(),
        _ => HashSet::new(),
    };
    let mut keys: Vec<String> = Vec::new();
    let mut events: Vec<Value> = Vec::new();
    let newest = items.last().cloned();
    for item in items {
        if let Some(dedupe) = &trigger.dedupe {
            scope.set("item", item.clone());
            let key = dedupe.render(&scope, Slot::Raw).map_err(|_| {
                unexpected("the app listed an event without the id that tells it from others")
            })?;
            if keys.contains(&key) {
                continue;
            }
            let known = seen.contains(key.as_str());
            keys.push(key);
            if known {
                continue;
            }
        }
        events.push(item);
    }
    let cursor = match (&trigger.cursor, newest) {
        (Some(template), Some(newest)) => {
            scope.set("item", newest);
            template
                .value_optional(&scope)
                .map_err(|_| unexpected("the app's answer does not say where to go on"))?
                .unwrap_or(Value::Null)
        }
        (Some(_), None) => previous.cloned().unwrap_or(Value::Null),
        (None, _) => json!({ "seen": remember(keys, previous) }),
    };
    let more = trigger
        .more
        .as_ref()
        .is_some_and(|c| c.holds(response, &body));
    // A page that promises more but does not move on would be asked for again without end.
    let more = more && previous != Some(&cursor);
    Ok(PollPage {
        events,
        cursor,
        more,
    })
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// The keys of this page, then older ones while there is room.
fn remember(keys: Vec<String>, previous: Option<&Value>) -> Vec<String> {
    let mut all = keys;
    let mut known: HashSet<String> = all.iter().cloned().collect();
    let older = previous
        .and_then(|p| p.get("seen"))
        .and_then(Value::as_array);
    for key in older.into_iter().flatten().filter_map(Value::as_str) {
        if known.insert(key.to_owned()) {
            all.push(key.to_owned());
        }
    }
    all.truncate(MAX_SEEN);
    all
}
