//! What happened: the audit trail and the product's events, one list. Scope `manage`.

use axum::extract::State;
use keyport_connect::view::{EventView, KeyScope, Page};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{Answer, Json, Problems};
use crate::auth::Platform;
use crate::extract::Query;
use crate::state::ServerState;

/// Which events to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Only this owner's.
    owner: Option<String>,
    /// From an earlier page's `next_cursor`.
    cursor: Option<String>,
    /// At most this many, 1 to 200; 50 when absent.
    limit: Option<usize>,
}

/// List events
///
/// In the order in which they happened. Never a secret.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventsQuery),
    responses((status = 200, description = "One page of them", body = Page<EventView>), Problems))]
pub(crate) async fn list_events(
    State(state): State<ServerState>,
    key: Platform,
    Query(query): Query<EventsQuery>,
) -> Answer<Json<Page<EventView>>> {
    key.with(KeyScope::Manage)?;
    Ok(Json(
        state
            .engine()
            .events(query.owner.as_deref(), query.cursor.as_deref(), query.limit)
            .await?,
    ))
}
