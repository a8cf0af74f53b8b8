//! Sessions: a short-lived right for one owner's browser to connect or to manage. Scope `connect`.
//!
//! The platform's backend makes one for the user that it has signed in, hands the link to that user's browser,
//! and, for `connect` sessions, redeems the completion code that the browser brings back. Redeeming compares
//! owners: a link that was forwarded to somebody else ends there.

use axum::extract::State;
use http::StatusCode;
use keyport_connect::view::{
    CompleteSession, KeyScope, NewSession, SessionCompleted, SessionCreated, SessionView,
};

use super::answer::{Answer, Created, Json, Problems};
use crate::auth::Platform;
use crate::extract::{Json as Body, Path};
use crate::state::ServerState;

/// Open a session for one of your users
///
/// `url` opens it once, within 60 seconds. Send the signed-in user's browser there, or give it to `connect.js`.
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeating a request under one key does it once")),
    request_body(content = NewSession,
        example = json!({"owner": "user-17", "owner_label": "Ada", "kind": "connect", "apps": ["github"], "origins": ["https://app.example.com"]})),
    responses((status = 201, description = "Made", body = SessionCreated), Problems))]
pub(crate) async fn create_session(
    State(state): State<ServerState>,
    key: Platform,
    Body(new): Body<NewSession>,
) -> Answer<Created<Json<SessionCreated>>> {
    let actor = key.with(KeyScope::Connect)?;
    let made = state.engine().create_session(&actor, new).await?;
    Ok(Created {
        at: format!("/v1/sessions/{}", made.id),
        answer: Json(made),
    })
}

/// Get a session
#[utoipa::path(get, path = "/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "`ses_…`")),
    responses((status = 200, description = "The session", body = SessionView), Problems))]
pub(crate) async fn get_session(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Json<SessionView>> {
    key.with(KeyScope::Connect)?;
    Ok(Json(state.engine().session(&id).await?))
}

/// Close a session
///
/// Its link and its browser's cookie work no more.
#[utoipa::path(delete, path = "/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "`ses_…`")),
    responses((status = 204, description = "Closed"), Problems))]
pub(crate) async fn close_session(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let actor = key.with(KeyScope::Connect)?;
    state.engine().close_session(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Complete a connect session
///
/// `owner` is the user that *your* server has signed in, not what the browser says. Until this call the connection
/// can't be used; without it, the sign-in is taken back after two minutes.
#[utoipa::path(post, path = "/v1/sessions/{id}/complete", tag = "sessions",
    params(("id" = String, Path, description = "`ses_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request under one key does it once")),
    request_body(content = CompleteSession, example = json!({"code": "…", "owner": "user-17"})),
    responses((status = 200, description = "The connection, now usable", body = SessionCompleted), Problems))]
pub(crate) async fn complete_session(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
    Body(complete): Body<CompleteSession>,
) -> Answer<Json<SessionCompleted>> {
    let actor = key.with(KeyScope::Connect)?;
    Ok(Json(
        state
            .engine()
            .complete_session(&actor, &id, complete)
            .await?,
    ))
}
