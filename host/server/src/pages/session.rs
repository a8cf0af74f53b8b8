//! A session in the browser: opened by its link, looked at, ended, and the choice of an account that exists already.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use keyport_connect::Engine;
use keyport_connect::view::{Completion, LinkView, Pick, SessionView};
use serde::{Deserialize, Serialize};

use crate::auth::PageSession;
use crate::state::ServerState;
use crate::{Problem, cookie, extract};

/// What `/open` found in its address. No `Debug`: it is a bearer value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    token: String,
    /// Whether the person has seen what a link that was sent to them is for, and has clicked.
    #[serde(default)]
    confirmed: bool,
}

/// What a link that was sent to somebody is for, in place of a session.
#[derive(Serialize)]
struct ToConfirm {
    confirm: LinkView,
}

/// `POST /page/open`: trades the link's token, once, for the cookie. A link that was sent to somebody is first only looked at.
pub(super) async fn open(
    State(state): State<ServerState>,
    extract::Json(open): extract::Json<Open>,
) -> Result<Response, Problem> {
    if !open.confirmed
        && let Some(confirm) = state.engine().sent_link(&open.token).await?
    {
        return Ok(Json(ToConfirm { confirm }).into_response());
    }
    let (session, value) = state.engine().open_session(&open.token).await?;
    let cookie =
        cookie::set_session(state.public(), value.expose()).ok_or_else(Problem::internal)?;
    Ok(([(SET_COOKIE, cookie)], Json(session)).into_response())
}

/// `GET /page/session`
pub(super) async fn show(
    State(engine): State<Engine>,
    session: PageSession,
) -> Result<Json<SessionView>, Problem> {
    Ok(Json(engine.session(&session.0.id).await?))
}

/// `DELETE /page/session`: ends it for good and takes the cookie back.
pub(super) async fn end(
    State(state): State<ServerState>,
    session: PageSession,
) -> Result<Response, Problem> {
    state
        .engine()
        .close_session(&session.actor(), &session.0.id)
        .await?;
    let cookie = cookie::clear_session(state.public()).ok_or_else(Problem::internal)?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}

/// `POST /page/pick`: hands an account that exists to the platform.
pub(super) async fn pick(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Json(pick): extract::Json<Pick>,
) -> Result<Json<Completion>, Problem> {
    Ok(Json(engine.pick(&session.0, &pick.connection_id).await?))
}
