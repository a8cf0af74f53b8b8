//! Servers that lie about their endpoints, flood, or point at what is not theirs.

use serde_json::{Value, json as object};

use super::discovery::*;
use super::provider::*;
use super::*;

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
