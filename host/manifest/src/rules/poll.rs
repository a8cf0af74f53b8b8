//! What a polling trigger finds: which events are new, and where to go on.
//!
//! With a declared `cursor` the app itself tells new from old. Without one the keys of the events last listed are
//! remembered in the cursor, `{"seen": […]}`, so that an app that only lists its newest items works too. Events of one poll
//! with the same key are one event.
//!
//! Where the manifest says how pages are followed, one poll reads several ([`PollRun`]): of a list that begins with the newest,
//! as far as the first event that is known, and of the very first poll the first page only, for it sets the mark.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::pages::{NextStep, Progress, first_page, next_page, page_items};
use super::verdict::{Failure, Means, accepted};
use crate::message::{PlainRequest, PlainResponse};
use crate::model::{Order, Trigger};
use crate::scope::Scope;
use crate::template::{RenderError, Slot};

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

/// Reads the answer to a poll of one page. `previous` is the cursor that the request was made with.
///
/// # Errors
/// What the refusal means; or that the answer does not list events as the manifest says.
pub fn poll_page(
    trigger: &Trigger,
    scope: &Scope,
    previous: Option<&Value>,
    response: &PlainResponse,
) -> Result<PollPage, Failure> {
    let items = listed(trigger, &judged(trigger, response)?);
    summed(trigger, scope, previous, vec![items], response, false)
}

/// What tells an event from others, or `None` where the manifest does not say.
///
/// # Errors
/// When the event has no such key.
pub fn dedupe_key(
    trigger: &Trigger,
    scope: &Scope,
    event: &Value,
) -> Result<Option<String>, Failure> {
    let Some(dedupe) = &trigger.dedupe else {
        return Ok(None);
    };
    let mut scope = scope.clone();
    scope.set("item", event.clone());
    dedupe
        .render(&scope, Slot::Raw)
        .map(Some)
        .map_err(|_| keyless())
}

fn keyless() -> Failure {
    unexpected("the app listed an event without the id that tells it from others")
}

fn unexpected(say: &str) -> Failure {
    Failure::new(Means::Other, say)
}

/// One poll over all its pages. Whoever drives it sends [`PollRun::request`] and hands the answer to [`PollRun::read`], as long
/// as that says so.
pub struct PollRun<'a> {
    trigger: &'a Trigger,
    scope: &'a Scope,
    previous: Option<&'a Value>,
    request: PlainRequest,
    pages: Vec<Vec<Value>>,
    /// The answer with the newest events: what `cursor` and `more` look at.
    newest: PlainResponse,
    progress: Progress,
    cut: bool,
}

impl<'a> PollRun<'a> {
    /// Begins. `scope` holds `input` and `cursor`, besides what is known of the connection.
    ///
    /// # Errors
    /// When the trigger declares no request (`None`), or it cannot be written.
    pub fn new(
        trigger: &'a Trigger,
        scope: &'a Scope,
        previous: Option<&'a Value>,
    ) -> Result<Self, Option<RenderError>> {
        let spec = trigger.request.as_ref().ok_or(None)?;
        let request = spec.build(scope).map_err(Some)?;
        let request = match &trigger.pagination {
            Some(pagination) => first_page(pagination, &request),
            None => request,
        };
        Ok(Self {
            trigger,
            scope,
            previous,
            request,
            pages: Vec::new(),
            newest: PlainResponse::default(),
            progress: Progress::default(),
            cut: false,
        })
    }

    /// The request to send now.
    #[must_use]
    pub fn request(&self) -> &PlainRequest {
        &self.request
    }

    /// Takes an answer; whether there is another request to send.
    ///
    /// # Errors
    /// What the refusal means, or that the next page cannot be found.
    pub fn read(&mut self, response: PlainResponse) -> Result<bool, Failure> {
        let body = judged(self.trigger, &response)?;
        let items = listed(self.trigger, &body);
        let newest_first = self.trigger.order == Order::NewestFirst;
        let marks = newest_first && self.previous.is_none();
        let met = newest_first && self.meets_known(&items);
        self.progress.pages += 1;
        self.progress.items += items.len();
        self.pages.push(items);
        let goes_on = match &self.trigger.pagination {
            Some(pagination) if !marks && !met => {
                match next_page(pagination, &self.request, &response, &body, self.progress) {
                    NextStep::Read(next) => {
                        self.request = next;
                        true
                    }
                    NextStep::Done => false,
                    NextStep::Limit => {
                        self.cut = true;
                        false
                    }
                    NextStep::Lost => {
                        return Err(unexpected(
                            "the app says where its next page is in a way that cannot be followed",
                        ));
                    }
                }
            }
            _ => false,
        };
        if !newest_first || self.progress.pages == 1 {
            self.newest = response;
        }
        Ok(goes_on)
    }

    /// What it found.
    ///
    /// # Errors
    /// When the answers do not list events as the manifest says.
    pub fn finish(self) -> Result<PollPage, Failure> {
        summed(
            self.trigger,
            self.scope,
            self.previous,
            self.pages,
            &self.newest,
            self.cut,
        )
    }

    /// Whether one of these is remembered from the last time, where the keys are what is remembered.
    fn meets_known(&self, items: &[Value]) -> bool {
        let seen = seen(self.trigger, self.previous);
        !seen.is_empty()
            && items.iter().any(|item| {
                let key = dedupe_key(self.trigger, self.scope, item);
                key.is_ok_and(|key| key.is_some_and(|key| seen.contains(key.as_str())))
            })
    }
}

fn judged(trigger: &Trigger, response: &PlainResponse) -> Result<Value, Failure> {
    accepted(
        &trigger.ok,
        &trigger.failures,
        trigger.request.as_ref(),
        response,
    )
}

/// The events of one page, in the app's order.
pub(super) fn listed(trigger: &Trigger, body: &Value) -> Vec<Value> {
    match (&trigger.items, &trigger.pagination) {
        (Some(path), _) if path.is_singular() => path
            .first(body)
            .cloned()
            .into_iter()
            .flat_map(list)
            .collect(),
        (Some(path), _) => path.select(body).into_iter().cloned().collect(),
        (None, Some(pagination)) => page_items(pagination, body),
        (None, None) => list(body.clone()),
    }
}

/// The keys that the cursor remembers, where no cursor of the app's is declared.
fn seen<'v>(trigger: &Trigger, previous: Option<&'v Value>) -> HashSet<&'v str> {
    match (&trigger.cursor, previous) {
        (None, Some(cursor)) => cursor
            .get("seen")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect(),
        _ => HashSet::new(),
    }
}

fn summed(
    trigger: &Trigger,
    scope: &Scope,
    previous: Option<&Value>,
    pages: Vec<Vec<Value>>,
    response: &PlainResponse,
    cut: bool,
) -> Result<PollPage, Failure> {
    let mut items: Vec<Value> = pages.into_iter().flatten().collect();
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

    let seen = seen(trigger, previous);
    let mut here = HashSet::new();
    let mut keys: Vec<String> = Vec::new();
    let mut events: Vec<Value> = Vec::new();
    let newest = items.last().cloned();
    for item in items {
        if let Some(dedupe) = &trigger.dedupe {
            scope.set("item", item.clone());
            let key = dedupe.render(&scope, Slot::Raw).map_err(|_| keyless())?;
            if !here.insert(key.clone()) {
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
    let body = response.decoded(decode);
    let more = trigger
        .more
        .as_ref()
        .is_some_and(|c| c.holds(response, &body));
    // Of a list that was not read to its end, the rest is asked for from its newest event on.
    let more = more || (cut && trigger.order == Order::OldestFirst && trigger.cursor.is_some());
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

/// The newest keys of this poll, then older ones while there is room.
fn remember(keys: Vec<String>, previous: Option<&Value>) -> Vec<String> {
    let mut all = keys;
    let spare = all.len().saturating_sub(MAX_SEEN);
    all.drain(..spare);
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
