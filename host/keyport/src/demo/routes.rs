//! What the browser asks of the demo platform: the page, and a handful of JSON calls behind it.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, middleware};
use http::header;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Demo;
use super::client::Refused;

const PAGE: &str = include_str!("../../assets/demo/index.html");
const SCRIPT: &str = include_str!("../../assets/demo/demo.js");
const STYLE: &str = include_str!("../../assets/demo/demo.css");
const STRANGER: &str = include_str!("../../assets/demo/stranger.html");

pub fn router(demo: Demo) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/enter", get(enter))
        .route("/connected", get(connected))
        .route("/manage", get(manage))
        .route(
            "/demo.js",
            get(|| async {
                (
                    [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
                    SCRIPT,
                )
            }),
        )
        .route(
            "/demo.css",
            get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE) }),
        )
        .route("/api/apps", get(apps))
        .route("/api/apps/{app}", get(app))
        .route("/api/sessions", post(create_session))
        .route("/api/complete", post(complete))
        .route("/api/run", post(run))
        .route("/api/watch", post(watch))
        .route("/api/watch/{subscription}", get(watched).delete(unwatch))
        .layer(middleware::from_fn_with_state(demo.clone(), guard))
        .with_state(demo)
}

/// Security headers on every answer; changes only from our own origin.
async fn guard(
    State(demo): State<Demo>,
    request: axum::extract::Request,
    next: middleware::Next,
) -> Response {
    let foreign = request.method() != http::Method::GET
        && request
            .headers()
            .get(header::ORIGIN)
            .is_none_or(|origin| origin != demo.inner.origin.as_str());
    let mut response = if foreign {
        problem(
            StatusCode::FORBIDDEN,
            "This request did not come from the demo platform's own page",
        )
    } else {
        next.run(request).await
    };
    let policy = format!(
        "default-src 'none'; script-src 'self' {keyport}; style-src 'self'; img-src 'self' {keyport}; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        keyport = demo.inner.keyport_origin
    );
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    response
}

async fn page(State(demo): State<Demo>, headers: HeaderMap) -> Response {
    let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    match demo.inner.visitors.user(&headers) {
        Some(_) => (
            html,
            PAGE.replace("{{keyport}}", &demo.inner.keyport_origin),
        )
            .into_response(),
        None => (StatusCode::UNAUTHORIZED, html, STRANGER).into_response(),
    }
}

#[derive(Deserialize)]
struct Entrance {
    token: String,
}

async fn enter(State(demo): State<Demo>, Query(entrance): Query<Entrance>) -> Response {
    match demo.inner.visitors.admit(&entrance.token) {
        Some(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
        None => (
            StatusCode::UNAUTHORIZED,
            [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
            STRANGER,
        )
            .into_response(),
    }
}

/// The hosted Apps page is entered by a link that lives a minute, so it is made when it is clicked.
async fn manage(State(demo): State<Demo>, headers: HeaderMap) -> Result<Response, Response> {
    let user = signed_in(&demo, &headers)?;
    let body = json!({ "owner": user, "owner_label": "Demo user", "kind": "manage", "origins": [demo.inner.origin] });
    let session = demo
        .inner
        .keyport
        .post("/v1/sessions", &body)
        .await
        .map_err(refused)?;
    let url = session.get("url").and_then(Value::as_str).unwrap_or("/");
    Ok(Redirect::to(url).into_response())
}

async fn apps(State(demo): State<Demo>, headers: HeaderMap) -> Result<Json<Value>, Response> {
    signed_in(&demo, &headers)?;
    demo.inner
        .keyport
        .get("/v1/apps?limit=100")
        .await
        .map(Json)
        .map_err(refused)
}

async fn app(
    State(demo): State<Demo>,
    headers: HeaderMap,
    Path(app): Path<String>,
) -> Result<Json<Value>, Response> {
    signed_in(&demo, &headers)?;
    let path = format!("/v1/apps/{}", segment(&app));
    demo.inner
        .keyport
        .get(&path)
        .await
        .map(Json)
        .map_err(refused)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedSession {
    app: String,
    r#for: String,
}

async fn create_session(
    State(demo): State<Demo>,
    headers: HeaderMap,
    Json(wanted): Json<WantedSession>,
) -> Result<Json<Value>, Response> {
    let user = signed_in(&demo, &headers)?;
    let body = json!({
        "owner": user,
        "owner_label": "Demo user",
        "kind": "connect",
        "apps": [wanted.app],
        "for": wanted.r#for,
        "origins": [demo.inner.origin],
        "return_url": format!("{}/connected", demo.inner.origin),
    });
    demo.inner
        .keyport
        .post("/v1/sessions", &body)
        .await
        .map(Json)
        .map_err(refused)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Completion {
    session: String,
    code: String,
}

/// The step that no browser can do for another: the code is redeemed for whoever is signed in *here*.
async fn redeem(
    demo: &Demo,
    headers: &HeaderMap,
    completion: &Completion,
) -> Result<Value, Response> {
    let user = signed_in(demo, headers)?;
    let path = format!("/v1/sessions/{}/complete", segment(&completion.session));
    let body = json!({ "code": completion.code, "owner": user });
    let mut done = demo
        .inner
        .keyport
        .post(&path, &body)
        .await
        .map_err(refused)?;
    Ok(done
        .get_mut("connection")
        .map(Value::take)
        .unwrap_or_default())
}

async fn complete(
    State(demo): State<Demo>,
    headers: HeaderMap,
    Json(completion): Json<Completion>,
) -> Result<Json<Value>, Response> {
    redeem(&demo, &headers, &completion).await.map(Json)
}

/// The same by redirect, for browsers without popups.
async fn connected(
    State(demo): State<Demo>,
    headers: HeaderMap,
    Query(completion): Query<Completion>,
) -> Result<Response, Response> {
    let connection = redeem(&demo, &headers, &completion).await?;
    let text = |name| {
        connection
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    Ok(Redirect::to(&format!(
        "/#app={}&connection={}",
        segment(text("app")),
        segment(text("id"))
    ))
    .into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    connection: String,
    /// `action` or `event`.
    kind: String,
    name: String,
    #[serde(default)]
    input: Value,
}

async fn run(
    State(demo): State<Demo>,
    headers: HeaderMap,
    Json(step): Json<Step>,
) -> Result<Json<Value>, Response> {
    signed_in(&demo, &headers)?;
    let connection = format!("/v1/connections/{}", segment(&step.connection));
    let (path, body) = match step.kind.as_str() {
        "event" => (
            format!("{connection}/triggers/{}/poll", segment(&step.name)),
            json!({ "input": step.input, "cursor": Value::Null }),
        ),
        _ => (
            format!("{connection}/actions/{}", segment(&step.name)),
            json!({ "input": step.input }),
        ),
    };
    demo.inner
        .keyport
        .post(&path, &body)
        .await
        .map(Json)
        .map_err(refused)
}

/// An event that starts an automation: subscribed once, found by Keyport from then on.
async fn watch(
    State(demo): State<Demo>,
    headers: HeaderMap,
    Json(step): Json<Step>,
) -> Result<Json<Value>, Response> {
    signed_in(&demo, &headers)?;
    let path = format!(
        "/v1/connections/{}/subscriptions",
        segment(&step.connection)
    );
    let body = json!({ "trigger": step.name, "input": step.input, "every_seconds": 60 });
    demo.inner
        .keyport
        .post(&path, &body)
        .await
        .map(Json)
        .map_err(refused)
}

/// What it has found. A platform in earnest is told by a webhook; this one has no address that the world reaches, so it looks, and
/// asks Keyport to look.
async fn watched(
    State(demo): State<Demo>,
    headers: HeaderMap,
    Path(subscription): Path<String>,
) -> Result<Json<Value>, Response> {
    signed_in(&demo, &headers)?;
    let keyport = &demo.inner.keyport;
    let own = format!("/v1/subscriptions/{}", segment(&subscription));
    keyport
        .post(&format!("{own}/poll"), &json!({}))
        .await
        .map_err(refused)?;
    let found = format!(
        "/v1/trigger-events?subscription_id={}",
        segment(&subscription)
    );
    keyport.get(&found).await.map(Json).map_err(refused)
}

async fn unwatch(
    State(demo): State<Demo>,
    headers: HeaderMap,
    Path(subscription): Path<String>,
) -> Result<Json<Value>, Response> {
    signed_in(&demo, &headers)?;
    demo.inner
        .keyport
        .delete(&format!("/v1/subscriptions/{}", segment(&subscription)))
        .await
        .map(Json)
        .map_err(refused)
}

/// Nobody is signed in.
struct Stranger;

impl From<Stranger> for Response {
    fn from(Stranger: Stranger) -> Self {
        problem(
            StatusCode::UNAUTHORIZED,
            "open the link that `keyport dev` printed to sign in",
        )
    }
}

fn signed_in(demo: &Demo, headers: &HeaderMap) -> Result<&'static str, Stranger> {
    demo.inner.visitors.user(headers).ok_or(Stranger)
}

fn refused(refused: Refused) -> Response {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_GATEWAY);
    (status, Json(refused.problem)).into_response()
}

fn problem(status: StatusCode, detail: &str) -> Response {
    (
        status,
        Json(json!({ "status": status.as_u16(), "detail": detail })),
    )
        .into_response()
}

/// One path segment: whatever the browser sent can't reach another route of Keyport.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_can_not_reach_another_route() {
        assert_eq!(
            segment("con_1/../../keys?x#y"),
            "con_1%2F..%2F..%2Fkeys%3Fx%23y"
        );
    }
}
