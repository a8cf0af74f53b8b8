//! The API for a platform's backend.
//!
//! Handlers read as: who may ask, what is asked, what is answered. Each is documented where it stands; the
//! document at `/openapi.json` is made from that ([`crate::openapi`]).
//!
//! | file | routes |
//! |---|---|
//! | `apps` | the catalogue |
//! | `configurations` | what the operator sets for an app |
//! | `sessions` | rights for one owner's browser, and their completion |
//! | `connections` | list, get, import, rename, delete |
//! | `verbs` | test, pause, resume, reconnect, disconnect, details |
//! | `using` | credentials, actions, triggers |
//! | `proxy` | any request, with the connection's credentials attached |
//! | `subscriptions` | triggers that are subscribed, and what they found |
//! | `webhooks` | where events are sent |
//! | `events` | what happened |
//! | `keys` | platform keys |
//! | `vault` | the vault's keys, verification, backups; the proven audit trail: for the operator's socket so far |

mod answer;
mod apps;
mod configurations;
mod connections;
mod events;
mod keys;
mod proxy;
mod sessions;
mod subscriptions;
mod using;
pub(crate) mod vault;
mod verbs;
mod webhooks;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::JSON_LIMIT;
use crate::idempotency::idempotent;
use crate::state::ServerState;

/// All routes under `/v1`, each with its documentation.
pub(crate) fn router(state: &ServerState) -> OpenApiRouter<ServerState> {
    // Repeating these would make a second thing; repeating the others does no harm.
    let once = OpenApiRouter::new()
        .routes(routes!(
            configurations::list_configurations,
            configurations::create_configuration
        ))
        .routes(routes!(sessions::create_session))
        .routes(routes!(sessions::complete_session))
        .routes(routes!(
            connections::list_connections,
            connections::import_connection
        ))
        .routes(routes!(verbs::reconnect_connection))
        .routes(routes!(using::run_action))
        .routes(routes!(subscriptions::create_subscription))
        .routes(routes!(webhooks::list_webhooks, webhooks::create_webhook))
        .layer(from_fn_with_state(state.clone(), idempotent));
    OpenApiRouter::new()
        .routes(routes!(apps::list_apps))
        .routes(routes!(apps::get_app))
        .routes(routes!(
            configurations::get_configuration,
            configurations::update_configuration,
            configurations::delete_configuration
        ))
        .routes(routes!(sessions::get_session, sessions::close_session))
        .routes(routes!(
            connections::get_connection,
            connections::rename_connection,
            connections::delete_connection
        ))
        .routes(routes!(verbs::test_connection))
        .routes(routes!(verbs::pause_connection))
        .routes(routes!(verbs::resume_connection))
        .routes(routes!(verbs::disconnect_connection))
        .routes(routes!(verbs::update_details))
        .routes(routes!(using::read_credentials))
        .routes(routes!(using::action_choices))
        .routes(routes!(using::trigger_choices))
        .routes(routes!(using::poll_trigger))
        .routes(routes!(subscriptions::list_subscriptions))
        .routes(routes!(
            subscriptions::get_subscription,
            subscriptions::delete_subscription
        ))
        .routes(routes!(subscriptions::pause_subscription))
        .routes(routes!(subscriptions::resume_subscription))
        .routes(routes!(subscriptions::poll_subscription))
        .routes(routes!(subscriptions::list_trigger_events))
        .routes(routes!(
            webhooks::get_webhook,
            webhooks::update_webhook,
            webhooks::delete_webhook
        ))
        .routes(routes!(webhooks::rotate_webhook_secret))
        .routes(routes!(webhooks::list_deliveries))
        .routes(routes!(webhooks::resend_delivery))
        .routes(routes!(events::list_events))
        .routes(routes!(keys::list_keys, keys::create_key))
        .routes(routes!(keys::revoke_key))
        .merge(once)
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
        .merge(proxy_routes())
}

/// The proxy takes every method and streams, so it has neither the JSON limit nor a place in `routes!`.
fn proxy_routes() -> OpenApiRouter<ServerState> {
    let mut router = OpenApiRouter::new()
        .route(
            "/v1/connections/{id}/proxy/{*path}",
            axum::routing::any(proxy::proxy),
        )
        .route(
            "/v1/connections/{id}/proxy/",
            axum::routing::any(proxy::proxy),
        )
        .route(
            "/v1/connections/{id}/proxy",
            axum::routing::any(proxy::proxy),
        );
    let methods = [
        HttpMethod::Get,
        HttpMethod::Head,
        HttpMethod::Post,
        HttpMethod::Put,
        HttpMethod::Patch,
        HttpMethod::Delete,
    ];
    proxy::document(&mut router.get_openapi_mut().paths, methods);
    router
}
