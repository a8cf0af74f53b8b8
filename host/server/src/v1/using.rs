//! Using a connection: its credentials in the clear, its app's actions, its app's triggers, and what their inputs can be.

use axum::extract::State;
use keyport_connect::InputOf;
use keyport_connect::view::{InputChoices, IssuedCredentials, KeyScope, PollResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::answer::{Answer, Json, Problems};
use crate::auth::Platform;
use crate::extract::{Json as Body, Path, Query};
use crate::state::ServerState;

/// An action's input.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunAction {
    /// As the action's `input` schema says.
    #[serde(default = "empty")]
    input: Value,
}

/// An action's output.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActionResult {
    /// As the action's `output` schema says.
    output: Value,
}

/// A trigger's input, and how far it was read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Poll {
    /// As the trigger's `input` schema says.
    #[serde(default = "empty")]
    input: Value,
    /// From the last poll. Absent: the poll only says where events start from now on, or gives the newest.
    cursor: Option<Value>,
}

/// Which choices to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChoicesQuery {
    /// Only those whose label has this in it, in any case.
    q: Option<String>,
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Read credentials in the clear
///
/// The access token (refreshed if need be) or the key. Never a refresh token, a client secret or a signing key. Every
/// read is audited before it is answered. Prefer the proxy: then no credential leaves Keyport.
#[utoipa::path(get, path = "/v1/connections/{id}/credentials", tag = "use",
    params(("id" = String, Path, description = "`con_…`")),
    responses((status = 200, description = "The credentials", body = IssuedCredentials), Problems))]
pub(crate) async fn read_credentials(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Json<IssuedCredentials>> {
    let actor = key.with(KeyScope::ReadCredentials)?;
    Ok(Json(state.engine().credentials(&actor, &id).await?))
}

/// Run an action
#[utoipa::path(post, path = "/v1/connections/{id}/actions/{action}", tag = "use",
    params(("id" = String, Path, description = "`con_…`"), ("action" = String, Path, description = "The action's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request under one key does it once")),
    request_body(content = RunAction, example = json!({"input": {"title": "Hello"}})),
    responses((status = 200, description = "What it gave", body = ActionResult), Problems))]
pub(crate) async fn run_action(
    State(state): State<ServerState>,
    key: Platform,
    Path((id, action)): Path<(String, String)>,
    Body(run): Body<RunAction>,
) -> Answer<Json<ActionResult>> {
    let actor = key.with(KeyScope::Actions)?;
    let output = state
        .engine()
        .run_action(&actor, &id, &action, &run.input)
        .await?;
    Ok(Json(ActionResult { output }))
}

/// Poll a trigger
///
/// Keep the answer's `cursor` and hand it back at the next poll; poll again at once while `more` is true.
#[utoipa::path(post, path = "/v1/connections/{id}/triggers/{trigger}/poll", tag = "use",
    params(("id" = String, Path, description = "`con_…`"), ("trigger" = String, Path, description = "The trigger's id")),
    request_body(content = Poll, example = json!({"input": {}, "cursor": null})),
    responses((status = 200, description = "What is new", body = PollResult), Problems))]
pub(crate) async fn poll_trigger(
    State(state): State<ServerState>,
    key: Platform,
    Path((id, trigger)): Path<(String, String)>,
    Body(poll): Body<Poll>,
) -> Answer<Json<PollResult>> {
    let actor = key.with(KeyScope::Actions)?;
    let cursor = poll.cursor.filter(|cursor| !cursor.is_null());
    Ok(Json(
        state
            .engine()
            .poll_trigger(&actor, &id, &trigger, &poll.input, cursor.as_ref())
            .await?,
    ))
}

async fn choices(
    state: &ServerState,
    key: Platform,
    id: &str,
    of: InputOf<'_>,
    property: &str,
    query: &ChoicesQuery,
) -> Answer<Json<InputChoices>> {
    let actor = key.with(KeyScope::Actions)?;
    let q = query.q.as_deref();
    let found = state.engine().choices(&actor, id, of, property, q).await?;
    Ok(Json(found))
}

/// List the choices of an action's input
///
/// As the app has them now, for this connection. Which properties have choices, the app's action says under `choices`.
#[utoipa::path(get, path = "/v1/connections/{id}/actions/{action}/choices/{property}", tag = "use",
    params(("id" = String, Path, description = "`con_…`"), ("action" = String, Path, description = "The action's id"),
        ("property" = String, Path, description = "The input property"), ChoicesQuery),
    responses((status = 200, description = "The choices", body = InputChoices), Problems))]
pub(crate) async fn action_choices(
    State(state): State<ServerState>,
    key: Platform,
    Path((id, action, property)): Path<(String, String, String)>,
    Query(query): Query<ChoicesQuery>,
) -> Answer<Json<InputChoices>> {
    choices(
        &state,
        key,
        &id,
        InputOf::Action(&action),
        &property,
        &query,
    )
    .await
}

/// List the choices of a trigger's input
///
/// As the app has them now, for this connection. Which properties have choices, the app's trigger says under `choices`.
#[utoipa::path(get, path = "/v1/connections/{id}/triggers/{trigger}/choices/{property}", tag = "use",
    params(("id" = String, Path, description = "`con_…`"), ("trigger" = String, Path, description = "The trigger's id"),
        ("property" = String, Path, description = "The input property"), ChoicesQuery),
    responses((status = 200, description = "The choices", body = InputChoices), Problems))]
pub(crate) async fn trigger_choices(
    State(state): State<ServerState>,
    key: Platform,
    Path((id, trigger, property)): Path<(String, String, String)>,
    Query(query): Query<ChoicesQuery>,
) -> Answer<Json<InputChoices>> {
    choices(
        &state,
        key,
        &id,
        InputOf::Trigger(&trigger),
        &property,
        &query,
    )
    .await
}
