//! The hosted pages: the Apps page, the connect window, connect.js, and the JSON routes that they call.
//!
//! | module | what lives in it |
//! |---|---|
//! | `html` | the documents and the policy that they are served with |
//! | `assets` | scripts, styles, connect.js, out of the binary |
//! | `session`, `apps`, `connections`, `flows` | `/page/…`: who, what, answer; the rules are the engine's |
//! | `events` | `/page/events`: what changed, as server-sent events |
//!
//! `/page/…` takes the session's cookie and no key ([`crate::auth::PageSession`]), and whatever changes something must
//! come from our own origin ([`crate::guard::same_origin`], layered on in [`crate::router`]). The files themselves are in
//! `host/server/assets`. Going to the app and coming back (`/page/go/…`, `/oauth/callback/…`) is `crate::callback`.
//!
//! Left out: a theme per installation (replace `theme.css` in front of this host), translations, framing.

mod apps;
mod assets;
mod connections;
mod events;
mod flows;
mod html;
mod session;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use crate::state::ServerState;

/// All routes of the pages. The caller adds [`crate::guard::same_origin`] and the state.
pub fn router() -> Router<ServerState> {
    Router::new()
        .route("/apps", get(html::apps))
        .route("/connect", get(html::connect))
        .route("/connect/wait", get(html::wait))
        .route("/connect/end", get(html::end))
        .route("/open", get(html::open))
        .route("/connect.js", get(assets::connect_js))
        .route("/connect.d.ts", get(assets::connect_d_ts))
        .route("/assets/{*name}", get(assets::asset))
        .route("/page/open", post(session::open))
        .route("/page/session", get(session::show).delete(session::end))
        .route("/page/pick", post(session::pick))
        .route("/page/apps", get(apps::list))
        .route("/page/apps/{app}", get(apps::show))
        .route(
            "/page/connections",
            get(connections::list).post(flows::submit),
        )
        .route(
            "/page/connections/{id}",
            get(connections::show)
                .patch(connections::rename)
                .delete(connections::delete),
        )
        .route("/page/connections/{id}/test", post(connections::test))
        .route("/page/connections/{id}/pause", post(connections::pause))
        .route("/page/connections/{id}/resume", post(connections::resume))
        .route(
            "/page/connections/{id}/disconnect",
            post(connections::disconnect),
        )
        .route("/page/connections/{id}/details", post(connections::details))
        .route("/page/flows", post(flows::start))
        .route("/page/flows/{id}", get(flows::show).delete(flows::cancel))
        .route("/page/flows/{id}/choose", post(flows::choose))
        .route("/page/events", get(events::stream))
}

/// Sends the browser to the page that ends a sign-in: it nudges the page that waits and closes itself, or goes back to
/// where the person was. `flow` is the flow's id where one was found; `refused` is our own stable code of what went wrong
/// (never a provider's text); `reference` is the request's id, for the person to quote where no flow was found. All stand in the
/// address only and are checked by the page before they mean anything.
pub fn end_of_sign_in(
    flow: Option<&str>,
    refused: Option<&str>,
    reference: Option<&str>,
) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(flow) = flow {
        query.append_pair("flow", flow);
    }
    if let Some(code) = refused {
        query
            .append_pair("outcome", "refused")
            .append_pair("code", code);
        if let Some(reference) = reference.filter(|_| flow.is_none()) {
            query.append_pair("ref", reference);
        }
    }
    Redirect::to(&format!("/connect/end?{}", query.finish())).into_response()
}
