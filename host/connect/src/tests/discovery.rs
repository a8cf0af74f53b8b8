//! Endpoints that are found out, clients that register by themselves, and servers that lie about either.

use std::collections::BTreeMap;

use serde_json::{Value, json as object};

use super::provider::*;
use super::*;

const MCP: &str = r#"
    discover: { resource: https://mcp.keyport.test/mcp }
    register: true
    client_auth: none
    refresh: { rotates: always }
    revoke: { none: Only some can. }
"#;

const ISSUER: &str = r#"
    discover: { issuer: https://as.keyport.test }
    refresh: { rotates: always }
    revoke: { none: It ends by itself. }
"#;

fn metadata() -> Value {
    object!({
        "issuer": "https://as.keyport.test",
        "authorization_endpoint": "https://as.keyport.test/authorize",
        "token_endpoint": "https://as.keyport.test/token",
        "registration_endpoint": "https://as.keyport.test/register",
        "revocation_endpoint": "https://as.keyport.test/revoke",
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "logo_uri": "https://other.keyport.test/logo",
        "op_tos_uri": "https://other.keyport.test/tos",
    })
}

fn protected() -> Value {
    object!({"resource": "https://mcp.keyport.test/mcp", "authorization_servers": ["https://as.keyport.test"], "scopes_supported": ["mcp:tools"]})
}

fn registered(n: usize) -> Value {
    object!({"client_id": format!("client-{n}"), "client_id_issued_at": 1, "registration_access_token": "canary-registration-token", "registration_client_uri": "https://as.keyport.test/register/1"})
}

/// A well-behaved MCP server with its authorization server, but for what `change` makes of an answer.
fn mcp(
    mut change: impl FnMut(&Seen) -> Option<Reply> + Send,
) -> impl FnMut(&Seen) -> Option<Reply> + Send {
    let mut clients = 0;
    move |seen| {
        if let Some(reply) = change(seen) {
            return Some(reply);
        }
        match seen.line().as_str() {
            "GET mcp/mcp" => Some(status(401, object!({})).with(
                "www-authenticate",
                r#"Bearer resource_metadata="https://mcp.keyport.test/.well-known/oauth-protected-resource/mcp""#,
            )),
            "GET mcp/.well-known/oauth-protected-resource/mcp" => Some(json(protected())),
            "GET as/.well-known/oauth-authorization-server" => Some(json(metadata())),
            "POST as/register" => {
                clients += 1;
                Some(status(201, registered(clients)))
            }
            "POST as/token" => Some(tokens()),
            "POST as/revoke" => Some(status(200, object!({}))),
            _ => None,
        }
    }
}

async fn unconfigured(auth: &str) -> Stand {
    Stand::configured(auth, NewConfiguration::default()).await
}

fn back(sent: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut params = code_for(sent);
    params.push(("iss".into(), "https://as.keyport.test".into()));
    params
}

fn count(stand: &Stand, path: &str) -> usize {
    stand.seen().iter().filter(|s| s.path == path).count()
}

/// R30, R49, R50: nothing is registered beforehand, and the server is connected all the same.
#[tokio::test]
async fn r30_r49_r50_any_mcp_server_is_connected_from_its_address_alone() {
    let stand = unconfigured(MCP).await;
    stand.script(mcp(|_| None));
    let app = stand.engine.app("scripted").await.unwrap();
    assert!(app.methods[0].available, "{:?}", app.methods[0].why_not);
    let session = stand.session("u1").await;
    let mut left = BTreeMap::new();
    let flow = stand
        .sign_in(&session, &[], |_, sent| {
            left.clone_from(sent);
            back(sent)
        })
        .await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    assert_eq!(left["client_id"], "client-1");
    assert_eq!(left["resource"], "https://mcp.keyport.test/mcp");
    assert_eq!(left["scope"], "mcp:tools");
    assert_eq!(left["code_challenge_method"], "S256");
    let asked = stand.only("/register").json();
    assert_eq!(asked["redirect_uris"][0], left["redirect_uri"]);
    assert!(left["redirect_uri"].starts_with(&stand.config.redirect_uri));
    assert_eq!(asked["token_endpoint_auth_method"], "none");
    let token = stand.only("/token").form();
    assert_eq!(token["resource"], "https://mcp.keyport.test/mcp");
    assert_eq!(token["client_id"], "client-1");
    assert!(!token.contains_key("client_secret"));

    let id = flow.connection_id.unwrap();
    stand.pass(3590);
    assert_eq!(stand.used(&id).await, 200);
    let refresh = stand.seen().last().unwrap().form();
    assert_eq!(refresh["grant_type"], "refresh_token");
    assert_eq!(refresh["resource"], "https://mcp.keyport.test/mcp");
    assert_eq!(refresh["client_id"], "client-1");
    // A second account of the same owner uses the same registration, and metadata that is an hour old is asked for again.
    stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    assert_eq!(count(&stand, "/register"), 1);
    // R40: the server said how a grant is ended, the refresh token first.
    let report = stand.engine.disconnect(&Actor::Host, &id).await.unwrap();
    assert_eq!(report.revoked, Revoked::Yes);
    let hints: Vec<String> = stand
        .seen()
        .iter()
        .filter(|s| s.path == "/revoke")
        .map(|s| s.form()["token_type_hint"].clone())
        .collect();
    assert_eq!(hints, ["refresh_token", "access_token"]);
    assert!(
        stand.calls("other").is_empty(),
        "A35: nothing that metadata links to is fetched"
    );
}

/// R24, A35: two owners never share a registration.
#[tokio::test]
async fn r24_a35_each_owner_has_a_registration_of_their_own() {
    let stand = unconfigured(MCP).await;
    stand.script(mcp(|_| None));
    let mut ids = Vec::new();
    for owner in ["u1", "u2", "u1"] {
        let session = stand.session(owner).await;
        let flow = stand
            .sign_in(&session, &[], |_, sent| {
                ids.push(sent["client_id"].clone());
                back(sent)
            })
            .await;
        assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    }
    assert_eq!(ids, ["client-1", "client-2", "client-1"]);
}

/// R50: what the server answers wins: its way to prove the client, and the end of a secret.
#[tokio::test]
async fn r50_the_servers_answer_to_a_registration_wins() {
    let stand = unconfigured(MCP).await;
    stand.script(mcp(|seen| {
        (seen.path == "/register").then(|| {
            status(201, object!({"client_id": "c", "client_secret": "canary-dcr-secret", "client_secret_expires_at": NOW + 100, "token_endpoint_auth_method": "client_secret_basic"}))
        })
    }));
    let session = stand.session("u1").await;
    let flow = stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let asked = stand.only("/token");
    assert!(asked.headers["authorization"].starts_with("Basic "));
    assert!(!asked.form().contains_key("client_secret"));
    stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    assert_eq!(count(&stand, "/register"), 1);
    stand.pass(101);
    stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    assert_eq!(count(&stand, "/register"), 2, "the secret had ended");
}

/// R50: a server that has forgotten its client is registered at anew, once.
#[tokio::test]
async fn r50_a_forgotten_client_is_registered_anew() {
    let stand = unconfigured(MCP).await;
    stand.script(mcp(|seen| {
        let old = seen.path == "/token" && seen.form()["client_id"] == "client-1";
        old.then(|| status(401, object!({"error": "invalid_client"})))
    }));
    let session = stand.session("u1").await;
    let flow = stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    assert_eq!(flow.status, FlowStatus::Failed);
    let flow = stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    assert_eq!(count(&stand, "/register"), 2);
}

/// R22: metadata says that `iss` is always there, so a callback without it is somebody else's.
#[tokio::test]
async fn r22_a_callback_without_the_promised_issuer_is_refused() {
    let stand = unconfigured(MCP).await;
    stand.script(mcp(|_| None));
    let session = stand.session("u1").await;
    let flow = stand.sign_in(&session, &[], |_, sent| code_for(sent)).await;
    assert_eq!(flow.error.unwrap().code, "wrong_issuer");
    assert_eq!(count(&stand, "/token"), 0);
}

fn replaced(base: Value, name: &str, value: Value) -> Value {
    let mut document = base;
    document[name] = value;
    document
}

/// A21, R19, R47, R48, R49, A35: whatever a server says that it must not, nobody is sent anywhere and no secret leaves.
#[tokio::test]
async fn a21_r19_r47_r48_r49_a_server_that_lies_or_floods_is_refused() {
    const AS: &str = "/.well-known/oauth-authorization-server";
    const PRM: &str = "/.well-known/oauth-protected-resource/mcp";
    let wide = "x".repeat(70 << 10);
    let cases: Vec<(&str, &'static str, Reply)> = vec![
        (
            "R47: another issuer",
            AS,
            json(replaced(
                metadata(),
                "issuer",
                object!("https://evil.example"),
            )),
        ),
        (
            "R47: a slash is another issuer",
            AS,
            json(replaced(
                metadata(),
                "issuer",
                object!("https://as.keyport.test/"),
            )),
        ),
        (
            "R19: no PKCE",
            AS,
            json(replaced(
                metadata(),
                "code_challenge_methods_supported",
                Value::Null,
            )),
        ),
        (
            "R19: plain only",
            AS,
            json(replaced(
                metadata(),
                "code_challenge_methods_supported",
                object!(["plain"]),
            )),
        ),
        (
            "A21: a token endpoint without TLS",
            AS,
            json(replaced(
                metadata(),
                "token_endpoint",
                object!("http://as.keyport.test/token"),
            )),
        ),
        (
            "A21: an address with a password",
            AS,
            json(replaced(
                metadata(),
                "token_endpoint",
                object!("https://u:p@as.keyport.test/token"),
            )),
        ),
        (
            "A21: a page that is a script",
            AS,
            json(replaced(
                metadata(),
                "authorization_endpoint",
                object!("javascript:alert(1)"),
            )),
        ),
        (
            "A21: keys without TLS",
            AS,
            json(replaced(
                metadata(),
                "jwks_uri",
                object!("http://as.keyport.test/keys"),
            )),
        ),
        (
            "A21: no token endpoint",
            AS,
            json(replaced(metadata(), "token_endpoint", Value::Null)),
        ),
        (
            "R48: too large",
            AS,
            json(replaced(metadata(), "more", object!(wide))),
        ),
        (
            "R48: not JSON",
            AS,
            Reply {
                status: 200,
                headers: vec![],
                body: "<html>".into(),
            },
        ),
        (
            "R48: a redirect",
            AS,
            status(302, object!({})).with("location", "https://other.keyport.test/metadata"),
        ),
        ("R48: down", AS, status(503, object!({}))),
        (
            "R49: another resource",
            PRM,
            json(replaced(
                protected(),
                "resource",
                object!("https://evil.example/mcp"),
            )),
        ),
        (
            "R49: no server",
            PRM,
            json(replaced(protected(), "authorization_servers", object!([]))),
        ),
        (
            "R49: a server without TLS",
            PRM,
            json(replaced(
                protected(),
                "authorization_servers",
                object!(["http://as.keyport.test"]),
            )),
        ),
        (
            "A21: a server on this machine",
            PRM,
            json(replaced(
                protected(),
                "authorization_servers",
                object!(["https://127.0.0.1"]),
            )),
        ),
        (
            "A21: a metadata service",
            PRM,
            json(replaced(
                protected(),
                "authorization_servers",
                object!(["https://169.254.169.254"]),
            )),
        ),
        (
            "R49: metadata elsewhere without TLS",
            "/mcp",
            status(401, object!({})).with(
                "www-authenticate",
                r#"Bearer resource_metadata="http://mcp.keyport.test/x""#,
            ),
        ),
        (
            "R50: no registration",
            AS,
            json(replaced(metadata(), "registration_endpoint", Value::Null)),
        ),
        (
            "A35: another callback",
            "/register",
            status(
                201,
                replaced(
                    registered(1),
                    "redirect_uris",
                    object!(["https://evil.example/cb"]),
                ),
            ),
        ),
        (
            "A35: an id that breaks lines",
            "/register",
            status(201, replaced(registered(1), "client_id", object!("a\r\nb"))),
        ),
        (
            "R50: refused",
            "/register",
            status(400, object!({"error": "invalid_redirect_uri"})),
        ),
        (
            "R50: an unknown way to prove it",
            "/register",
            status(
                201,
                replaced(
                    registered(1),
                    "token_endpoint_auth_method",
                    object!("magic"),
                ),
            ),
        ),
    ];
    for (what, path, reply) in cases {
        let stand = unconfigured(MCP).await;
        let (code, headers, body) = (reply.status, reply.headers, reply.body);
        stand.script(mcp(move |seen| {
            (seen.path == path).then(|| Reply {
                status: code,
                headers: headers.clone(),
                body: body.clone(),
            })
        }));
        let session = stand.session("u1").await;
        let refused = stand.engine.start_oauth(&session, stand.start(&[])).await;
        let error = refused.err().unwrap_or_else(|| panic!("{what} was taken"));
        assert!(!error.to_string().contains("evil"), "{what}: {error}");
        assert_eq!(count(&stand, "/token"), 0, "{what}");
        assert!(stand.calls("other").is_empty(), "{what}");
    }
}

/// A21, A18: endpoints that are found out pass the same guard as all others when they are used.
#[tokio::test]
async fn a21_a_found_endpoint_on_a_private_address_gets_nothing() {
    let stand = unconfigured(MCP).await;
    stand.script(mcp(|seen| {
        (seen.path == "/.well-known/oauth-authorization-server").then(|| {
            json(replaced(
                metadata(),
                "token_endpoint",
                object!("https://10.0.0.1/token"),
            ))
        })
    }));
    let session = stand.session("u1").await;
    let flow = stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    assert_eq!(flow.status, FlowStatus::Failed);
    assert_eq!(flow.error.unwrap().code, "client_refused");
}

/// The operator's client goes only where it is pinned, found out or not.
#[tokio::test]
async fn a_found_endpoint_gets_the_operators_secret_only_where_it_is_pinned() {
    let configuration = |origins: Vec<String>| NewConfiguration {
        client_id: Some("client".into()),
        client_secret: Some(CLIENT_SECRET.into()),
        origins,
        ..NewConfiguration::default()
    };
    let stand = Stand::configured(ISSUER, configuration(Vec::new())).await;
    stand.script(mcp(|_| None));
    let session = stand.session("u1").await;
    let refused = stand.engine.start_oauth(&session, stand.start(&[])).await;
    assert_eq!(code(refused), "client_not_for_this_host");

    let pinned = configuration(vec!["https://as.keyport.test".into()]);
    let stand = Stand::configured(ISSUER, pinned).await;
    stand.script(mcp(|_| None));
    let session = stand.session("u1").await;
    let flow = stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    assert_eq!(stand.only("/token").form()["client_secret"], CLIENT_SECRET);
    assert_eq!(count(&stand, "/register"), 0);
}

/// R47: the OpenID document where there is no other, and a copy that is an hour old at most (R48).
#[tokio::test]
async fn r47_r48_either_document_will_do_and_is_remembered_for_an_hour() {
    let pinned = NewConfiguration {
        client_id: Some("client".into()),
        client_secret: Some(CLIENT_SECRET.into()),
        origins: vec!["https://as.keyport.test".into()],
        ..NewConfiguration::default()
    };
    let stand = Stand::configured(ISSUER, pinned).await;
    stand.script(mcp(|seen| match seen.path.as_str() {
        "/.well-known/oauth-authorization-server" => Some(status(404, object!({}))),
        "/.well-known/openid-configuration" => Some(json(metadata())),
        _ => None,
    }));
    let session = stand.session("u1").await;
    for (pass, asked) in [(0, 1), (3500, 1), (101, 2)] {
        stand.pass(pass);
        // Long enough for the session to be idle: a new one.
        let session = if pass == 0 {
            session.clone()
        } else {
            stand.session("u1").await
        };
        stand
            .engine
            .start_oauth(&session, stand.start(&[]))
            .await
            .unwrap();
        assert_eq!(count(&stand, "/.well-known/openid-configuration"), asked);
    }
}

/// A22, R43: a server that names somebody else's address gets an assertion that is good for its own issuer alone.
#[tokio::test]
async fn a22_an_assertion_names_the_issuer_that_was_found() {
    let auth = r#"
    discover: { issuer: https://as.keyport.test }
    client_auth: client_secret_jwt
    refresh: { rotates: always }
    revoke: { none: It ends by itself. }
"#;
    let pinned = NewConfiguration {
        client_id: Some("client".into()),
        client_secret: Some(CLIENT_SECRET.into()),
        origins: vec![
            "https://as.keyport.test".into(),
            "https://other.keyport.test".into(),
        ],
        ..NewConfiguration::default()
    };
    let stand = Stand::configured(auth, pinned).await;
    stand.script(mcp(|seen| match seen.line().as_str() {
        "GET as/.well-known/oauth-authorization-server" => Some(json(replaced(
            metadata(),
            "token_endpoint",
            object!("https://other.keyport.test/token"),
        ))),
        "POST other/token" => Some(tokens()),
        _ => None,
    }));
    let session = stand.session("u1").await;
    let flow = stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let sent = stand.only("/token").form()["client_assertion"].clone();
    let claims = crate::jose::unverified(&sent).unwrap();
    assert_eq!(claims["aud"], "https://as.keyport.test");
}

/// A1, R20: of two servers that one app finds, neither gets the other one's code brought to itself: each has a callback of
/// its own, and a code that comes back to another one's costs no request.
#[tokio::test]
async fn a1_r20_each_found_server_has_a_callback_of_its_own() {
    let auth = r#"
    discover: { resource: "https://{{ fields.team }}.keyport.test/mcp" }
    register: true
    client_auth: none
    refresh: { rotates: always }
    revoke: { none: Only some can. }
"#;
    let stand = unconfigured(auth).await;
    let mut good = mcp(|_| None);
    stand.script(move |seen| match seen.line().as_str() {
        // The second server signs people in by itself, and knows nothing of `iss`.
        "GET other/mcp" => Some(status(401, object!({}))),
        "GET other/.well-known/oauth-protected-resource/mcp" => Some(json(
            object!({"resource": "https://other.keyport.test/mcp", "authorization_servers": ["https://other.keyport.test"]}),
        )),
        "GET other/.well-known/oauth-authorization-server" => Some(json(object!({
            "issuer": "https://other.keyport.test",
            "authorization_endpoint": "https://other.keyport.test/authorize",
            "token_endpoint": "https://other.keyport.test/token",
            "registration_endpoint": "https://other.keyport.test/register",
            "code_challenge_methods_supported": ["S256"],
        }))),
        "POST other/register" => Some(status(201, registered(7))),
        "POST other/token" => Some(tokens()),
        _ => good(seen),
    });
    let session = stand.session("u1").await;
    let mut callbacks = Vec::new();
    for team in ["mcp", "other"] {
        stand
            .sign_in(&session, &[("team", team)], |_, sent| {
                callbacks.push(sent["redirect_uri"].clone());
                back(sent)
            })
            .await;
    }
    assert_ne!(callbacks[0], callbacks[1]);
    // The evil one of the two sends the browser on to the honest one, which sends it back to the honest one's callback.
    let before = count(&stand, "/token");
    let start = stand.start(&[("team", "other")]);
    let started = stand.engine.start_oauth(&session, start).await.unwrap();
    let go = stand.engine.go(&session, &started.flow.id).await.unwrap();
    let url = Url::parse(&go.authorize_url).unwrap();
    let sent: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let (_, honest) = callbacks[0].rsplit_once('/').unwrap();
    let outcome = stand
        .engine
        .callback(honest, code_for(&sent), &jar(&go))
        .await;
    assert_eq!(outcome.error.unwrap().code, "mixed_up");
    assert_eq!(count(&stand, "/token"), before);
}

/// R51: this host's own document is a client where the server takes it and can reach it.
#[tokio::test]
async fn r51_a_client_document_says_that_its_address_is_its_id() {
    let stand = unconfigured(MCP).await;
    // This test's host is on loopback, which no server can reach: it registers instead.
    assert_eq!(
        code(stand.engine.client_document(&stand.config.id).await),
        "not_found"
    );
    let public = stand.public("https://connect.example.com").await;
    let document = public.client_document(&stand.config.id).await.unwrap();
    let id = format!(
        "https://connect.example.com/oauth/client/{}",
        stand.config.id
    );
    assert_eq!(document["client_id"], id);
    let callback = format!(
        "https://connect.example.com/oauth/callback/{}",
        stand.config.id
    );
    assert_eq!(document["redirect_uris"], object!([callback]));
    assert_eq!(document["token_endpoint_auth_method"], "none");
    assert_eq!(
        code(public.client_document("cfg_0000000000000000000000").await),
        "not_found"
    );

    stand.script(mcp(|seen| {
        (seen.path == "/.well-known/oauth-authorization-server").then(|| {
            json(replaced(
                metadata(),
                "client_id_metadata_document_supported",
                object!(true),
            ))
        })
    }));
    let session = stand.session("u1").await;
    let started = public
        .start_oauth(&session, stand.start(&[]))
        .await
        .unwrap();
    let go = public.go(&session, &started.flow.id).await.unwrap();
    let url = Url::parse(&go.authorize_url).unwrap();
    let sent = url
        .query_pairs()
        .find(|(name, _)| name == "client_id")
        .unwrap()
        .1;
    // One address for each server that was found: a code of one server is of no use at another (A1).
    assert!(sent.starts_with(&format!("{id}~")), "{sent}");
    let segment = sent.rsplit('/').next().unwrap();
    let document = public.client_document(segment).await.unwrap();
    assert_eq!(document["client_id"], *sent);
    assert_eq!(
        document["redirect_uris"],
        object!([format!(
            "https://connect.example.com/oauth/callback/{segment}"
        )])
    );
    assert_eq!(count(&stand, "/register"), 0);
}
