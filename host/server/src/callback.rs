//! Signing in at the app: sending the browser there, and taking it back.
//!
//! `GET /page/go/{flow}` gives this browser the flow's own cookie and sends it to the app. The app sends it back
//! to `/oauth/callback/{configuration}`, with everything in the query or, where the app uses `form_post`, in a
//! form. What the answer means is the engine's business; here it only travels. `/oauth/client/{configuration}` is the public
//! document by which some servers know this host as a client.
//!
//! Threats: a callback that another browser makes (the flow's cookie, [`crate::cookie::host_bound`]), one made from a
//! cross-site POST (a one-time ticket and a GET of our own, [`crate::ticket`]), a code that leaks by `Referer`
//! (`no-referrer`, and no page is ever shown at the callback's own address), provider text shown as ours (only our
//! own codes reach the page). Duplicated parameters are kept: the engine refuses them.
//!
//! Left out: `Referer` and any other source of where to go next; only the flow says that.

use std::time::Instant;

use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router, body::Bytes};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use keyport_connect::view::{CallbackNext, CallbackOutcome};

use crate::auth::PageSession;
use crate::cookie;
use crate::extract::Path;
use crate::observe::RequestId;
use crate::pages::end_of_sign_in;
use crate::problem::Problem;
use crate::state::ServerState;
use crate::ticket::Params;

/// Name of the ticket among the parameters; no provider sends it.
const TICKET: &str = "keyport_ticket";
/// The largest form that a provider may post, in bytes. ID tokens with many groups come to about 16 kB.
const FORM_LIMIT: usize = 64 * 1024;

/// The two routes. They are not behind the origin check: the callback comes from the app's site by design.
pub(crate) fn router() -> Router<ServerState> {
    Router::new()
        .route("/page/go/{flow}", get(go))
        .route(
            "/oauth/callback/{configuration}",
            get(callback).post(form_post),
        )
        .route("/oauth/client/{configuration}", get(client_document))
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
}

/// Sends the browser of a flow's own session to the app.
async fn go(
    State(state): State<ServerState>,
    session: Option<PageSession>,
    request: Option<Extension<RequestId>>,
    Path(flow): Path<String>,
) -> Result<Response, Problem> {
    let Some(session) = session else {
        return Ok(refuse(request.as_deref(), "session_required"));
    };
    let going = match state.engine().go(&session.0, &flow).await {
        Ok(going) => going,
        Err(error) => return Ok(refuse(request.as_deref(), error.code())),
    };
    let name = cookie::host_bound(state.public(), &going.cookie_name);
    let max_age = u32::try_from(going.max_age_seconds).unwrap_or(u32::MAX);
    let cookie = cookie::set(state.public(), &name, going.cookie_value.expose(), max_age)
        .ok_or_else(Problem::internal)?;
    let mut response = see_other(&going.authorize_url)?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// The app sends the browser back.
async fn callback(
    State(state): State<ServerState>,
    Path(configuration): Path<String>,
    RawQuery(query): RawQuery,
    request: Option<Extension<RequestId>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut raw = Some(query.unwrap_or_default());
    let mut params = pairs(raw.as_deref().unwrap_or_default().as_bytes());
    if let [(name, ticket)] = params.as_slice()
        && name == TICKET
    {
        let Some(kept) = state.tickets().take(ticket, Instant::now()) else {
            return Ok(refuse(request.as_deref(), "already_used"));
        };
        params = kept;
        raw = None;
    }
    let browser = |name: &str| cookie::read(&headers, &cookie::host_bound(state.public(), name));
    let outcome = state
        .engine()
        .callback_sent(&configuration, params, raw.as_deref(), &browser)
        .await;
    finish(&state, outcome, request.as_deref())
}

/// The app sends the browser back with a form from its own site: no cookie comes with that.
async fn form_post(
    State(state): State<ServerState>,
    Path(configuration): Path<String>,
    headers: HeaderMap,
    form: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, Problem> {
    let form = form.map_err(|_| Problem::too_large(FORM_LIMIT))?;
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !media_type
        .to_ascii_lowercase()
        .starts_with("application/x-www-form-urlencoded")
    {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_a_form",
            "an app posts its answer here as a form",
        ));
    }
    let ticket = state
        .tickets()
        .keep(pairs(&form), Instant::now())
        .map_err(|_| Problem::internal())?;
    // The configuration's id comes from the address; it is encoded again, so it can't become another one.
    let segment: String = url::form_urlencoded::byte_serialize(configuration.as_bytes()).collect();
    see_other(&format!("/oauth/callback/{segment}?{TICKET}={ticket}"))
}

/// What this host says about itself as an OAuth client, for servers that fetch that instead of registering clients.
async fn client_document(
    State(state): State<ServerState>,
    Path(configuration): Path<String>,
) -> Result<axum::Json<serde_json::Value>, Problem> {
    Ok(axum::Json(
        state.engine().client_document(&configuration).await?,
    ))
}

/// The end where no flow is known: the person gets the request's id to quote, and the log says what was wrong with it.
fn refuse(request: Option<&RequestId>, code: &str) -> Response {
    let reference = request.map(RequestId::as_str);
    tracing::info!(request_id = reference, code, "a sign-in was refused");
    end_of_sign_in(None, Some(code), reference)
}

fn finish(
    state: &ServerState,
    outcome: CallbackOutcome,
    request: Option<&RequestId>,
) -> Result<Response, Problem> {
    let CallbackOutcome {
        flow,
        next,
        error,
        clear_cookie,
    } = outcome;
    let refused = error.as_ref().map(|error| error.code.as_str());
    let mut response = match next {
        CallbackNext::Redirect(to) => see_other(&to)?,
        CallbackNext::ClosePopup => {
            end_of_sign_in(flow.as_ref().map(|flow| flow.id.as_str()), refused, None)
        }
        CallbackNext::Neutral => refuse(request, refused.unwrap_or("unknown_sign_in")),
    };
    let cleared = clear_cookie.map(|name| {
        cookie::set(
            state.public(),
            &cookie::host_bound(state.public(), &name),
            "",
            0,
        )
    });
    if let Some(Some(cookie)) = cleared {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// 303: the browser makes a GET of it and carries nothing along (RFC 9700, section 4.12).
fn see_other(to: &str) -> Result<Response, Problem> {
    let to = HeaderValue::from_str(to).map_err(|_| Problem::internal())?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}

fn pairs(encoded: &[u8]) -> Params {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}
