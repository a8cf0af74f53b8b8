//! Endpoints that are found out, and clients that register by themselves.

use std::collections::BTreeMap;

use serde_json::{Value, json as object};

use super::provider::*;
use super::*;

pub(super) const MCP: &str = r#"
    discover: { resource: https://mcp.keyport.test/mcp }
    register: true
    client_auth: none
    refresh: { rotates: always }
    revoke: { none: Only some can. }
"#;

pub(super) const ISSUER: &str = r#"
    discover: { issuer: https://as.keyport.test }
    refresh: { rotates: always }
    revoke: { none: It ends by itself. }
"#;

pub(super) fn metadata() -> Value {
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

pub(super) fn protected() -> Value {
    object!({"resource": "https://mcp.keyport.test/mcp", "authorization_servers": ["https://as.keyport.test"], "scopes_supported": ["mcp:tools"]})
}

pub(super) fn registered(n: usize) -> Value {
    object!({"client_id": format!("client-{n}"), "client_id_issued_at": 1, "registration_access_token": "canary-registration-token", "registration_client_uri": "https://as.keyport.test/register/1"})
}

/// A well-behaved MCP server with its authorization server, but for what `change` makes of an answer.
pub(super) fn mcp(
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

pub(super) async fn unconfigured(auth: &str) -> Stand {
    Stand::configured(auth, NewConfiguration::default()).await
}

pub(super) fn back(sent: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut params = code_for(sent);
    params.push(("iss".into(), "https://as.keyport.test".into()));
    params
}

pub(super) fn count(stand: &Stand, path: &str) -> usize {
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

pub(super) fn replaced(base: Value, name: &str, value: Value) -> Value {
    let mut document = base;
    document[name] = value;
    document
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
