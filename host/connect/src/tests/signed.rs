//! Ways to sign in that are not OAuth 2.0, against a pretend app on a real socket that sees what reaches it.

use std::collections::HashMap;
use std::sync::Mutex;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use keyport_egress::Body;

use super::*;

/// One request as it arrived.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: HashMap<String, String>,
    body: String,
}

type Answers = dyn Fn(&Seen) -> Response + Send + Sync;

struct App {
    engine: Engine,
    vault: Vault,
    clock: Arc<TestClock>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

fn json(status: u16, body: serde_json::Value) -> Response {
    (
        axum::http::StatusCode::from_u16(status).unwrap(),
        axum::Json(body),
    )
        .into_response()
}

fn me() -> Response {
    json(200, serde_json::json!({ "id": "u1", "name": "Ada" }))
}

/// An app whose `auth` and more is this YAML, and which answers so.
async fn app(yaml: &str, answers: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> App {
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let (kept, answers): (_, Arc<Answers>) = (Arc::clone(&seen), Arc::new(answers));
    let service = Router::new().fallback(move |request: Request| {
        let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let one = Seen {
                line: format!("{} {}", parts.method, parts.uri),
                headers: parts
                    .headers
                    .iter()
                    .map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()))
                    .collect(),
                body: String::from_utf8_lossy(&body).into_owned(),
            };
            kept.lock().unwrap().push(one.clone());
            answers(&one)
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    let egress = Egress::new(EgressConfig {
        origins: Origins::parse([
            ("https://api.acme.test", origin.as_str()),
            ("https://files.acme.test", origin.as_str()),
            ("https://id.acme.test", origin.as_str()),
        ])
        .unwrap(),
        ..EgressConfig::default()
    })
    .unwrap();
    let manifest = format!(
        "manifest: 1\nid: acme\nname: Acme\nversion: 1.0.0\nsummary: A pretend app.\ncomponent: rest\n{yaml}\n"
    );
    let manifest = if yaml.contains("\ntest:") {
        manifest
    } else {
        format!(
            "{manifest}test:\n  request: {{ method: GET, path: /me }}\n  ok: {{ status: 200, body: $.id }}\n  account: {{ id: '{{{{ body.id }}}}', label: '{{{{ body.name }}}}' }}\n"
        )
    };
    let catalogue = Catalogue::load(vec![AppSource {
        origin: "manifest.yaml".into(),
        manifest_yaml: manifest,
        logo_svg: None,
        component: Arc::from([]),
    }])
    .unwrap_or_else(|error| panic!("{error}"))
    .native();
    let vault = Vault::open(Arc::new(MemoryStore::new()), RootKey::generate().unwrap())
        .await
        .unwrap();
    let clock = Arc::new(TestClock(AtomicI64::new(NOW * 1000)));
    let engine = Engine::assemble(
        vault.clone(),
        egress,
        catalogue,
        Url::parse("http://localhost:4700").unwrap(),
        (clock.clone(), Arc::new(OsEntropy)),
        Options::default(),
    )
    .unwrap();
    App {
        engine,
        vault,
        clock,
        seen,
    }
}

impl App {
    async fn session(&self) -> SessionCtx {
        let created = self
            .engine
            .create_session(&Actor::Host, new_session("u1", SessionKind::Manage))
            .await
            .unwrap();
        let (_, cookie) = self
            .engine
            .open_session(token_of(&created.url))
            .await
            .unwrap();
        self.engine
            .session_by_cookie(cookie.expose())
            .await
            .unwrap()
    }

    async fn connect(&self, fields: &[(&str, &str)]) -> FlowView {
        let form = FormSubmit {
            app: "acme".into(),
            method: "way".into(),
            config: None,
            title: None,
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            connection_id: None,
        };
        let session = self.session().await;
        self.engine.connect_with_form(&session, form).await.unwrap()
    }

    async fn connected(&self, fields: &[(&str, &str)]) -> String {
        let flow = self.connect(fields).await;
        assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
        flow.connection_id.unwrap()
    }

    async fn proxy(
        &self,
        id: &str,
        request: http::Request<Body>,
    ) -> Result<(u16, String), ConnectError> {
        let answer = self.engine.proxy(&Actor::Host, id, request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect(1 << 20).await.unwrap();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn get(&self, id: &str, url: &str) -> (u16, String) {
        let request = http::Request::get(url).body(Body::empty()).unwrap();
        self.proxy(id, request).await.unwrap()
    }

    fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn last(&self) -> Seen {
        self.all().pop().unwrap()
    }

    fn count(&self, line: &str) -> usize {
        self.all().iter().filter(|seen| seen.line == line).count()
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

const KEY_FIELD: &str = "
    fields:
      - { id: key, label: Key, secret: true, help: On your profile page. }";

fn api_key(inject: &str) -> String {
    format!(
        "api:\n  base_url: https://api.acme.test\n  hosts: [{{host: files.acme.test, credential: none}}]\nauth:\n  way:\n    type: api_key\n    label: Key{KEY_FIELD}\n    inject:\n{inject}\n"
    )
}

/// R61: header with a prefix, header of its own, query, body; and nothing to a host that is to get none.
#[tokio::test]
async fn an_api_key_goes_where_the_manifest_says_and_nowhere_else() {
    let key = "very-secret-key-1";
    for (inject, header, line) in [
        (
            "      - { header: Authorization, value: 'Token {{ credentials.key }}' }",
            Some(("authorization", "Token very-secret-key-1")),
            "GET /me",
        ),
        (
            "      - { header: X-Key, value: '{{ credentials.key }}' }",
            Some(("x-key", key)),
            "GET /me",
        ),
        (
            "      - { query: key, value: '{{ credentials.key }}' }",
            None,
            "GET /me?key=very-secret-key-1",
        ),
    ] {
        let app = app(&api_key(inject), |_| me()).await;
        let id = app.connected(&[("key", key)]).await;
        let seen = app.last();
        assert_eq!(seen.line, line);
        if let Some((name, value)) = header {
            assert_eq!(seen.headers[name], value);
        }
        app.get(&id, "https://files.acme.test/f").await;
        assert!(!format!("{:?}", app.last()).contains(key), "{inject}");
    }
}

/// R61, place body; and a caller cannot bring the member itself.
#[tokio::test]
async fn an_api_key_in_the_body_is_put_into_what_the_caller_sends() {
    let yaml = format!(
        "{}test:\n  request: {{ method: POST, path: /me, safe: true, body: {{ json: {{ q: 1 }} }} }}\n  ok: {{ status: 200, body: $.id }}\n  account: {{ id: '{{{{ body.id }}}}', label: '{{{{ body.name }}}}' }}\n",
        api_key("      - { body: api_key, value: '{{ credentials.key }}' }")
    );
    let app = app(&yaml, |_| me()).await;
    // The test call is a POST that is marked as safe (C22).
    let id = app.connected(&[("key", "very-secret-key-1")]).await;
    assert_eq!(app.last().body, r#"{"api_key":"very-secret-key-1","q":1}"#);
    let send = |kind: &str, body: &str| {
        http::Request::post("/x")
            .header("content-type", kind)
            .header("content-length", body.len())
            .body(Body::from_bytes(body.to_owned()))
            .unwrap()
    };
    app.proxy(&id, send("application/json", r#"{"a":1.10}"#))
        .await
        .unwrap();
    assert_eq!(
        app.last().body,
        r#"{"api_key":"very-secret-key-1","a":1.10}"#
    );
    app.proxy(&id, send("application/x-www-form-urlencoded", "a=1"))
        .await
        .unwrap();
    assert_eq!(app.last().body, "a=1&api_key=very-secret-key-1");
    let before = app.all().len();
    let refused = app
        .proxy(&id, send("application/json", r#"{"api_key":"mine"}"#))
        .await;
    assert_eq!(code(refused), "forbidden_parameter");
    let refused = app.proxy(&id, send("text/plain", "x")).await;
    assert_eq!(code(refused), "no_place_in_body");
    assert_eq!(app.all().len(), before, "nothing was sent");
}

/// R62 and A24: control characters in a pasted secret are refused at the form, before anything is sent; outer space is trimmed.
#[tokio::test]
async fn a_pasted_key_with_a_line_break_is_refused_at_the_form() {
    let app = app(
        &api_key("      - { header: X-Key, value: '{{ credentials.key }}' }"),
        |_| me(),
    )
    .await;
    let session = app.session().await;
    for bad in ["a\r\nx-evil: 1", "a\nb", "a\0b"] {
        let mut form = key_form(bad);
        form.app = "acme".into();
        form.method = "way".into();
        form.fields = IndexMap::from([("key".to_owned(), bad.to_owned())]);
        let refused = app.engine.connect_with_form(&session, form).await;
        assert_eq!(code(refused), "invalid_input", "{bad:?}");
    }
    assert!(app.all().is_empty());
    app.connected(&[("key", "  spaced-key-1  ")]).await;
    assert_eq!(app.last().headers["x-key"], "spaced-key-1");
}

/// A23: a value is data: it is never a template, and adds neither parameters nor segments.
#[tokio::test]
async fn a_typed_value_is_never_evaluated_and_stays_in_its_slot() {
    let app = app(
        &api_key("      - { query: key, value: '{{ credentials.key }}' }"),
        |_| me(),
    )
    .await;
    app.connected(&[("key", "{{ fields.x }}&admin=1/../%2f?")])
        .await;
    assert_eq!(
        app.last().line,
        "GET /me?key=%7B%7B+fields.x+%7D%7D%26admin%3D1%2F..%2F%252f%3F"
    );
}

/// R63: several secrets at once.
#[tokio::test]
async fn several_secrets_are_asked_for_and_sent_together() {
    let yaml = "api:\n  base_url: https://api.acme.test\nauth:\n  way:\n    type: api_key\n    label: Keys\n    fields:\n      - { id: key, label: Key, secret: true, help: On your page. }\n      - { id: app_key, label: Application key, secret: true, help: On your page. }\n    inject:\n      - { header: X-Key, value: '{{ credentials.key }}' }\n      - { header: X-App, value: '{{ credentials.app_key }}' }\n";
    let app = app(yaml, |_| me()).await;
    let session = app.session().await;
    let mut form = key_form("");
    (form.app, form.method) = ("acme".into(), "way".into());
    form.fields = IndexMap::from([("key".to_owned(), "only-one-1".to_owned())]);
    assert_eq!(
        code(app.engine.connect_with_form(&session, form).await),
        "invalid_input"
    );
    app.connected(&[("key", "first-key-1"), ("app_key", "second-key-2")])
        .await;
    let seen = app.last();
    assert_eq!(
        (
            seen.headers["x-key"].as_str(),
            seen.headers["x-app"].as_str()
        ),
        ("first-key-1", "second-key-2")
    );
}

const TBA: &str = "
api:
  base_url: https://api.acme.test
auth:
  way:
    type: oauth1
    grant: token
    label: Token
    realm: '1234567_SB1'
    signature: SIGNATURE
    fields:
      - { id: consumer_id, label: Consumer id, help: There. }
      - { id: cs, label: Consumer secret, secret: true, help: There. }
      - { id: token_id, label: Token id, help: There. }
      - { id: ts, label: Token secret, secret: true, help: There. }
    client: { operator: false, owner: { id: '{{ credentials.consumer_id }}', secret: '{{ credentials.cs }}' } }
    token: '{{ credentials.token_id }}'
    token_secret: '{{ credentials.ts }}'
    revoke: { none: It is ended there. }
";
const TBA_FIELDS: &[(&str, &str)] = &[
    ("consumer_id", "consumer-key-1"),
    ("cs", "consumer-secret-1"),
    ("token_id", "token-id-1234"),
    ("ts", "token-secret-1"),
];

/// R58: no dance, four pasted values, the realm in the header.
#[tokio::test]
async fn token_based_authentication_signs_with_four_pasted_values() {
    let app = app(&TBA.replace("SIGNATURE", "HMAC-SHA256"), |_| me()).await;
    let id = app.connected(TBA_FIELDS).await;
    let line = app.last().headers["authorization"].clone();
    assert!(
        line.starts_with("OAuth realm=\"1234567_SB1\", oauth_consumer_key=\"consumer-key-1\", "),
        "{line}"
    );
    assert!(
        line.contains("oauth_signature_method=\"HMAC-SHA256\"")
            && line.contains("oauth_token=\"token-id-1234\"")
    );
    assert!(!line.contains("secret-1"));
    // What signs stays here, even for a key that may read credentials.
    let issued = app.engine.credentials(&Actor::Host, &id).await;
    assert!(issued.is_err() || !format!("{:?}", issued.unwrap().fields).contains("secret-1"));
}

/// A PLAINTEXT signature is the secrets themselves: without `derived` in the signer, an app that echoes its request would
/// hand them to whoever called.
#[tokio::test]
async fn a_plaintext_signature_that_is_echoed_does_not_come_back() {
    let yaml = TBA.replace("SIGNATURE", "PLAINTEXT");
    let app = app(&yaml, |seen| {
        if seen.line.contains("/me") {
            return me();
        }
        json(
            200,
            serde_json::json!({ "echo": seen.headers["authorization"] }),
        )
    })
    .await;
    let mut fields = TBA_FIELDS.to_vec();
    fields[1].1 = "consumer$secret&1";
    let id = app.connected(&fields).await;
    let (_, body) = app.get(&id, "/echo").await;
    assert!(
        app.last().headers["authorization"].contains("consumer%2524secret%25261"),
        "{:?}",
        app.last()
    );
    assert!(
        !body.contains("consumer%2524secret") && !body.contains("token-secret-1"),
        "{body}"
    );
}

/// R57: an app whose clock is another one refuses once; what its answer says of its time is used from then on.
#[tokio::test]
async fn a_signature_is_made_anew_when_the_apps_clock_is_another_one() {
    let theirs = NOW + 4000;
    let app = app(&TBA.replace("SIGNATURE", "HMAC-SHA1"), move |seen| {
        let stamp = format!("oauth_timestamp=\"{theirs}\"");
        let mut answer = if seen.headers["authorization"].contains(&stamp) {
            me()
        } else {
            json(401, serde_json::json!({ "problem": "timestamp_refused" }))
        };
        // 1,800,004,000 seconds since 1970.
        answer
            .headers_mut()
            .insert("date", "Fri, 15 Jan 2027 09:06:40 GMT".parse().unwrap());
        answer
    })
    .await;
    let id = app.connected(TBA_FIELDS).await;
    assert_eq!(app.all().len(), 2, "once refused, once signed anew");
    let nonce = |seen: &Seen| {
        seen.headers["authorization"]
            .split("oauth_nonce=")
            .nth(1)
            .unwrap()[..20]
            .to_owned()
    };
    assert_ne!(nonce(&app.all()[0]), nonce(&app.all()[1]));
    app.get(&id, "/me").await;
    assert_eq!(app.all().len(), 3, "learned");
}

const SESSION: &str = "
api:
  base_url: https://api.acme.test
auth:
  way:
    type: session
    label: Password
    fields:
      - { id: user, label: User }
      - { id: password, label: Password, secret: true, help: Yours. }
    steps:
      - request: { method: POST, path: 'https://id.acme.test/login', body: { json: { user: '{{ credentials.user }}', password: '{{ credentials.password }}' } } }
        ok: { status: 200 }
        capture: { ticket: { header: X-Ticket } }
        failures:
          - { status: 401, means: needs_reconnect, say: Acme does not accept this password. }
      - request: { method: POST, path: /open, headers: { x-ticket: '{{ capture.ticket }}' } }
        capture: { sid: { cookie: sid } }
    expiry: { in: $.ttl, unit: minutes }
    logout: { method: POST, path: /logout }
    inject:
      - { header: X-Session, value: '{{ capture.sid }}' }
";

/// A log-in in two steps: the second uses what the first gave; the session is used, and counted.
fn log_in(seen: &Seen, number: usize) -> Response {
    match seen.line.as_str() {
        "POST /login" if seen.body.contains("right-password") => {
            let mut answer = json(200, serde_json::json!({}));
            answer
                .headers_mut()
                .insert("x-ticket", "ticket-12345".parse().unwrap());
            answer
        }
        "POST /login" => json(401, serde_json::json!({})),
        "POST /open" if seen.headers["x-ticket"] == "ticket-12345" => {
            let mut answer = json(200, serde_json::json!({ "ttl": 30 }));
            let cookie = format!("sid=session-{number:05}; Path=/");
            answer
                .headers_mut()
                .insert("set-cookie", cookie.parse().unwrap());
            answer
        }
        "POST /logout" => json(204, serde_json::json!(null)),
        _ if seen
            .headers
            .get("x-session")
            .is_some_and(|sid| *sid == format!("session-{number:05}")) =>
        {
            me()
        }
        _ => json(401, serde_json::json!({})),
    }
}

const RIGHT: &[(&str, &str)] = &[("user", "ada"), ("password", "right-password")];

#[tokio::test]
async fn a_log_in_in_two_steps_begins_a_session_that_is_renewed_and_ended() {
    let number = Arc::new(std::sync::atomic::AtomicUsize::new(1));
    let theirs = Arc::clone(&number);
    let app = app(SESSION, move |seen| {
        log_in(seen, theirs.load(Ordering::SeqCst))
    })
    .await;
    let id = app.connected(RIGHT).await;
    assert_eq!(app.last().headers["x-session"], "session-00001");
    // Half an hour is not over: no second log-in.
    app.pass(20 * 60);
    assert_eq!(app.get(&id, "/me").await.0, 200);
    assert_eq!(app.count("POST /login"), 1);
    // Shortly before its end it is begun anew, once for all who ask.
    app.pass(9 * 60 + 30);
    number.store(2, Ordering::SeqCst);
    let all = futures_util::future::join_all((0..20).map(|_| app.get(&id, "/me"))).await;
    assert!(all.iter().all(|(status, _)| *status == 200));
    assert_eq!(app.count("POST /login"), 2);
    // The app has ended it by itself: its 401 begins another, and the caller does not notice.
    number.store(3, Ordering::SeqCst);
    assert_eq!(app.get(&id, "/me").await.0, 200);
    assert_eq!(app.count("POST /login"), 3);
    let done = app.engine.disconnect(&Actor::Host, &id).await.unwrap();
    assert_eq!(done.revoked, Revoked::Yes);
    assert_eq!(
        (
            app.last().line.as_str(),
            app.last().headers["x-session"].as_str()
        ),
        ("POST /logout", "session-00003")
    );
}

/// A wrong password is sent once and no more: without the state that a refusal makes, each use would bring the account closer
/// to being locked.
#[tokio::test]
async fn a_password_that_is_refused_is_not_tried_again() {
    let right = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let theirs = Arc::clone(&right);
    let app = app(SESSION, move |seen| {
        if theirs.load(Ordering::SeqCst) {
            log_in(seen, 1)
        } else {
            json(401, serde_json::json!({}))
        }
    })
    .await;
    let flow = app
        .connect(&[("user", "ada"), ("password", "wrong-password")])
        .await;
    assert_eq!(flow.status, FlowStatus::Failed);
    assert_eq!(
        flow.error.unwrap().say,
        "Acme does not accept this password."
    );
    assert_eq!(app.count("POST /login"), 1);
    let id = app.connected(RIGHT).await;
    right.store(false, Ordering::SeqCst);
    app.pass(3600);
    let before = app.count("POST /login");
    for _ in 0..5 {
        assert!(
            app.proxy(&id, http::Request::get("/me").body(Body::empty()).unwrap())
                .await
                .is_err()
        );
    }
    assert_eq!(app.count("POST /login"), before + 1);
    let view = app.engine.get(&Actor::Host, &id).await.unwrap();
    assert_eq!(view.state, ConnectionState::NeedsReconnect);
    // And nothing of the password is in what is kept in the clear.
    let heads = app
        .vault
        .list(keyport_vault::Kind::new("connection"), None, None, 10)
        .await
        .unwrap();
    assert!(
        !format!(
            "{:?}",
            heads
                .heads
                .iter()
                .map(|h| h.clear.to_string())
                .collect::<Vec<_>>()
        )
        .contains("password\":")
    );
}

const SITES: &str = "
api:
  base_url: 'https://api.acme.test/{{ capture.site }}'
  hosts: [id.acme.test]
discovery:
  - id: site
    request: { method: GET, path: 'https://id.acme.test/sites' }
    items: $.sites
    pick: PICK
    label: '{{ item.name }}'
    capture: { site: { path: $.id, public: true } }
auth:
  way:
    type: bearer
    label: Token
";

fn sites(pick: &str, count: usize) -> (String, impl Fn(&Seen) -> Response + Send + Sync + 'static) {
    let answers = move |seen: &Seen| match seen.line.as_str() {
        "GET /sites" => {
            let all: Vec<_> = (1..=count).map(|n| serde_json::json!({ "id": format!("s{n}"), "name": format!("Site {n}\n<b>") })).collect();
            json(200, serde_json::json!({ "sites": all }))
        }
        "GET /s2/me" | "GET /s1/me" => me(),
        _ => json(404, serde_json::json!({})),
    };
    let yaml = SITES.replace("PICK", pick);
    let yaml = if pick == "ask" {
        yaml
    } else {
        yaml.replace("    label: '{{ item.name }}'\n", "")
    };
    (yaml, answers)
}

#[tokio::test]
async fn what_a_connection_is_for_is_found_out_before_it_is_tested() {
    for (pick, count, line) in [
        ("first", 3, "GET /s1/me"),
        ("only", 1, "GET /s1/me"),
        ("ask", 1, "GET /s1/me"),
        (
            "{ match: { path: $.name, matches: '^Site 2' } }",
            3,
            "GET /s2/me",
        ),
    ] {
        let (yaml, answers) = sites(pick, count);
        let app = app(&yaml, answers).await;
        app.connected(&[("token", "site-token-1")]).await;
        assert_eq!(app.last().line, line, "{pick}");
        assert!(
            app.all()
                .iter()
                .all(|seen| seen.headers["authorization"] == "Bearer site-token-1")
        );
    }
    for (pick, count) in [("only", 2), ("first", 0)] {
        let (yaml, answers) = sites(pick, count);
        let app = app(&yaml, answers).await;
        assert_eq!(
            app.connect(&[("token", "site-token-1")]).await.status,
            FlowStatus::Failed,
            "{pick}"
        );
    }
}

#[tokio::test]
async fn the_person_is_asked_and_the_question_waits_until_it_is_answered() {
    let (yaml, answers) = sites("ask", 3);
    let app = app(&yaml, answers).await;
    let flow = app.connect(&[("token", "site-token-1")]).await;
    assert_eq!(flow.status, FlowStatus::Choosing);
    let asked = flow.choose.unwrap();
    let labels: Vec<_> = asked
        .options
        .iter()
        .map(|option| option.label.as_str())
        .collect();
    assert_eq!(
        labels,
        ["Site 1<b>", "Site 2<b>", "Site 3<b>"],
        "one line each; the page shows it as text"
    );
    // Nothing is tested, and nothing asked again, while the answer is out.
    app.engine.sweep().await.unwrap();
    assert_eq!(app.all().len(), 1);
    // Another session of the same owner cannot answer; the page's own can only pick what was listed.
    let session = app.session().await;
    let chosen = |step: &str, value: &str| Chosen {
        step: step.into(),
        value: value.into(),
    };
    assert_eq!(
        code(
            app.engine
                .choose(&session, &flow.id, &chosen("site", "1"))
                .await
        ),
        "not_found"
    );
    let (yaml, answers) = sites("ask", 3);
    let app = crate::tests::signed::app(&yaml, answers).await;
    let session = app.session().await;
    let mut form = key_form("");
    (form.app, form.method) = ("acme".into(), "way".into());
    form.fields = IndexMap::from([("token".to_owned(), "site-token-1".to_owned())]);
    let flow = app.engine.connect_with_form(&session, form).await.unwrap();
    for wrong in [
        chosen("site", "3"),
        chosen("site", "s2"),
        chosen("other", "1"),
        chosen("site", "-1"),
    ] {
        assert_eq!(
            code(app.engine.choose(&session, &flow.id, &wrong).await),
            "invalid_input"
        );
    }
    let done = app
        .engine
        .choose(&session, &flow.id, &chosen("site", "1"))
        .await
        .unwrap();
    assert_eq!(done.status, FlowStatus::Connected, "{:?}", done.error);
    assert_eq!(app.last().line, "GET /s2/me");
    assert_eq!(
        code(
            app.engine
                .choose(&session, &flow.id, &chosen("site", "1"))
                .await
        ),
        "nothing_to_choose"
    );
}

/// A42, the part about a question: a sign-in that was stopped while the person was asked leaves nothing.
#[tokio::test]
async fn a_question_that_is_cancelled_or_never_answered_lets_the_sign_in_go() {
    for cancel in [true, false] {
        let (yaml, answers) = sites("ask", 2);
        let app = app(&yaml, answers).await;
        let session = app.session().await;
        let mut form = key_form("");
        (form.app, form.method) = ("acme".into(), "way".into());
        form.fields = IndexMap::from([("token".to_owned(), "site-token-1".to_owned())]);
        let flow = app.engine.connect_with_form(&session, form).await.unwrap();
        if cancel {
            app.engine.cancel_flow(&session, &flow.id).await.unwrap();
        } else {
            app.pass(3600);
            app.engine.sweep().await.unwrap();
        }
        let left = app.engine.heads::<record::Connection>(None).await.unwrap();
        assert!(left.is_empty());
        let view = app.engine.flow(&session, &flow.id).await.unwrap();
        assert!(view.status.ended(), "{:?}", view.status);
    }
}
