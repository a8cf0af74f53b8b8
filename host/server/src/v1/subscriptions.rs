//! Triggers that are subscribed for connections, and what they found. Scope `actions`.

use axum::extract::State;
use http::StatusCode;
use keyport_connect::view::{
    KeyScope, NewSubscription, Page, SubscriptionQuery, SubscriptionView, TriggerEventQuery,
    TriggerEventView,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{Answer, Created, Json, Problems};
use crate::auth::Platform;
use crate::extract::{Json as Body, Path, Query};
use crate::state::ServerState;

/// Which subscriptions to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SubscriptionsQuery {
    /// Only this owner's.
    owner: Option<String>,
    /// Only this connection's.
    connection_id: Option<String>,
    /// From an earlier page's `next_cursor`.
    cursor: Option<String>,
    /// At most this many, 1 to 200; 50 when absent.
    limit: Option<usize>,
}

/// Which events to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TriggerEventsQuery {
    /// Only this owner's.
    owner: Option<String>,
    /// Only this subscription's.
    subscription_id: Option<String>,
    /// From an earlier page's `next_cursor`.
    cursor: Option<String>,
    /// At most this many, 1 to 200; 50 when absent.
    limit: Option<usize>,
}

/// Subscribe a trigger
///
/// Events that happen from now on are kept for a week (`GET /v1/trigger-events`) and sent to your webhooks. The app is asked
/// now and then, or told where to send them; where a person has to do that by hand, `manual` says what they enter.
#[utoipa::path(post, path = "/v1/connections/{id}/subscriptions", tag = "triggers",
    params(("id" = String, Path, description = "`con_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request under one key does it once")),
    request_body(content = NewSubscription, example = json!({"trigger": "new_note", "input": {}})),
    responses((status = 201, description = "Subscribed", body = SubscriptionView), Problems))]
pub(crate) async fn create_subscription(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
    Body(new): Body<NewSubscription>,
) -> Answer<Created<Json<SubscriptionView>>> {
    let actor = key.with(KeyScope::Actions)?;
    let made = state.engine().subscribe(&actor, &id, new).await?;
    Ok(Created {
        at: format!("/v1/subscriptions/{}", made.id),
        answer: Json(made),
    })
}

/// List subscriptions
#[utoipa::path(get, path = "/v1/subscriptions", tag = "triggers", params(SubscriptionsQuery),
    responses((status = 200, description = "One page of them", body = Page<SubscriptionView>), Problems))]
pub(crate) async fn list_subscriptions(
    State(state): State<ServerState>,
    key: Platform,
    Query(query): Query<SubscriptionsQuery>,
) -> Answer<Json<Page<SubscriptionView>>> {
    let actor = key.with_any(&[KeyScope::Actions, KeyScope::Manage])?;
    let query = SubscriptionQuery {
        owner: query.owner,
        connection_id: query.connection_id,
        cursor: query.cursor,
        limit: query.limit,
    };
    Ok(Json(state.engine().subscriptions(&actor, &query).await?))
}

/// Look at a subscription
#[utoipa::path(get, path = "/v1/subscriptions/{id}", tag = "triggers",
    params(("id" = String, Path, description = "`sub_…`")),
    responses((status = 200, description = "It", body = SubscriptionView), Problems))]
pub(crate) async fn get_subscription(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Json<SubscriptionView>> {
    let actor = key.with_any(&[KeyScope::Actions, KeyScope::Manage])?;
    Ok(Json(state.engine().subscription(&actor, &id).await?))
}

/// End a subscription
///
/// The app is told to send no more, where it was told to send; what it sends all the same is refused.
#[utoipa::path(delete, path = "/v1/subscriptions/{id}", tag = "triggers",
    params(("id" = String, Path, description = "`sub_…`")),
    responses((status = 204, description = "Ended"), Problems))]
pub(crate) async fn delete_subscription(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let actor = key.with_any(&[KeyScope::Actions, KeyScope::Manage])?;
    state.engine().unsubscribe(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pause a subscription
///
/// What happens meanwhile is not handed on.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/pause", tag = "triggers",
    params(("id" = String, Path, description = "`sub_…`")),
    responses((status = 200, description = "Paused", body = SubscriptionView), Problems))]
pub(crate) async fn pause_subscription(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Json<SubscriptionView>> {
    let actor = key.with_any(&[KeyScope::Actions, KeyScope::Manage])?;
    Ok(Json(state.engine().pause_subscription(&actor, &id).await?))
}

/// Resume a subscription
///
/// It begins anew: events that happen from now on are handed on.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/resume", tag = "triggers",
    params(("id" = String, Path, description = "`sub_…`")),
    responses((status = 200, description = "Resumed", body = SubscriptionView), Problems))]
pub(crate) async fn resume_subscription(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Json<SubscriptionView>> {
    let actor = key.with_any(&[KeyScope::Actions, KeyScope::Manage])?;
    Ok(Json(state.engine().resume_subscription(&actor, &id).await?))
}

/// Ask the app now
///
/// For tests and builders; it is asked by itself anyway. A failure is told by the subscription's `state` and `reason`.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/poll", tag = "triggers",
    params(("id" = String, Path, description = "`sub_…`")),
    responses((status = 200, description = "The subscription afterwards", body = SubscriptionView), Problems))]
pub(crate) async fn poll_subscription(
    State(state): State<ServerState>,
    key: Platform,
    Path(id): Path<String>,
) -> Answer<Json<SubscriptionView>> {
    let actor = key.with(KeyScope::Actions)?;
    Ok(Json(state.engine().poll_subscription(&actor, &id).await?))
}

/// List what triggers found
///
/// Oldest first, kept for a week. The same events are sent to webhooks as `trigger.event`.
#[utoipa::path(get, path = "/v1/trigger-events", tag = "triggers", params(TriggerEventsQuery),
    responses((status = 200, description = "One page of them", body = Page<TriggerEventView>), Problems))]
pub(crate) async fn list_trigger_events(
    State(state): State<ServerState>,
    key: Platform,
    Query(query): Query<TriggerEventsQuery>,
) -> Answer<Json<Page<TriggerEventView>>> {
    let actor = key.with(KeyScope::Actions)?;
    let query = TriggerEventQuery {
        owner: query.owner,
        subscription_id: query.subscription_id,
        cursor: query.cursor,
        limit: query.limit,
    };
    Ok(Json(state.engine().trigger_events(&actor, &query).await?))
}
