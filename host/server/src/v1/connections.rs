//! Connections as things: list, get, import, rename, delete. What one does *with* them is in `verbs` and `using`.

use axum::extract::State;
use http::StatusCode;
use keyport_connect::view::{
    ConnectionQuery, ConnectionState, ConnectionView, KeyScope, NewImport, Page,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::answer::{Answer, Created, Json, Problems, Tagged};
use crate::auth::Platform;
use crate::extract::{IfMatch, Json as Body, Path, Query};
use crate::state::ServerState;

/// Those who connect need to see what there is.
const READERS: [KeyScope; 2] = [KeyScope::Manage, KeyScope::Connect];

/// Which connections to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConnectionsQuery {
    /// Only this owner's; everybody's when absent.
    owner: Option<String>,
    /// Only this app's.
    app: Option<String>,
    /// Only in this state.
    state: Option<ConnectionState>,
    /// From an earlier page's `next_cursor`.
    cursor: Option<String>,
    /// At most this many, 1 to 200; 50 when absent.
    limit: Option<usize>,
}

impl From<ConnectionsQuery> for ConnectionQuery {
    fn from(
        ConnectionsQuery {
            owner,
            app,
            state,
            cursor,
            limit,
        }: ConnectionsQuery,
    ) -> Self {
        ConnectionQuery {
            owner,
            app,
            state,
            cursor,
            limit,
        }
    }
}

/// What may be changed of a connection directly.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionPatch {
    /// The new title.
    title: String,
}

/// List connections
#[utoipa::path(get, path = "/v1/connections", tag = "connections", params(ConnectionsQuery),
    responses((status = 200, description = "One page of them", body = Page<ConnectionView>), Problems))]
pub(crate) async fn list_connections(
    State(state): State<ServerState>,
    key: Platform,
    Query(query): Query<ConnectionsQuery>,
) -> Answer<Json<Page<ConnectionView>>> {
    let actor = key.with_any(&READERS)?;
    Ok(Json(state.engine().list(&actor, &query.into()).await?))
}

/// Import existing credentials
///
/// They are tested first; what does not work is not kept.
#[utoipa::path(post, path = "/v1/connections", tag = "connections",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeating a request under one key does it once")),
    request_body(content = NewImport,
        example = json!({"owner": "user-17", "app": "stripe", "method": "api_key", "fields": {"api_key": "…"}})),
    responses((status = 201, description = "Connected", body = ConnectionView), Problems))]
pub(crate) async fn import_connection(
    State(state): State<ServerState>,
    key: Platform,
    Body(new): Body<NewImport>,
) -> Answer<Created<Tagged<ConnectionView>>> {
    let actor = key.with(KeyScope::Connect)?;
    let made = state.engine().import(&actor, new).await?;
    Ok(Created {
        at: format!("/v1/connections/{}", made.id),
        answer: Tagged(made),
    })
}

/// Get a connection
#[utoipa::path(get, path = "/v1/connections/{id}", tag = "connections",
    params(("id" = String, Path, description = "`con_…`")),
    responses((status = 200, description = "The connection", body = ConnectionView), Problems))]
pub(crate) async fn get_connection(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Tagged<ConnectionView>> {
    let actor = key.with_any(&READERS)?;
    Ok(Tagged(state.engine().get(&actor, &id).await?))
}

/// Rename a connection
///
/// With `If-Match`, only if nobody changed it since (412).
#[utoipa::path(patch, path = "/v1/connections/{id}", tag = "connections",
    params(("id" = String, Path, description = "`con_…`"),
        ("If-Match" = Option<String>, Header, description = "The etag as you read it")),
    request_body(content = ConnectionPatch, example = json!({"title": "Work account"})),
    responses((status = 200, description = "Renamed", body = ConnectionView), Problems))]
pub(crate) async fn rename_connection(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(patch): Body<ConnectionPatch>,
) -> Answer<Tagged<ConnectionView>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Tagged(
        state
            .engine()
            .rename(&actor, &id, &patch.title, if_match.as_deref())
            .await?,
    ))
}

/// Delete a connection
///
/// Revokes the grant where the app can be asked to, destroys the credentials and removes the row.
#[utoipa::path(delete, path = "/v1/connections/{id}", tag = "connections",
    params(("id" = String, Path, description = "`con_…`")),
    responses((status = 204, description = "Gone"), Problems))]
pub(crate) async fn delete_connection(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let actor = key.with(KeyScope::Manage)?;
    state.engine().delete(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
