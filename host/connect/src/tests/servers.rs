//! Servers with many tenants (R47), with short memories (R50), and tokens that are for something (R30).

use std::sync::Mutex;

use serde_json::{Value, json as object};

use super::discovery::*;
use super::id_tokens::Issuer;
use super::provider::*;
use super::*;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHER: &str = "00000000-0000-0000-0000-000000000001";
const PATTERN: &str = "https://as.keyport.test/{tenantid}/v2.0";

const COMMON: &str = r#"
    discover: { issuer: https://as.keyport.test/common/v2.0 }
    issuer_pattern: "https://as.keyport.test/{tenantid}/v2.0"
    scopes: { default: [openid] }
    capture:
      tenant: { claim: tid, public: true, required: false }
    refresh: { rotates: always }
    revoke: { none: It ends by itself. }
"#;

fn of_tenant(tenant: &str) -> String {
    PATTERN.replace("{tenantid}", tenant)
}

fn claims(nonce: &str, issuer: &str, tenant: &str) -> Value {
    object!({"iss": issuer, "tid": tenant, "aud": "client", "sub": "ada", "exp": NOW + 9000, "nonce": nonce})
}

async fn pinned(auth: &str) -> Stand {
    Stand::configured(
        auth,
        NewConfiguration {
            client_id: Some("client".into()),
            client_secret: Some(CLIENT_SECRET.into()),
            origins: vec!["https://as.keyport.test".into()],
            ..NewConfiguration::default()
        },
    )
    .await
}

/// A server of many tenants: what it says its issuer is, its key, and the token that it gives.
fn common(
    issuer: &'static str,
    jwk: Value,
    token: Arc<Mutex<Option<String>>>,
) -> impl FnMut(&Seen) -> Option<Reply> + Send {
    move |seen| match seen.line().as_str() {
        "GET as/common/v2.0/.well-known/openid-configuration" => Some(json(object!({
            "issuer": issuer,
            "authorization_endpoint": "https://as.keyport.test/common/authorize",
            "token_endpoint": "https://as.keyport.test/common/token",
            "jwks_uri": "https://as.keyport.test/common/keys",
        }))),
        "GET as/common/keys" => Some(json(object!({ "keys": [jwk] }))),
        "POST as/common/token" => Some(json(object!({
            "access_token": "access-token-1", "refresh_token": "refresh-token-1", "expires_in": 600,
            "id_token": *token.lock().unwrap(),
        }))),
        _ => None,
    }
}

#[tokio::test]
async fn r47_an_issuer_with_a_hole_counts_with_its_declared_pattern_and_the_tenant_that_signed_in()
{
    let issuer = Issuer::new("k1");
    let stand = pinned(COMMON).await;
    let token: Arc<Mutex<Option<String>>> = Arc::default();
    stand.script(common(PATTERN, issuer.jwk.clone(), token.clone()));
    let session = stand.session("u1").await;
    let flow = stand
        .sign_in(&session, &[], |_, sent| {
            let claims = claims(&sent["nonce"], &of_tenant(TENANT), TENANT);
            *token.lock().unwrap() = Some(issuer.sign(&claims));
            let mut back = code_for(sent);
            back.push(("iss".into(), of_tenant(TENANT)));
            back
        })
        .await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let id = flow.connection_id.unwrap();
    let sealed = stand.stored(&id).await.sealed.unwrap();
    assert_eq!(sealed.capture["tenant"].expose(), TENANT);
    // The tenant stays: a renewal that brings another tenant's token is not taken, one without a token is.
    stand.pass(590);
    let other = claims("", &of_tenant(OTHER), OTHER);
    *token.lock().unwrap() = Some(issuer.sign(&other));
    stand.used(&id).await;
    let sealed = stand.stored(&id).await.sealed.unwrap();
    assert_eq!(
        sealed.token.unwrap().generation,
        1,
        "another tenant's token was kept"
    );
    stand.pass(600);
    *token.lock().unwrap() = None;
    assert_eq!(stand.used(&id).await, 200);
    let sealed = stand.stored(&id).await.sealed.unwrap();
    assert_eq!(sealed.token.unwrap().generation, 2);
}

#[tokio::test]
async fn r47_a_tenant_that_does_not_fit_its_issuer_connects_nothing() {
    let issuer = Issuer::new("k1");
    type Make = fn(&str) -> Option<Value>;
    let cases: [(&str, Make, &str); 6] = [
        (
            "another tenant's issuer",
            |n| Some(claims(n, &of_tenant(OTHER), TENANT)),
            "id_token_issuer",
        ),
        (
            "the pattern itself",
            |n| Some(claims(n, PATTERN, TENANT)),
            "id_token_issuer",
        ),
        (
            "no tenant",
            |n| {
                let mut claims = claims(n, &of_tenant(TENANT), TENANT);
                claims["tid"] = Value::Null;
                Some(claims)
            },
            "id_token_tenant",
        ),
        (
            "a tenant with a path",
            |n| Some(claims(n, "https://as.keyport.test/a/b/v2.0", "a/b")),
            "id_token_tenant",
        ),
        (
            "an empty tenant",
            |n| Some(claims(n, "https://as.keyport.test//v2.0", "")),
            "id_token_tenant",
        ),
        ("no token", |_| None, "id_token_missing"),
    ];
    for (what, make, wanted) in cases {
        let stand = pinned(COMMON).await;
        let token: Arc<Mutex<Option<String>>> = Arc::default();
        stand.script(common(PATTERN, issuer.jwk.clone(), token.clone()));
        let session = stand.session("u1").await;
        let flow = stand
            .sign_in(&session, &[], |_, sent| {
                *token.lock().unwrap() = make(&sent["nonce"]).map(|claims| issuer.sign(&claims));
                code_for(sent)
            })
            .await;
        let error = flow.error.unwrap_or_else(|| panic!("{what} was taken"));
        assert!(error.say.contains(wanted), "{what}: {}", error.say);
        assert!(stand.calls("api").is_empty(), "{what}");
    }
    // Without the declared pattern, and with another one, the metadata is somebody else's.
    let plain = COMMON.replace(
        "    issuer_pattern: \"https://as.keyport.test/{tenantid}/v2.0\"\n",
        "",
    );
    assert_ne!(plain, COMMON);
    for (auth, said) in [
        (plain.as_str(), PATTERN),
        (COMMON, "https://as.keyport.test/{tenant}/v2.0"),
        (COMMON, "https://as.keyport.test/common/v2.0"),
    ] {
        let stand = pinned(auth).await;
        stand.script(common(said, issuer.jwk.clone(), Arc::default()));
        let session = stand.session("u1").await;
        let refused = stand.engine.start_oauth(&session, stand.start(&[])).await;
        let error = refused.err().unwrap();
        assert!(
            error.to_string().contains("wrong_issuer"),
            "{said}: {error}"
        );
    }
    // And a callback whose `iss` is none of the pattern's ends the flow without a request.
    for iss in [
        PATTERN,
        "https://as.keyport.test/a/b/v2.0",
        "https://evil.example/x/v2.0",
        "https://as.keyport.test//v2.0",
    ] {
        let stand = pinned(COMMON).await;
        stand.script(common(PATTERN, issuer.jwk.clone(), Arc::default()));
        let session = stand.session("u1").await;
        let flow = stand
            .sign_in(&session, &[], |_, sent| {
                let mut back = code_for(sent);
                back.push(("iss".into(), iss.into()));
                back
            })
            .await;
        assert_eq!(flow.error.unwrap().code, "wrong_issuer", "{iss}");
        assert_eq!(count(&stand, "/common/token"), 0);
    }
}

/// R48, A21: a server that says nothing, never ends or sends ten megabytes costs a moment, and nobody is sent anywhere.
#[tokio::test]
async fn r48_a21_a_server_that_says_nothing_or_never_ends_is_left() {
    let large = object!({ "issuer": "https://as.keyport.test", "more": "x".repeat(10 << 20) });
    let replies = [
        json(object!({})).with(HOW, "never"),
        json(object!({})).with(HOW, "for ever"),
        json(large),
    ];
    for reply in replies {
        let stand = unconfigured(MCP).await;
        let (code, headers, body) = (reply.status, reply.headers, reply.body);
        stand.script(mcp(move |seen| {
            (seen.path == "/.well-known/oauth-authorization-server").then(|| Reply {
                status: code,
                headers: headers.clone(),
                body: body.clone(),
            })
        }));
        let session = stand.session("u1").await;
        let started = stand.engine.start_oauth(&session, stand.start(&[]));
        let started = tokio::time::timeout(std::time::Duration::from_secs(120), started).await;
        assert!(started.unwrap().is_err());
        assert_eq!(count(&stand, "/register") + count(&stand, "/token"), 0);
    }
}

/// The parts of a form or query of this name, in their order.
fn all_of(encoded: &str, name: &str) -> Vec<String> {
    url::form_urlencoded::parse(encoded.as_bytes())
        .filter(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// R30: what a token is for goes along wherever one is asked for, several times if need be.
#[tokio::test]
async fn r30_what_a_token_is_for_goes_along_in_every_request() {
    let auth = r#"
    authorize_url: https://as.keyport.test/authorize?resource=https%3A%2F%2Fevil.example
    token_url: https://as.keyport.test/token
    authorize_params: { resource: "https://mine.example" }
    resources: ["https://api.keyport.test/v1", "urn:keyport:files"]
    refresh: { rotates: maybe }
    revoke: { url: https://as.keyport.test/revoke }
"#;
    let wanted = ["https://api.keyport.test/v1", "urn:keyport:files"];
    let stand = Stand::new(auth).await;
    stand.script(|seen| match seen.path.as_str() {
        "/token" => Some(tokens()),
        "/revoke" => Some(status(200, object!({}))),
        _ => None,
    });
    let session = stand.session("u1").await;
    let mut left = String::new();
    let flow = stand
        .sign_in(&session, &[], |url, sent| {
            left = url.query().unwrap().to_owned();
            code_for(sent)
        })
        .await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    assert_eq!(
        all_of(&left, "resource"),
        wanted,
        "the flow's own, and no other"
    );
    let id = flow.connection_id.unwrap();
    stand.pass(3590);
    assert_eq!(stand.used(&id).await, 200);
    let [first, refresh] = stand.seen().try_into().unwrap();
    assert_eq!(all_of(&first.body, "resource"), wanted);
    assert_eq!(refresh.form()["grant_type"], "refresh_token");
    assert_eq!(all_of(&refresh.body, "resource"), wanted);
    stand.engine.disconnect(&Actor::Host, &id).await.unwrap();
    let revoked = stand.seen().pop().unwrap();
    assert_eq!(revoked.path, "/revoke");
    assert!(all_of(&revoked.body, "resource").is_empty());
    // A server that does not know what it is for says so by a code of its own.
    stand.script(|seen| {
        (seen.path == "/token").then(|| status(400, object!({"error": "invalid_target"})))
    });
    let flow = stand.sign_in(&session, &[], |_, sent| code_for(sent)).await;
    let error = flow.error.unwrap();
    assert_eq!(error.code, "client_refused");
    assert!(error.say.contains("invalid_target"), "{}", error.say);
}

/// R30: a relative address or one with a fragment is no resource.
#[tokio::test]
async fn r30_a_resource_is_an_absolute_uri_without_a_fragment() {
    for resource in [
        "{{ fields.team }}",
        "https://api.keyport.test/#{{ fields.team }}",
    ] {
        let auth = format!(
            "
    authorize_url: https://as.keyport.test/authorize
    token_url: https://as.keyport.test/token
    resources: [\"{resource}\"]
    refresh: {{ rotates: maybe }}
    revoke: {{ none: It ends by itself. }}
"
        );
        let stand = Stand::new(&auth).await;
        let session = stand.session("u1").await;
        let refused = stand
            .engine
            .start_oauth(&session, stand.start(&[("team", "acme")]))
            .await;
        assert_eq!(code(refused), "invalid_input", "{resource}");
    }
}

/// R50: a server that has forgotten its client is registered at anew within the same sign-in, once: the window goes to the app
/// again, with another client, another state and another verifier.
#[tokio::test]
async fn r50_a_forgotten_client_is_registered_anew_within_the_sign_in_and_only_once() {
    for forgetful in [false, true] {
        let stand = unconfigured(MCP).await;
        stand.script(mcp(move |seen| {
            let form = (seen.path == "/token").then(|| seen.form());
            let old = form.is_some_and(|form| forgetful || form["client_id"] == "client-1");
            old.then(|| status(401, object!({"error": "invalid_client"})))
        }));
        let session = stand.session("u1").await;
        let started = stand
            .engine
            .start_oauth(&session, stand.start(&[]))
            .await
            .unwrap();
        let id = started.flow.id;
        let mut sent = Vec::new();
        for turn in 1..=2 {
            let go = stand.engine.go(&session, &id).await.unwrap();
            let url = Url::parse(&go.authorize_url).unwrap();
            let params: std::collections::BTreeMap<String, String> =
                url.query_pairs().into_owned().collect();
            let (_, segment) = params["redirect_uri"].rsplit_once('/').unwrap();
            let outcome = stand
                .engine
                .callback(segment, back(&params), &jar(&go))
                .await;
            let view = stand.engine.flow(&session, &id).await.unwrap();
            if turn == 1 {
                assert_eq!(
                    outcome.next,
                    CallbackNext::Redirect(format!("http://localhost:4700/page/go/{id}"))
                );
                assert_eq!(view.status, FlowStatus::Started);
                // What came back the first time is of no use any more.
                let again = stand
                    .engine
                    .callback(segment, back(&params), &jar(&go))
                    .await;
                assert!(again.flow.is_none());
            } else {
                assert_eq!(outcome.next, CallbackNext::ClosePopup);
                let wanted = if forgetful {
                    FlowStatus::Failed
                } else {
                    FlowStatus::Connected
                };
                assert_eq!(view.status, wanted, "{:?}", view.error);
            }
            sent.push(params);
        }
        for name in ["client_id", "state", "code_challenge"] {
            assert_ne!(sent[0][name], sent[1][name], "{name}");
        }
        assert_eq!(count(&stand, "/register"), 2);
        assert_eq!(count(&stand, "/token"), 2, "each code once");
    }
}

/// R50: a refresh whose client is forgotten says so to the person, and their next sign-in registers anew.
#[tokio::test]
async fn r50_a_client_that_is_forgotten_at_a_refresh_is_registered_anew_at_the_next_sign_in() {
    let stand = unconfigured(MCP).await;
    stand.script(mcp(|_| None));
    let session = stand.session("u1").await;
    let flow = stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    let id = flow.connection_id.unwrap();
    stand.script(mcp(|seen| {
        (seen.path == "/token" && seen.form()["client_id"] == "client-1")
            .then(|| status(401, object!({"error": "invalid_client"})))
    }));
    stand.pass(3590);
    assert_ne!(stand.used(&id).await, 200);
    assert_eq!(stand.state(&id).await.0, ConnectionState::NeedsReconnect);
    // The stand's server counts its clients from one again: the second registration has the id of the first.
    stand.script({
        let mut good = mcp(|_| None);
        move |seen| match seen.line().as_str() {
            "POST as/register" => Some(status(201, registered(9))),
            _ => good(seen),
        }
    });
    let session = stand.session("u1").await;
    let mut client = String::new();
    let flow = stand
        .sign_in(&session, &[], |_, sent| {
            client.clone_from(&sent["client_id"]);
            back(sent)
        })
        .await;
    assert_eq!(
        (flow.status, client.as_str()),
        (FlowStatus::Connected, "client-9")
    );
}

/// R50: the token that could change a registration is sealed, and shown to nobody; a secret that never ends is one.
#[tokio::test]
async fn r50_a_registrations_own_token_is_sealed_and_zero_is_never() {
    let stand = unconfigured(MCP).await;
    stand.script(mcp(|seen| {
        (seen.path == "/register").then(|| {
            status(
                201,
                object!({"client_id": "c", "client_secret": "canary-dcr-secret", "client_secret_expires_at": 0,
                    "token_endpoint_auth_method": "client_secret_post", "redirect_uris": seen.json()["redirect_uris"],
                    "registration_access_token": "canary-registration-token", "registration_client_uri": "https://as.keyport.test/register/1"}),
            )
        })
    }));
    let session = stand.session("u1").await;
    let flow = stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    assert_eq!(
        stand.only("/token").form()["client_secret"],
        "canary-dcr-secret"
    );
    let heads = stand
        .engine
        .heads::<record::Registration>(None)
        .await
        .unwrap();
    let [head] = heads.as_slice() else {
        panic!("one registration")
    };
    let clear = serde_json::to_string(&head.clear).unwrap();
    assert!(!clear.contains("canary"), "{clear}");
    assert_eq!(head.clear.secret_until, None);
    let stored = stand
        .engine
        .load::<record::Registration>(head.id())
        .await
        .unwrap();
    let kept = stored.sealed.unwrap().access_token.unwrap();
    assert_eq!(kept.expose(), "canary-registration-token");
    // Years later the secret is still used.
    stand.pass(10 * 365 * 86_400);
    let session = stand.session("u1").await;
    stand.sign_in(&session, &[], |_, sent| back(sent)).await;
    assert_eq!(count(&stand, "/register"), 1);
}
