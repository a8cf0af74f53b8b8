//! Where events are sent: Standard Webhooks, with a log of each try. Scope `manage`.

use axum::extract::State;
use http::StatusCode;
use keyport_connect::view::{
    CreatedWebhook, DeliveryView, KeyScope, NewWebhook, Page, WebhookPatch, WebhookView,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{Answer, Created, Json, Problems};
use crate::auth::Platform;
use crate::extract::{Json as Body, Path, Query};
use crate::state::ServerState;

/// Which deliveries to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveriesQuery {
    /// From an earlier page's `next_cursor`.
    cursor: Option<String>,
    /// At most this many, 1 to 200; 50 when absent.
    limit: Option<usize>,
}

/// Add a webhook
///
/// Events are posted to `url` as `{"type", "timestamp", "data"}`, signed by Standard Webhooks (`webhook-id`,
/// `webhook-timestamp`, `webhook-signature`). Answer with a 2xx within 15 seconds; anything else is tried again for three days.
/// The secret is shown this once.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeating a request under one key does it once")),
    request_body(content = NewWebhook, example = json!({"url": "https://app.example.com/keyport", "kinds": ["trigger.event", "connection.*"]})),
    responses((status = 201, description = "Made", body = CreatedWebhook), Problems))]
pub(crate) async fn create_webhook(
    State(state): State<ServerState>,
    key: Platform,
    Body(new): Body<NewWebhook>,
) -> Answer<Created<Json<CreatedWebhook>>> {
    let actor = key.with(KeyScope::Manage)?;
    let made = state.engine().create_webhook(&actor, new).await?;
    Ok(Created {
        at: format!("/v1/webhooks/{}", made.webhook.id),
        answer: Json(made),
    })
}

/// List webhooks
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks",
    responses((status = 200, description = "All of them", body = Page<WebhookView>), Problems))]
pub(crate) async fn list_webhooks(
    State(state): State<ServerState>,
    key: Platform,
) -> Answer<Json<Page<WebhookView>>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Json(state.engine().webhooks(&actor).await?))
}

/// Look at a webhook
#[utoipa::path(get, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "`whk_…`")),
    responses((status = 200, description = "It", body = WebhookView), Problems))]
pub(crate) async fn get_webhook(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Json<WebhookView>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Json(state.engine().webhook(&actor, &id).await?))
}

/// Change a webhook
#[utoipa::path(patch, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "`whk_…`")),
    request_body(content = WebhookPatch, example = json!({"enabled": false})),
    responses((status = 200, description = "Changed", body = WebhookView), Problems))]
pub(crate) async fn update_webhook(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
    Body(patch): Body<WebhookPatch>,
) -> Answer<Json<WebhookView>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Json(
        state.engine().update_webhook(&actor, &id, patch).await?,
    ))
}

/// Remove a webhook
#[utoipa::path(delete, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "`whk_…`")),
    responses((status = 204, description = "Removed"), Problems))]
pub(crate) async fn delete_webhook(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let actor = key.with(KeyScope::Manage)?;
    state.engine().delete_webhook(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change a webhook's secret
///
/// For a day deliveries carry signatures by both, so that you can change over. The new secret is shown this once.
#[utoipa::path(post, path = "/v1/webhooks/{id}/secret", tag = "webhooks",
    params(("id" = String, Path, description = "`whk_…`")),
    responses((status = 200, description = "The new secret", body = CreatedWebhook), Problems))]
pub(crate) async fn rotate_webhook_secret(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Json<CreatedWebhook>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Json(
        state.engine().rotate_webhook_secret(&actor, &id).await?,
    ))
}

/// List deliveries
///
/// Each event on its way to this webhook, oldest first, with its last tries; kept for a week.
#[utoipa::path(get, path = "/v1/webhooks/{id}/deliveries", tag = "webhooks",
    params(("id" = String, Path, description = "`whk_…`"), DeliveriesQuery),
    responses((status = 200, description = "One page of them", body = Page<DeliveryView>), Problems))]
pub(crate) async fn list_deliveries(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
    Query(query): Query<DeliveriesQuery>,
) -> Answer<Json<Page<DeliveryView>>> {
    let actor = key.with(KeyScope::Manage)?;
    let page = state
        .engine()
        .deliveries(&actor, &id, query.cursor.as_deref(), query.limit)
        .await?;
    Ok(Json(page))
}

/// Send a delivery again
#[utoipa::path(post, path = "/v1/webhooks/{id}/deliveries/{delivery}/resend", tag = "webhooks",
    params(("id" = String, Path, description = "`whk_…`"), ("delivery" = String, Path, description = "`dlv_…`")),
    responses((status = 200, description = "On its way", body = DeliveryView), Problems))]
pub(crate) async fn resend_delivery(
    State(state): State<ServerState>,
    key: Platform,
    Path((id, delivery)): Path<(String, String)>,
) -> Answer<Json<DeliveryView>> {
    let actor = key.with(KeyScope::Manage)?;
    Ok(Json(state.engine().resend(&actor, &id, &delivery).await?))
}
