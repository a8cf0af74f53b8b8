//! What moves a connection from one state to another. Scope `manage`; `reconnect` opens a session: `connect`.

use std::collections::BTreeMap;

use axum::extract::State;
use keyport_connect::view::{
    ConnectionView, Disconnected, KeyScope, NewSession, SessionCreated, SessionKind, TestReport,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{Answer, Created, Json, Problems, Tagged};
use crate::auth::Platform;
use crate::extract::{Json as Body, OptionalJson, Path};
use crate::state::ServerState;

/// New values for a connection's fields.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDetails {
    /// By field id; a field that is absent keeps its value.
    fields: BTreeMap<String, String>,
}

/// How the browser takes part in a reconnect.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reconnect {
    /// How the page names the owner; the id when absent.
    owner_label: Option<String>,
    /// Exact origins whose page may open the session and be told of its end.
    origins: Vec<String>,
    /// Where the browser returns to without a popup.
    return_url: Option<String>,
}

/// Test a connection
///
/// Runs the app's test call now. `steps` end with the first that failed.
#[utoipa::path(post, path = "/v1/connections/{id}/test", tag = "connections",
    params(("id" = String, Path, description = "`con_…`")),
    responses((status = 200, description = "What the test found", body = TestReport), Problems))]
pub(crate) async fn test_connection(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Json<TestReport>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Json(state.engine().test(&actor, &id).await?))
}

/// Pause a connection
///
/// It keeps its sign-in and can't be used until it is resumed.
#[utoipa::path(post, path = "/v1/connections/{id}/pause", tag = "connections",
    params(("id" = String, Path, description = "`con_…`")),
    responses((status = 200, description = "Paused", body = ConnectionView), Problems))]
pub(crate) async fn pause_connection(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Tagged<ConnectionView>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Tagged(state.engine().pause(&actor, &id).await?))
}

/// Resume a paused connection
///
/// Tests it on the way.
#[utoipa::path(post, path = "/v1/connections/{id}/resume", tag = "connections",
    params(("id" = String, Path, description = "`con_…`")),
    responses((status = 200, description = "What the test found", body = TestReport), Problems))]
pub(crate) async fn resume_connection(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Json<TestReport>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Json(state.engine().resume(&actor, &id).await?))
}

/// Disconnect
///
/// Revokes the grant where the app can be asked to, destroys the credentials, and keeps the row, so that it can be
/// signed in again under the same id.
#[utoipa::path(post, path = "/v1/connections/{id}/disconnect", tag = "connections",
    params(("id" = String, Path, description = "`con_…`")),
    responses((status = 200, description = "Signed out", body = Disconnected), Problems))]
pub(crate) async fn disconnect_connection(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Json<Disconnected>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Json(state.engine().disconnect(&actor, &id).await?))
}

/// Update account details
///
/// The new values are tested before they replace the old ones; if the test fails, nothing is changed.
#[utoipa::path(post, path = "/v1/connections/{id}/details", tag = "connections",
    params(("id" = String, Path, description = "`con_…`")),
    request_body(content = NewDetails, example = json!({"fields": {"api_key": "…"}})),
    responses((status = 200, description = "What the test found", body = TestReport), Problems))]
pub(crate) async fn update_details(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
    Body(details): Body<NewDetails>,
) -> Answer<Json<TestReport>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Json(
        state
            .engine()
            .update_details(&actor, &id, details.fields.into_iter().collect())
            .await?,
    ))
}

/// Open a session that signs a connection in again
///
/// A connect session for the connection's own owner: the same id comes back to life, for the same account.
#[utoipa::path(post, path = "/v1/connections/{id}/reconnect", tag = "connections",
    params(("id" = String, Path, description = "`con_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request under one key does it once")),
    request_body(content = Option<Reconnect>, example = json!({"origins": ["https://app.example.com"]})),
    responses((status = 201, description = "Made", body = SessionCreated), Problems))]
pub(crate) async fn reconnect_connection(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
    OptionalJson(reconnect): OptionalJson<Reconnect>,
) -> Answer<Created<Json<SessionCreated>>> {
    let actor = key.with(KeyScope::Connect)?;
    let connection = state.engine().get(&actor, &id).await?;
    let new = NewSession {
        owner: connection.owner,
        owner_label: reconnect.owner_label,
        kind: SessionKind::Connect,
        apps: Some(vec![connection.app]),
        connection_id: Some(connection.id),
        purpose: None,
        origins: reconnect.origins,
        return_url: reconnect.return_url,
        link: None,
    };
    let made = state.engine().create_session(&actor, new).await?;
    Ok(Created {
        at: format!("/v1/sessions/{}", made.id),
        answer: Json(made),
    })
}
