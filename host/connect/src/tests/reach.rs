//! Where the operator's client, and what a person or an app said, may go: to the hosts that are pinned or declared, as text, and
//! nowhere else.

use std::collections::BTreeMap;

use super::deviations::with;
use super::provider::*;
use super::*;

/// What is attached to calls may name the OAuth client: Twitch wants its id, Facebook a proof of its secret.
const NAMES_CLIENT: &str = r#"
    authorize_url: https://as.keyport.test/authorize
    token_url: https://as.keyport.test/token
    refresh: { rotates: never }
    revoke: { method: POST, path: "https://mcp.keyport.test/end", headers: { authorization: "Basic {{ (app.client_id ~ ':' ~ app.client_secret) | base64 }}" } }
    inject:
      - { header: Authorization, value: "Bearer {{ token.access_token }}" }
      - { header: Client-Id, value: "{{ app.client_id }}" }
      - { query: proof, value: "{{ token.access_token | hmac_sha256(app.client_secret) }}" }
"#;

fn client_at(origins: &[&str]) -> NewConfiguration {
    NewConfiguration {
        client_id: Some("client".into()),
        client_secret: Some(CLIENT_SECRET.into()),
        origins: origins.iter().map(|at| (*at).to_owned()).collect(),
        ..NewConfiguration::default()
    }
}

#[tokio::test]
async fn calls_and_sign_outs_name_the_client_where_the_operator_pins_the_host() {
    let all = ["as.keyport.test", "api.keyport.test", "mcp.keyport.test"];
    let stand = Stand::configured(NAMES_CLIENT, client_at(&all)).await;
    stand.script(|seen| match seen.path.as_str() {
        "/token" => Some(tokens()),
        "/end" => Some(status(200, serde_json::json!({}))),
        _ => None,
    });
    let id = stand.connected(&[]).await;
    let call = stand.calls("api").pop().unwrap();
    assert_eq!(call.headers["client-id"], "client");
    assert_eq!(call.query["proof"].len(), 64);
    let done = stand.engine.disconnect(&Actor::Host, &id).await.unwrap();
    assert_eq!(done.revoked, Revoked::Yes);
    let ended = stand.calls("mcp").pop().unwrap();
    assert!(ended.headers["authorization"].starts_with("Basic "));
    assert!(
        !ended.headers.contains_key("client-id"),
        "no call of the API's"
    );
}

/// The operator's secret is used for no host that is not pinned, not even as a proof or for a sign-out.
#[tokio::test]
async fn the_operators_secret_is_not_used_for_a_host_that_is_not_pinned() {
    let stand = Stand::configured(NAMES_CLIENT, client_at(&["as.keyport.test"])).await;
    stand.script(|seen| (seen.path == "/token").then(tokens));
    let session = stand.session("u1").await;
    stand.sign_in(&session, &[], |_, sent| code_for(sent)).await;
    assert!(stand.calls("api").is_empty());

    let two = ["as.keyport.test", "api.keyport.test"];
    let stand = Stand::configured(NAMES_CLIENT, client_at(&two)).await;
    stand.script(|seen| (seen.path == "/token").then(tokens));
    let id = stand.connected(&[]).await;
    let done = stand.engine.disconnect(&Actor::Host, &id).await.unwrap();
    assert_eq!(done.revoked, Revoked::No);
    assert!(stand.calls("mcp").is_empty());
    // Without a word from the operator, what the manifest writes out for sign-outs is pinned.
    let stand = Stand::new(NAMES_CLIENT).await;
    let mut pins = stand.config.origins.clone();
    pins.sort();
    assert_eq!(pins, ["as.keyport.test", "mcp.keyport.test"]);
}

/// Mailchimp: the place that tells where the API is takes the token under another scheme.
#[tokio::test]
async fn discovery_at_a_host_with_a_credential_of_its_own_sends_that_one() {
    let auth = r#"
    authorize_url: https://as.keyport.test/authorize
    token_url: https://as.keyport.test/token
    refresh: { rotates: never }
    revoke: { none: It ends by itself. }
    inject:
      - { header: Authorization, value: "Bearer {{ token.access_token }}" }
      - { header: Authorization, value: "OAuth {{ token.access_token }}", credential: second }
discovery:
  - id: place
    request: { path: "https://other.keyport.test/place" }
    capture: { place: { path: $.place, public: true } }
"#;
    let stand = Stand::new(auth).await;
    stand.script(|seen| match seen.path.as_str() {
        "/token" => Some(tokens()),
        "/place" => Some(json(serde_json::json!({ "place": "here" }))),
        _ => None,
    });
    stand.connected(&[]).await;
    let asked = stand.calls("other").pop().unwrap();
    assert_eq!(asked.headers["authorization"], "OAuth access-token-1");
    let call = stand.calls("api").pop().unwrap();
    assert_eq!(call.headers["authorization"], "Bearer access-token-1");
}

const CONSENT: &str = r#"
    grant: admin_consent
    authorize_url: https://as.keyport.test/adminconsent
    token_url: https://as.keyport.test/{{ capture.directory }}/token
    fields:
      - { id: own_id, label: Client id, required: false }
      - { id: own_secret, label: Client secret, secret: true, required: false }
    client: { owner: { id: "{{ credentials.own_id }}", secret: "{{ credentials.own_secret }}" } }
    capture: { directory: { callback: tenant, public: true, format: uuid } }
    refresh: { by: sign_in_again }
    revoke: { none: It ends by itself. }
"#;

/// Whoever comes back from an administrator's page says which directory it was. With the operator's client that would sign
/// in to anybody's directory that ever agreed to it.
#[tokio::test]
async fn a_directory_that_the_browser_names_is_never_signed_in_to_with_the_operators_client() {
    let stand = Stand::new(CONSENT).await;
    let session = stand.session("u1").await;
    let started = stand.engine.start_oauth(&session, stand.start(&[])).await;
    assert_eq!(code(started), "own_client_needed");
    assert!(stand.seen().is_empty());
    // With a client of one's own one reaches what agreed to that client.
    stand.script(|seen| seen.path.ends_with("/token").then(tokens));
    let own = [("own_id", "adas"), ("own_secret", "adas-client-secret")];
    let back = |_: &Url, sent: &BTreeMap<String, String>| {
        let tenant = "01234567-89ab-cdef-0123-456789abcdef";
        vec![
            ("state".to_owned(), sent["state"].clone()),
            ("tenant".to_owned(), tenant.to_owned()),
        ]
    };
    let flow = stand.sign_in(&session, &own, back).await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let asked = stand.only("/01234567-89ab-cdef-0123-456789abcdef/token");
    assert_eq!(asked.form()["grant_type"], "client_credentials");
    assert_eq!(asked.form()["client_secret"], "adas-client-secret");
}

const ZOHO: &str = r#"
    authorize_url: https://as.keyport.test/authorize
    token_url: "{{ capture.server }}/token"
    capture:
      server: { callback: accounts-server, public: true, format: origin, suffixes: [other.keyport.test, as.keyport.test] }
    refresh: { rotates: never }
    revoke: { none: It ends by itself. }
"#;

/// A20: where a callback says the token comes from, only a declared host gets the code and the secret.
#[tokio::test]
async fn a20_a_captured_host_gets_the_secret_only_if_it_is_declared() {
    let server = |host: &'static str| {
        move |_: &Url, sent: &BTreeMap<String, String>| {
            let mut back = code_for(sent);
            back.push(("accounts-server".into(), host.into()));
            back
        }
    };
    let stand = Stand::new(ZOHO).await;
    stand.script(|seen| (seen.path == "/token").then(tokens));
    let session = stand.session("u1").await;
    assert_eq!(
        stand.config.origins,
        ["other.keyport.test", "as.keyport.test"]
    );
    for evil in [
        "https://evil.example",
        "https://other.keyport.test.evil.example",
        "https://evil-other.keyport.test",
        "https://u:p@other.keyport.test",
        "http://other.keyport.test",
        "https://127.0.0.1",
        "https://169.254.169.254",
        "https://other.keyport.test/x?",
        "https://evil.example#.other.keyport.test",
        "{{ app.client_secret }}",
    ] {
        let flow = stand.sign_in(&session, &[], server(evil)).await;
        assert_eq!(flow.error.unwrap().code, "capture_not_allowed", "{evil}");
    }
    assert!(stand.seen().is_empty());
    let flow = stand
        .sign_in(&session, &[], server("https://other.keyport.test"))
        .await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    assert_eq!(stand.seen()[0].line(), "POST other/token");
    // And it is renewed where it came from.
    stand.pass(3590);
    assert_eq!(stand.used(&flow.connection_id.unwrap()).await, 200);
    assert_eq!(stand.seen()[1].line(), "POST other/token");
    // A host that the manifest declares and the operator does not pin gets nothing either.
    let patch = ConfigurationPatch {
        origins: Some(vec!["https://as.keyport.test".into()]),
        ..ConfigurationPatch::default()
    };
    stand
        .engine
        .update_configuration(&Actor::Host, &stand.config.id, None, patch)
        .await
        .unwrap();
    let flow = stand
        .sign_in(&session, &[], server("https://other.keyport.test"))
        .await;
    let error = flow.error.unwrap();
    assert!(
        error.say.contains("client_not_for_this_host"),
        "{}",
        error.say
    );
    assert_eq!(stand.seen().len(), 2);
}

/// R23, A9: what is edited while the person is at the app changes nothing about their sign-in.
#[tokio::test]
async fn r23_a9_a_running_flow_is_pinned() {
    let stand = Stand::new(&with("")).await;
    stand.script(|seen| (seen.path == "/token").then(tokens));
    let session = stand.session("u1").await;
    let started = stand
        .engine
        .start_oauth(&session, stand.start(&[]))
        .await
        .unwrap();
    let go = stand.engine.go(&session, &started.flow.id).await.unwrap();
    // The catalogue of the host that takes the callback has another manifest by now.
    let edited = with("    pkce: { off: Somebody has turned it off. }\n").replace(
        "https://as.keyport.test/token",
        "https://other.keyport.test/token",
    );
    let other = stand.with_manifest(&edited).await;
    let sent: BTreeMap<String, String> = Url::parse(&go.authorize_url)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect();
    other
        .callback(&stand.config.id, code_for(&sent), &jar(&go))
        .await;
    let asked = stand.only("/token");
    assert_eq!(asked.line(), "POST as/token");
    assert!(asked.form().contains_key("code_verifier"));
}

/// A24: what cannot stand in a header is refused before anything is sent, captured values included.
#[tokio::test]
async fn a24_a_captured_value_breaks_no_header() {
    let auth = with(
        "    capture: { tenant: { path: $.tenant } }\n    inject:\n      - { header: Authorization, value: \"Bearer {{ token.access_token }}\" }\n      - { header: X-Tenant, value: \"{{ capture.tenant }}\" }\n",
    );
    let stand = Stand::new(&auth).await;
    stand.script(|seen| {
        (seen.path == "/token").then(|| {
            json(serde_json::json!({"access_token": "access-token-1", "tenant": "a\r\nX-Evil: 1"}))
        })
    });
    let session = stand.session("u1").await;
    let flow = stand.sign_in(&session, &[], |_, sent| code_for(sent)).await;
    assert_eq!(flow.status, FlowStatus::Failed);
    assert!(stand.calls("api").is_empty());
    // The same in a token itself.
    stand.script(|seen| {
        (seen.path == "/token")
            .then(|| json(serde_json::json!({"access_token": "a\r\nX-Evil: 1", "tenant": "t"})))
    });
    let flow = stand.sign_in(&session, &[], |_, sent| code_for(sent)).await;
    assert_eq!(flow.status, FlowStatus::Failed);
    assert!(stand.calls("api").is_empty());
}

/// A23: what somebody typed or sent is put in as it is, and is never looked at as a template again.
#[tokio::test]
async fn a23_a_value_that_looks_like_a_template_stays_text() {
    let auth = with("    token_params: { said: \"{{ callback.said }}\" }\n");
    let stand = Stand::new(&auth).await;
    stand.script(|seen| (seen.path == "/token").then(tokens));
    let session = stand.session("u1").await;
    let evil = "{{ app.client_secret }}&client_id=evil";
    let flow = stand
        .sign_in(&session, &[], |_, sent| {
            let mut back = code_for(sent);
            back.push(("said".into(), evil.into()));
            back
        })
        .await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let form = stand.only("/token").form();
    assert_eq!(
        (form["said"].as_str(), form["client_id"].as_str()),
        (evil, "client")
    );
}
