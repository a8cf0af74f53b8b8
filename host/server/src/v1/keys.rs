//! Platform keys. Scope `manage`; a key gives no scope that it lacks itself.

use axum::extract::State;
use http::StatusCode;
use keyport_connect::view::{CreatedKey, KeyScope, KeyView};
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{Answer, Created, Json, Problems};
use crate::auth::Platform;
use crate::extract::{Json as Body, Path};
use crate::state::ServerState;

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// What it is for.
    name: String,
    /// What it may do: only scopes that the asking key has too.
    scopes: Vec<KeyScope>,
}

/// List platform keys
///
/// Without their secrets.
#[utoipa::path(get, path = "/v1/keys", tag = "keys",
    responses((status = 200, description = "All of them", body = [KeyView]), Problems))]
pub(crate) async fn list_keys(
    State(state): State<ServerState>,
    key: Platform,
) -> Answer<Json<Vec<KeyView>>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Json(state.engine().list_keys(&actor).await?))
}

/// Make a platform key
///
/// The secret is in this answer and nowhere else: only its hash is kept. Never repeated under an `Idempotency-Key`, because
/// then it would have to be kept.
#[utoipa::path(post, path = "/v1/keys", tag = "keys",
    request_body(content = NewKey, example = json!({"name": "production backend", "scopes": ["connect", "actions"]})),
    responses((status = 201, description = "Made", body = CreatedKey), Problems))]
pub(crate) async fn create_key(
    State(state): State<ServerState>,
    key: Platform,
    Body(new): Body<NewKey>,
) -> Answer<Created<Json<CreatedKey>>> {
    let actor = key.with(KeyScope::Manage)?;
    let made = state
        .engine()
        .create_key(&actor, &new.name, &new.scopes)
        .await?;
    Ok(Created {
        at: format!("/v1/keys/{}", made.key.id),
        answer: Json(made),
    })
}

/// Revoke a platform key
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "`key_…`")),
    responses((status = 204, description = "Gone; requests that come after this are refused"), Problems))]
pub(crate) async fn revoke_key(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let actor = key.with(KeyScope::Manage)?;
    state.engine().revoke_key(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
