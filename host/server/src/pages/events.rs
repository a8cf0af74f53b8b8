//! What changed, for an open page: server-sent events that say *which* flow or connection, never *what* about it.
//!
//! The page asks again by the ordinary routes, so a lost, late or doubled event costs one request and is never a wrong
//! picture. A stream that could not keep up gets one `tick`: look at everything again.
//!
//! Threat: another owner's ids (filtered here), and a page that stays open keeping its session alive for ever: a
//! stream outlives the idle time, so it is reopened, and the cookie checked, only once an idle session has ended.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, StreamExt as _};
use keyport_connect::Engine;
use keyport_connect::view::Change;
use serde_json::json;
use tokio_stream::wrappers::BroadcastStream;

use crate::Problem;
use crate::auth::PageSession;

/// A session may be idle for 30 minutes.
const LONGEST: Duration = Duration::from_secs(31 * 60);
/// Proxies in front cut connections that say nothing, commonly after 60 seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// `GET /page/events`
pub(super) async fn stream(
    State(engine): State<Engine>,
    session: PageSession,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let owner = session.0.owner.to_string();
    let events = BroadcastStream::new(engine.watch())
        .filter_map(move |change| std::future::ready(tell(change.ok(), &owner)))
        .take_until(Box::pin(tokio::time::sleep(LONGEST)))
        .map(Ok);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The event for one change; none for another owner's. `None` is what a receiver that lagged has missed.
fn tell(change: Option<Change>, owner: &str) -> Option<Event> {
    let data = match change {
        Some(change) if change.owner == owner => json!({ "kind": change.kind, "id": change.id }),
        Some(change) if change != Change::look_again() => return None,
        Some(_) | None => json!({ "kind": "tick" }),
    };
    Some(Event::default().data(data.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(owner: &str) -> Option<Change> {
        Some(Change {
            kind: "connection".into(),
            id: "con_1".into(),
            owner: owner.into(),
        })
    }

    #[test]
    fn a_page_hears_of_its_own_owner_only() {
        assert!(tell(change("ada"), "ada").is_some());
        assert!(tell(change("bob"), "ada").is_none());
    }

    #[test]
    fn a_page_that_missed_something_is_told_to_look_again() {
        for missed in [None, Some(Change::look_again())] {
            let event = format!("{:?}", tell(missed, "ada"));
            assert!(event.contains("tick"), "{event}");
        }
    }
}
