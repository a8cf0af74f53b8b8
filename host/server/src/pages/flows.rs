//! Signing in: by a form, or on the app's own page; and how it stands.

use axum::Json;
use axum::extract::State;
use keyport_connect::Engine;
use keyport_connect::view::{Chosen, FlowStarted, FlowView, FormSubmit, OauthStart};

use crate::auth::PageSession;
use crate::{Problem, extract};

/// `POST /page/connections`
pub(super) async fn submit(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Json(form): extract::Json<FormSubmit>,
) -> Result<Json<FlowView>, Problem> {
    Ok(Json(engine.connect_with_form(&session.0, form).await?))
}

/// `POST /page/flows`
pub(super) async fn start(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Json(start): extract::Json<OauthStart>,
) -> Result<Json<FlowStarted>, Problem> {
    Ok(Json(engine.start_oauth(&session.0, start).await?))
}

/// `GET /page/flows/{id}`
pub(super) async fn show(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Path(id): extract::Path<String>,
) -> Result<Json<FlowView>, Problem> {
    Ok(Json(engine.flow(&session.0, &id).await?))
}

/// `DELETE /page/flows/{id}`: the person changed their mind.
pub(super) async fn cancel(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Path(id): extract::Path<String>,
) -> Result<Json<FlowView>, Problem> {
    Ok(Json(engine.cancel_flow(&session.0, &id).await?))
}

/// `POST /page/flows/{id}/choose`: which of the things that the app lists the connection is for.
pub(super) async fn choose(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Path(id): extract::Path<String>,
    extract::Json(chosen): extract::Json<Chosen>,
) -> Result<Json<FlowView>, Problem> {
    Ok(Json(engine.choose(&session.0, &id, &chosen).await?))
}
