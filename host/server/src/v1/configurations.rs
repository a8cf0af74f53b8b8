//! What the operator sets for an app: OAuth client, pinned origins, scopes, methods, grants. Scope `manage`.
//!
//! A client secret goes in and never comes out.

use axum::extract::State;
use http::StatusCode;
use keyport_connect::view::{ConfigurationPatch, ConfigurationView, KeyScope, NewConfiguration};

use super::answer::{Answer, Created, Json, Problems, Tagged};
use crate::auth::Platform;
use crate::extract::{IfMatch, Json as Body, Path};
use crate::state::ServerState;

/// List an app's configurations
#[utoipa::path(get, path = "/v1/apps/{app}/configurations", tag = "configurations",
    params(("app" = String, Path, description = "The app's id", example = "github")),
    responses((status = 200, description = "All of them", body = [ConfigurationView]), Problems))]
pub(crate) async fn list_configurations(
    State(state): State<ServerState>,
    key: Platform,
    Path(app): Path<String>,
) -> Answer<Json<Vec<ConfigurationView>>> {
    key.with(KeyScope::Manage)?;
    Ok(Json(state.engine().configurations(&app).await?))
}

/// Configure an app
///
/// The answer's `redirect_uri` is what to register at the app. `client_secret` is write-only.
#[utoipa::path(post, path = "/v1/apps/{app}/configurations", tag = "configurations",
    params(("app" = String, Path, description = "The app's id", example = "github"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request under one key does it once")),
    request_body(content = NewConfiguration, example = json!({"client_id": "Iv1.0123456789", "client_secret": "…"})),
    responses((status = 201, description = "Made", body = ConfigurationView), Problems))]
pub(crate) async fn create_configuration(
    State(state): State<ServerState>,
    key: Platform,
    Path(app): Path<String>,
    Body(new): Body<NewConfiguration>,
) -> Answer<Created<Tagged<ConfigurationView>>> {
    let actor = key.with(KeyScope::Manage)?;
    let made = state.engine().configure(&actor, &app, new).await?;
    Ok(Created {
        at: format!("/v1/configurations/{}", made.id),
        answer: Tagged(made),
    })
}

/// Get a configuration
#[utoipa::path(get, path = "/v1/configurations/{id}", tag = "configurations",
    params(("id" = String, Path, description = "`cfg_…`")),
    responses((status = 200, description = "The configuration", body = ConfigurationView), Problems))]
pub(crate) async fn get_configuration(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Tagged<ConfigurationView>> {
    key.with(KeyScope::Manage)?;
    Ok(Tagged(state.engine().configuration(&id).await?))
}

/// Change a configuration
///
/// What is absent stays. With `If-Match`, only if nobody changed it since (412).
#[utoipa::path(patch, path = "/v1/configurations/{id}", tag = "configurations",
    params(("id" = String, Path, description = "`cfg_…`"),
        ("If-Match" = Option<String>, Header, description = "The etag as you read it")),
    request_body(content = ConfigurationPatch, example = json!({"scopes": ["repo"]})),
    responses((status = 200, description = "Changed", body = ConfigurationView), Problems))]
pub(crate) async fn update_configuration(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(patch): Body<ConfigurationPatch>,
) -> Answer<Tagged<ConfigurationView>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Tagged(
        state
            .engine()
            .update_configuration(&actor, &id, if_match.as_deref(), patch)
            .await?,
    ))
}

/// Delete a configuration
///
/// Refused while connections use it.
#[utoipa::path(delete, path = "/v1/configurations/{id}", tag = "configurations",
    params(("id" = String, Path, description = "`cfg_…`")),
    responses((status = 204, description = "Gone"), Problems))]
pub(crate) async fn delete_configuration(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let actor = key.with(KeyScope::Manage)?;
    state.engine().delete_configuration(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
