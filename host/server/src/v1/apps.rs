//! The catalogue. Any platform key may read it: there is no secret and no owner in it.

use axum::extract::State;
use keyport_connect::view::{AppQuery, AppSummary, AppView, Page};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{Answer, Json, Problems};
use crate::auth::Platform;
use crate::extract::{Path, Query};
use crate::state::ServerState;

/// What to list of the catalogue.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AppsQuery {
    /// Words to look for in names, aliases, ids and summaries.
    q: Option<String>,
    /// Only apps of this category.
    category: Option<String>,
    /// From an earlier page's `next_cursor`.
    cursor: Option<String>,
    /// At most this many, 1 to 200; 50 when absent.
    limit: Option<usize>,
}

impl From<AppsQuery> for AppQuery {
    fn from(
        AppsQuery {
            q,
            category,
            cursor,
            limit,
        }: AppsQuery,
    ) -> Self {
        AppQuery {
            q,
            category,
            cursor,
            limit,
        }
    }
}

/// List and search apps
///
/// In the order of relevance where `q` is given, else by name.
#[utoipa::path(get, path = "/v1/apps", tag = "apps", params(AppsQuery),
    responses((status = 200, description = "One page of the catalogue", body = Page<AppSummary>), Problems))]
pub(crate) async fn list_apps(
    State(state): State<ServerState>,
    _key: Platform,
    Query(query): Query<AppsQuery>,
) -> Answer<Json<Page<AppSummary>>> {
    Ok(Json(state.engine().apps(&query.into()).await?))
}

/// Get one app
///
/// With its forms, ways to sign in, actions and events: all that a builder needs.
#[utoipa::path(get, path = "/v1/apps/{app}", tag = "apps",
    params(("app" = String, Path, description = "The app's id", example = "github")),
    responses((status = 200, description = "The app", body = AppView), Problems))]
pub(crate) async fn get_app(
    State(state): State<ServerState>,
    _key: Platform,
    Path(app): Path<String>,
) -> Answer<Json<AppView>> {
    Ok(Json(state.engine().app(&app).await?))
}
