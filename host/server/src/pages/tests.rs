//! The pages through the whole router, over a real engine with nothing in it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{HeaderMap, Request, StatusCode, header};
use keyport_connect::view::{NewSession, SentLink, SessionKind};
use keyport_connect::{Actor, Catalogue, Engine, EngineParts};
use keyport_egress::{Egress, EgressConfig};
use keyport_plugin::{PluginConfig, PluginHost};
use keyport_vault::{MemoryStore, RootKey, Vault};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

const ORIGIN: &str = "https://keyport.example";

struct Host {
    engine: Engine,
    router: Router,
}

impl Host {
    async fn new() -> Self {
        let url: url::Url = ORIGIN.parse().unwrap();
        let vault = Vault::open(Arc::new(MemoryStore::new()), RootKey::generate().unwrap())
            .await
            .unwrap();
        let egress = Egress::new(EgressConfig::default()).unwrap();
        let plugins = PluginHost::new(PluginConfig {
            max_concurrent: 1,
            ..PluginConfig::default()
        })
        .unwrap();
        let parts = EngineParts::new(vault, egress, plugins, Catalogue::default(), url.clone());
        let engine = Engine::new(parts).await.unwrap();
        let router = crate::router(ServerState::new(engine.clone(), &url).unwrap());
        Self { engine, router }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "keyport.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[], "").await
    }

    /// As our own page would send it.
    async fn page(&self, method: &str, path: &str, cookie: &str, body: &Value) -> Response {
        let headers = [
            ("origin", ORIGIN),
            ("content-type", "application/json"),
            ("cookie", cookie),
        ];
        self.send(method, path, &headers, &body.to_string()).await
    }

    /// The token of a new session's link.
    async fn link(&self, kind: SessionKind) -> String {
        let new = NewSession {
            owner: "ada".into(),
            owner_label: Some("Ada of Acme".into()),
            kind,
            apps: None,
            connection_id: None,
            purpose: None,
            origins: vec!["https://platform.example".into()],
            return_url: None,
            link: None,
        };
        let created = self.engine.create_session(&Actor::Host, new).await.unwrap();
        created.url.split_once('#').unwrap().1.to_owned()
    }

    /// A signed-in browser's cookie.
    async fn cookie(&self) -> String {
        let token = self.link(SessionKind::Manage).await;
        let opened = self
            .page("POST", "/page/open", "", &json!({ "token": token }))
            .await;
        assert_eq!(opened.status(), StatusCode::OK);
        let cookie = opened.headers()[header::SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

async fn document(response: Response) -> Value {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map(|value| value.to_str().unwrap())
        .unwrap_or_default()
}

/// Every route that changes something: (method, path).
const CHANGES: [(&str, &str); 14] = [
    ("POST", "/page/open"),
    ("DELETE", "/page/session"),
    ("POST", "/page/pick"),
    ("POST", "/page/connections"),
    ("PATCH", "/page/connections/con_1"),
    ("DELETE", "/page/connections/con_1"),
    ("POST", "/page/connections/con_1/test"),
    ("POST", "/page/connections/con_1/pause"),
    ("POST", "/page/connections/con_1/resume"),
    ("POST", "/page/connections/con_1/disconnect"),
    ("POST", "/page/connections/con_1/details"),
    ("POST", "/page/flows"),
    ("DELETE", "/page/flows/flow_1"),
    ("POST", "/page/flows/flow_1/choose"),
];

const READS: [&str; 7] = [
    "/page/session",
    "/page/apps",
    "/page/apps/github",
    "/page/connections",
    "/page/connections/con_1",
    "/page/flows/flow_1",
    "/page/events",
];

/// S10: a link that came by mail is not opened by looking at it, and says first what it is for.
#[tokio::test]
async fn a_link_that_was_sent_opens_after_it_was_confirmed() {
    let host = Host::new().await;
    let new = NewSession {
        owner: "ada".into(),
        owner_label: Some("Ada of Acme".into()),
        kind: SessionKind::Connect,
        apps: None,
        connection_id: None,
        purpose: Some("Reports".into()),
        origins: Vec::new(),
        return_url: Some("https://platform.example/connected".into()),
        link: Some(SentLink::default()),
    };
    let created = host.engine.create_session(&Actor::Host, new).await.unwrap();
    let token = created.url.split_once('#').unwrap().1;
    for _ in 0..2 {
        let looked = host
            .page("POST", "/page/open", "", &json!({ "token": token }))
            .await;
        assert_eq!(looked.status(), StatusCode::OK);
        assert!(!looked.headers().contains_key(header::SET_COOKIE));
        let said = document(looked).await;
        assert_eq!(said["confirm"]["platform"], "platform.example");
        assert_eq!(said["confirm"]["owner_label"], "Ada of Acme");
        assert_eq!(said["confirm"]["for"], "Reports");
        assert!(said.get("id").is_none(), "there is no session yet");
    }
    let confirmed = json!({ "token": token, "confirmed": true });
    let opened = host.page("POST", "/page/open", "", &confirmed).await;
    assert_eq!(opened.status(), StatusCode::OK);
    assert!(opened.headers().contains_key(header::SET_COOKIE));
    let again = host.page("POST", "/page/open", "", &confirmed).await;
    assert_eq!(again.status(), StatusCode::GONE);
}

#[tokio::test]
async fn every_page_forbids_inline_code_foreign_sources_and_frames() {
    let host = Host::new().await;
    for (path, opener) in [
        ("/apps", "same-origin-allow-popups"),
        ("/connect", "unsafe-none"),
        ("/connect/wait", "unsafe-none"),
        ("/connect/end", "unsafe-none"),
        ("/open", "unsafe-none"),
    ] {
        let response = host.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers();
        assert_eq!(
            text(headers, "content-type"),
            "text/html; charset=utf-8",
            "{path}"
        );
        let policy = text(headers, "content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains("https:") && !policy.contains('*'),
            "{path}: {policy}"
        );
        assert_eq!(
            text(headers, "cross-origin-opener-policy"),
            opener,
            "{path}"
        );
        assert_eq!(text(headers, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(text(headers, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(text(headers, "x-frame-options"), "DENY", "{path}");
        assert_eq!(text(headers, "cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn files_come_with_their_types_and_are_revalidated() {
    let host = Host::new().await;
    for (path, media_type) in [
        ("/assets/theme.css", "text/css; charset=utf-8"),
        ("/assets/js/apps.js", "text/javascript; charset=utf-8"),
        ("/assets/keyport.svg", "image/svg+xml"),
        ("/connect.js", "text/javascript; charset=utf-8"),
        ("/connect.d.ts", "text/plain; charset=utf-8"),
    ] {
        let first = host.get(path).await;
        assert_eq!(first.status(), StatusCode::OK, "{path}");
        assert_eq!(text(first.headers(), "content-type"), media_type, "{path}");
        assert_eq!(
            text(first.headers(), "x-content-type-options"),
            "nosniff",
            "{path}"
        );
        let tag = text(first.headers(), "etag").to_owned();
        let again = host.send("GET", path, &[("if-none-match", &tag)], "").await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
    }
}

#[tokio::test]
async fn only_connect_js_may_be_loaded_by_other_sites() {
    let host = Host::new().await;
    let policy = "cross-origin-resource-policy";
    assert_eq!(
        text(host.get("/connect.js").await.headers(), policy),
        "cross-origin"
    );
    assert_eq!(
        text(host.get("/assets/js/apps.js").await.headers(), policy),
        "same-origin"
    );
    assert_eq!(
        text(host.get("/apps").await.headers(), policy),
        "same-origin"
    );
}

#[tokio::test]
async fn a_path_out_of_the_folder_is_not_found() {
    let host = Host::new().await;
    for path in [
        "/assets/../Cargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets/apps.html",
        "/assets/js/",
        "/assets/nothing.js",
    ] {
        assert_eq!(
            host.get(path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn without_the_cookie_every_page_route_answers_401_in_words() {
    let host = Host::new().await;
    let mut answers = Vec::new();
    for path in READS {
        answers.push((path, host.get(path).await));
    }
    for (method, path) in CHANGES
        .into_iter()
        .filter(|(_, path)| *path != "/page/open")
    {
        answers.push((path, host.page(method, path, "", &json!({})).await));
    }
    for (path, response) in answers {
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            text(response.headers(), "content-type"),
            "application/problem+json",
            "{path}"
        );
        let problem = document(response).await;
        assert_eq!(problem["code"], "session_required", "{path}");
        assert!(problem["request_id"].is_string(), "{path}");
    }
}

#[tokio::test]
async fn a_made_up_cookie_is_no_session() {
    let host = Host::new().await;
    let response = host
        .page("GET", "/page/session", "__Host-kp=made-up", &json!({}))
        .await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_site_can_change_nothing_even_in_a_signed_in_browser() {
    let host = Host::new().await;
    let cookie = host.cookie().await;
    for (method, path) in CHANGES {
        for origin in [
            Some("https://evil.example"),
            Some("https://a.keyport.example"),
            Some("null"),
            None,
        ] {
            let mut headers = vec![
                ("cookie", cookie.as_str()),
                ("content-type", "application/json"),
            ];
            headers.extend(origin.map(|origin| ("origin", origin)));
            let response = host.send(method, path, &headers, "{}").await;
            assert_eq!(
                response.status(),
                StatusCode::FORBIDDEN,
                "{method} {path} from {origin:?}"
            );
            assert_eq!(document(response).await["code"], "wrong_origin");
        }
    }
    let alive = host.page("GET", "/page/session", &cookie, &json!({})).await;
    assert_eq!(alive.status(), StatusCode::OK, "the session was not ended");
}

#[tokio::test]
async fn a_link_opens_once_and_the_page_names_the_owner() {
    let host = Host::new().await;
    let token = host.link(SessionKind::Manage).await;
    let first = host
        .page("POST", "/page/open", "", &json!({ "token": token }))
        .await;
    assert_eq!(first.status(), StatusCode::OK);
    let cookie = text(first.headers(), "set-cookie").to_owned();
    assert!(
        cookie.starts_with("__Host-kp=") && cookie.contains("HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
    let session = document(first).await;
    assert_eq!(
        (&session["kind"], &session["owner_label"]),
        (&json!("manage"), &json!("Ada of Acme"))
    );
    assert!(
        !session.to_string().contains(&token),
        "the token is not repeated"
    );

    let second = host
        .page("POST", "/page/open", "", &json!({ "token": token }))
        .await;
    assert!(second.status().is_client_error(), "{}", second.status());
    assert!(second.headers().get(header::SET_COOKIE).is_none());
    assert!(!document(second).await.to_string().contains(&token));
}

#[tokio::test]
async fn an_ended_session_is_over_and_its_cookie_taken_back() {
    let host = Host::new().await;
    let cookie = host.cookie().await;
    let ended = host
        .page("DELETE", "/page/session", &cookie, &json!({}))
        .await;
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    assert!(text(ended.headers(), "set-cookie").contains("Max-Age=0"));
    let after = host
        .page("GET", "/page/connections", &cookie, &json!({}))
        .await;
    assert_eq!(after.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_cookie_is_no_key_for_the_api() {
    let host = Host::new().await;
    let cookie = host.cookie().await;
    let response = host
        .page("GET", "/v1/connections", &cookie, &json!({}))
        .await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn events_are_a_stream_for_the_sessions_owner() {
    let host = Host::new().await;
    let cookie = host.cookie().await;
    let response = host.page("GET", "/page/events", &cookie, &json!({})).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        text(response.headers(), "content-type"),
        "text/event-stream"
    );
    assert_eq!(text(response.headers(), "cache-control"), "no-cache");
}

#[tokio::test]
async fn a_body_with_an_unknown_key_is_refused_in_words() {
    let host = Host::new().await;
    let cookie = host.cookie().await;
    let response = host
        .page(
            "PATCH",
            "/page/connections/con_1",
            &cookie,
            &json!({ "name": "x" }),
        )
        .await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem = document(response).await;
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("unknown field `name`"),
        "{problem}"
    );
}

#[test]
fn the_end_of_a_sign_in_carries_ids_and_codes_encoded_and_nothing_else() {
    let place = |response: Response| text(response.headers(), "location").to_owned();
    assert_eq!(
        place(end_of_sign_in(Some("flow_a"), None, Some("req_1"))),
        "/connect/end?flow=flow_a"
    );
    assert_eq!(
        place(end_of_sign_in(
            Some("flow_a"),
            Some("denied"),
            Some("req_1")
        )),
        "/connect/end?flow=flow_a&outcome=refused&code=denied"
    );
    assert_eq!(
        place(end_of_sign_in(None, Some("denied"), Some("req_1"))),
        "/connect/end?outcome=refused&code=denied&ref=req_1"
    );
    assert_eq!(
        place(end_of_sign_in(
            Some("a&outcome=refused\r\nx: y"),
            None,
            None
        )),
        "/connect/end?flow=a%26outcome%3Drefused%0D%0Ax%3A+y"
    );
}
