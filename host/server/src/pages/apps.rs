//! The catalogue, for a browser with a session.

use axum::Json;
use axum::extract::State;
use keyport_connect::Engine;
use keyport_connect::view::{AppQuery, AppSummary, AppView, Page};

use crate::auth::PageSession;
use crate::{Problem, extract};

/// `GET /page/apps?q=&category=`
pub(super) async fn list(
    State(engine): State<Engine>,
    _session: PageSession,
    extract::Query(query): extract::Query<AppQuery>,
) -> Result<Json<Page<AppSummary>>, Problem> {
    Ok(Json(engine.apps(&query).await?))
}

/// `GET /page/apps/{app}`
pub(super) async fn show(
    State(engine): State<Engine>,
    _session: PageSession,
    extract::Path(app): extract::Path<String>,
) -> Result<Json<AppView>, Problem> {
    Ok(Json(engine.app(&app).await?))
}
