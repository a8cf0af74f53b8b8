//! When a token ends, asked where its answer does not say it (RFC 7662): R41.

use serde_json::{Value, json as object};

use super::provider::*;
use super::*;

const AUTH: &str = r#"
    authorize_url: https://as.keyport.test/authorize
    token_url: https://as.keyport.test/token
    introspect_url: https://as.keyport.test/introspect
    client_auth: basic
    scopes: { default: [read] }
    refresh: { rotates: never }
    revoke: { none: It ends by itself. }
"#;

/// A server whose token answers say nothing of their end, and which says this when it is asked.
fn server(said: Reply) -> impl FnMut(&Seen) -> Option<Reply> + Send {
    let (status, headers, body) = (said.status, said.headers, said.body);
    move |seen| match seen.line().as_str() {
        "POST as/token" => Some(json(
            object!({"access_token": "access-token-1", "refresh_token": "refresh-token-1"}),
        )),
        "POST as/introspect" => Some(Reply {
            status,
            headers: headers.clone(),
            body: body.clone(),
        }),
        _ => None,
    }
}

/// Seconds that the token lives as far as is known.
async fn lives(stand: &Stand, id: &str) -> Option<i64> {
    let stored = stand.stored(id).await;
    stored.clear.expires_at.map(|at| at / 1000 - NOW)
}

#[tokio::test]
async fn r41_a_token_whose_end_nobody_says_is_asked_about_with_the_clients_proof() {
    let stand = Stand::new(AUTH).await;
    stand.script(server(json(
        object!({"active": true, "exp": NOW + 900, "scope": "admin", "username": "mallory", "client_id": "another"}),
    )));
    let id = stand.connected(&[]).await;
    let asked = stand.only("/introspect");
    assert!(asked.headers["authorization"].starts_with("Basic "));
    assert_eq!(asked.form()["token"], "access-token-1");
    assert_eq!(asked.form()["token_type_hint"], "access_token");
    assert!(!asked.body.contains(CLIENT_SECRET) && !asked.form().contains_key("grant_type"));
    assert_eq!(lives(&stand, &id).await, Some(900));
    // Nothing but `active` and the end is taken from it.
    let view = stand.engine.get(&Actor::Host, &id).await.unwrap();
    assert_eq!(view.scopes, ["read"]);
    // The end counts: shortly before it the token is renewed, and the new one asked about.
    stand.script(server(json(object!({"active": true, "exp": NOW + 1800}))));
    stand.pass(890);
    assert_eq!(stand.used(&id).await, 200);
    let paths: Vec<String> = stand.seen().iter().map(|s| s.path.clone()).collect();
    assert_eq!(paths, ["/token", "/introspect", "/token", "/introspect"]);
    assert_eq!(lives(&stand, &id).await, Some(1800));
}

#[tokio::test]
async fn r41_only_what_is_active_is_a_token_and_only_a_yes_is_active() {
    let flow = |said: Reply| async move {
        let stand = Stand::new(AUTH).await;
        stand.script(server(said));
        let session = stand.session("u1").await;
        let flow = stand.sign_in(&session, &[], |_, sent| code_for(sent)).await;
        (stand, flow)
    };
    let (stand, dead) = flow(json(object!({"active": false, "exp": NOW + 900}))).await;
    let error = dead.error.unwrap();
    assert!(error.say.contains("token_not_active"), "{}", error.say);
    assert!(stand.calls("api").is_empty(), "it is not tried");

    // Whatever is no answer leaves the token as it was: of unknown life.
    let odd: [(u16, Value); 7] = [
        (200, object!({"active": "true", "exp": NOW + 900})),
        (200, object!({"exp": NOW + 900})),
        (200, object!({"active": true, "exp": NOW - 1})),
        (200, object!({"active": true, "exp": "soon"})),
        (200, object!({"active": true, "exp": NOW + 400_000_000})),
        (401, object!({"error": "invalid_client"})),
        (503, object!({})),
    ];
    for (code, body) in odd {
        let what = format!("{code} {body}");
        let (stand, flow) = flow(status(code, body)).await;
        assert_eq!(flow.status, FlowStatus::Connected, "{what}");
        let id = flow.connection_id.unwrap();
        assert_eq!(lives(&stand, &id).await, None, "{what}");
    }
}

/// The operator's secret goes along, so the address is one that the operator pins like any other.
#[tokio::test]
async fn r41_a_question_goes_only_where_the_operators_client_is_pinned() {
    let elsewhere = AUTH.replace(
        "https://as.keyport.test/introspect",
        "https://other.keyport.test/introspect",
    );
    let configuration = NewConfiguration {
        client_id: Some("client".into()),
        client_secret: Some(CLIENT_SECRET.into()),
        origins: vec!["https://as.keyport.test".into()],
        ..NewConfiguration::default()
    };
    let stand = Stand::configured(&elsewhere, configuration).await;
    let session = stand.session("u1").await;
    let refused = stand.engine.start_oauth(&session, stand.start(&[])).await;
    assert_eq!(code(refused), "client_not_for_this_host");
    assert!(stand.seen().is_empty());
}
