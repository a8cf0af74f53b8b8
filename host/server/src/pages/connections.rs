//! The owner's connections and what can be done with one. Somebody else's id answers as one that does not exist.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use indexmap::IndexMap;
use keyport_connect::Engine;
use keyport_connect::view::{ConnectionQuery, ConnectionView, Disconnected, Page, TestReport};
use serde::Deserialize;

use crate::auth::PageSession;
use crate::{Problem, extract};

type Id = extract::Path<String>;

/// A new name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    title: String,
}

/// New values of fields, by id. No `Debug`: some are secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Details {
    fields: IndexMap<String, String>,
}

/// `GET /page/connections`
pub(super) async fn list(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Query(query): extract::Query<ConnectionQuery>,
) -> Result<Json<Page<ConnectionView>>, Problem> {
    Ok(Json(engine.list(&session.actor(), &query).await?))
}

/// `GET /page/connections/{id}`
pub(super) async fn show(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Path(id): Id,
) -> Result<Json<ConnectionView>, Problem> {
    Ok(Json(engine.get(&session.actor(), &id).await?))
}

/// `PATCH /page/connections/{id}`: the last name typed wins, so no `If-Match` is asked for.
pub(super) async fn rename(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Path(id): Id,
    extract::Json(rename): extract::Json<Rename>,
) -> Result<Json<ConnectionView>, Problem> {
    Ok(Json(
        engine
            .rename(&session.actor(), &id, &rename.title, None)
            .await?,
    ))
}

/// `POST /page/connections/{id}/test`
pub(super) async fn test(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Path(id): Id,
) -> Result<Json<TestReport>, Problem> {
    Ok(Json(engine.test(&session.actor(), &id).await?))
}

/// `POST /page/connections/{id}/pause`
pub(super) async fn pause(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Path(id): Id,
) -> Result<Json<ConnectionView>, Problem> {
    Ok(Json(engine.pause(&session.actor(), &id).await?))
}

/// `POST /page/connections/{id}/resume`
pub(super) async fn resume(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Path(id): Id,
) -> Result<Json<TestReport>, Problem> {
    Ok(Json(engine.resume(&session.actor(), &id).await?))
}

/// `POST /page/connections/{id}/details`
pub(super) async fn details(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Path(id): Id,
    extract::Json(details): extract::Json<Details>,
) -> Result<Json<TestReport>, Problem> {
    Ok(Json(
        engine
            .update_details(&session.actor(), &id, details.fields)
            .await?,
    ))
}

/// `POST /page/connections/{id}/disconnect`
pub(super) async fn disconnect(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Path(id): Id,
) -> Result<Json<Disconnected>, Problem> {
    Ok(Json(engine.disconnect(&session.actor(), &id).await?))
}

/// `DELETE /page/connections/{id}`
pub(super) async fn delete(
    State(engine): State<Engine>,
    session: PageSession,
    extract::Path(id): Id,
) -> Result<StatusCode, Problem> {
    engine.delete(&session.actor(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
