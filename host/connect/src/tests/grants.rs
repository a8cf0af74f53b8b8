//! Grants without a person, and how a client proves itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyport_manifest::{JwtAlg, KeyFormat};
use serde_json::Value;

use super::provider::*;
use super::*;
use crate::jose::key::SigningKey;
use crate::jose::tests::{pem, public_pem};
use crate::jose::verify_with_text;

pub(super) const OWN: &str = r#"
    client: { operator: false, owner: { id: "{{ credentials.id }}", secret: "{{ credentials.secret }}" } }
    fields:
      - { id: id, label: Client }
      - { id: secret, label: Secret, secret: true, required: false }
      - { id: key, label: Key, secret: true, required: false, format: pem, multiline: true }
      - { id: thumb, label: Thumbprint, required: false }
"#;

pub(super) fn client_credentials(more: &str) -> String {
    format!(
        r#"
    grant: client_credentials
    token_url: https://as.keyport.test/token
    scopes: {{ default: [read, write] }}
    refresh: {{ rotates: never, by: sign_in_again }}
    revoke: {{ none: It ends by itself. }}
{OWN}{more}"#
    )
}

pub(super) fn bearer(expires_in: u64) -> Reply {
    json(
        serde_json::json!({"access_token": "access-token-1", "token_type": "bearer", "expires_in": expires_in}),
    )
}

#[tokio::test]
async fn a_client_signs_in_as_itself_and_again_when_its_token_ends() {
    let stand = Stand::new(&client_credentials("    client_auth: basic\n")).await;
    stand.script(|seen| (seen.line() == "POST as/token").then(|| bearer(3600)));
    let session = stand.session("u1").await;
    let form = stand.form(&[("id", "my id"), ("secret", "s/e:c")]);
    let flow = stand
        .engine
        .connect_with_form(&session, form)
        .await
        .unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let asked = stand.only("/token");
    let form = asked.form();
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["scope"], "read write");
    // R3: both parts are form-encoded before they become base64.
    let basic = base64::engine::general_purpose::STANDARD.encode("my+id:s%2Fe%3Ac");
    assert_eq!(asked.headers["authorization"], format!("Basic {basic}"));
    assert!(!asked.body.contains("client_secret"), "{}", asked.body);

    let id = flow.connection_id.unwrap();
    stand.pass(3500);
    assert_eq!(stand.used(&id).await, 200);
    assert_eq!(stand.seen().len(), 1, "it still lives");
    stand.pass(90);
    assert_eq!(stand.used(&id).await, 200);
    assert_eq!(stand.seen().len(), 2);
    assert_eq!(stand.seen()[1].form()["grant_type"], "client_credentials");
}

#[tokio::test]
async fn the_operators_client_signs_in_as_itself_where_its_host_is_pinned() {
    let auth = r#"
    grant: client_credentials
    token_url: https://as.keyport.test/token
    refresh: { rotates: never, by: sign_in_again }
    revoke: { none: It ends by itself. }
"#;
    let stand = Stand::new(auth).await;
    stand.script(|seen| (seen.line() == "POST as/token").then(|| bearer(60)));
    let session = stand.session("u1").await;
    let flow = stand
        .engine
        .connect_with_form(&session, stand.form(&[]))
        .await
        .unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    assert_eq!(stand.only("/token").form()["client_secret"], CLIENT_SECRET);
    let app = stand.engine.app("scripted").await.unwrap();
    assert!(app.methods[0].available && !app.methods[0].redirects);
}

#[tokio::test]
async fn what_a_server_says_of_an_owners_own_client_is_theirs_to_mend() {
    let stand = Stand::new(&client_credentials("")).await;
    stand.script(|seen| {
        (seen.path == "/token").then(|| status(401, serde_json::json!({"error": "invalid_client"})))
    });
    let session = stand.session("u1").await;
    let form = stand.form(&[("id", "mine"), ("secret", "old")]);
    let flow = stand
        .engine
        .connect_with_form(&session, form)
        .await
        .unwrap();
    assert_eq!(flow.status, FlowStatus::Failed);
    assert_eq!(flow.error.unwrap().code, "code_refused");
}

/// The payload of a JWT.
pub(super) fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub(super) fn header(token: &str) -> Value {
    let part = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// R43: `iss` and `sub` are the client, one `aud` which is exactly the address it is sent to, at most five minutes, a new `jti`
/// each time, the declared algorithm, the certificate's digest in the header.
#[tokio::test]
async fn r43_an_assertion_proves_the_client_to_this_server_alone() {
    let rsa = pem(JwtAlg::Rs256);
    for (alg, name, key) in [
        (JwtAlg::Rs256, "RS256", rsa.clone()),
        (JwtAlg::Ps256, "PS256", rsa.clone()),
        (JwtAlg::Es256, "ES256", pem(JwtAlg::Es256)),
    ] {
        let more = format!(
            "    client_auth: private_key_jwt\n    client_assertion:\n      alg: {name}\n      key: \"{{{{ credentials.key }}}}\"\n      header: {{ \"x5t#S256\": \"{{{{ credentials.thumb }}}}\" }}\n"
        );
        let stand = Stand::new(&client_credentials(&more)).await;
        stand.script(|seen| (seen.path == "/token").then(|| bearer(60)));
        let session = stand.session("u1").await;
        for _ in 0..2 {
            let form = stand.form(&[("id", "mine"), ("key", &key), ("thumb", "dGh1bWI")]);
            let flow = stand
                .engine
                .connect_with_form(&session, form)
                .await
                .unwrap();
            assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
        }
        let [first, second] = stand.seen().try_into().unwrap();
        let sent = first.form();
        assert_eq!(
            sent["client_assertion_type"],
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        assert!(!first.headers.contains_key("authorization"));
        let token = &sent["client_assertion"];
        let public = public_pem(&SigningKey::parse(&key, KeyFormat::Pem, alg).unwrap());
        let claims = verify_with_text(token, alg, &public).unwrap();
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&"mine".into(), &"mine".into())
        );
        assert_eq!(claims["aud"], "https://as.keyport.test/token");
        let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!((1..=300).contains(&life), "{life}");
        assert_eq!(header(token)["alg"], name);
        assert_eq!(header(token)["x5t#S256"], "dGh1bWI");
        assert_ne!(
            payload(&second.form()["client_assertion"])["jti"],
            claims["jti"]
        );
    }
}

#[tokio::test]
async fn a_shared_secret_signs_an_assertion_and_stays_here() {
    let stand = Stand::new(&client_credentials("    client_auth: client_secret_jwt\n")).await;
    stand.script(|seen| (seen.path == "/token").then(|| bearer(60)));
    let session = stand.session("u1").await;
    let form = stand.form(&[("id", "mine"), ("secret", "a-shared-secret-0123456789")]);
    let flow = stand
        .engine
        .connect_with_form(&session, form)
        .await
        .unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let asked = stand.only("/token");
    assert!(!asked.body.contains("a-shared-secret"), "{}", asked.body);
    let token = asked.form()["client_assertion"].clone();
    assert!(verify_with_text(&token, JwtAlg::Hs256, "a-shared-secret-0123456789").is_ok());
}

/// R44: an EC key with RS256 fails here; nothing is sent.
#[tokio::test]
async fn r44_a_key_of_another_kind_sends_nothing() {
    let more = "    client_auth: private_key_jwt\n    client_assertion: { alg: RS256, key: \"{{ credentials.key }}\" }\n";
    let stand = Stand::new(&client_credentials(more)).await;
    let session = stand.session("u1").await;
    let form = stand.form(&[("id", "mine"), ("key", &pem(JwtAlg::Es256))]);
    let flow = stand
        .engine
        .connect_with_form(&session, form)
        .await
        .unwrap();
    let error = flow.error.unwrap();
    assert_eq!(error.code, "client_refused");
    assert!(error.say.contains("key_of_another_kind"), "{}", error.say);
    assert!(stand.seen().is_empty());
}

/// R45: claims of the app's own, no refresh token, minted again when the token ends.
#[tokio::test]
async fn r45_a_signed_assertion_is_exchanged_and_minted_again_at_expiry() {
    let auth = format!(
        r#"
    grant: jwt_bearer
    token_url: https://as.keyport.test/token
    client_auth: none
    assertion:
      alg: RS256
      key: "{{{{ credentials.key }}}}"
      claims:
        iss: "{{{{ credentials.id }}}}"
        sub: "{{{{ credentials.thumb }}}}"
        aud: https://as.keyport.test
        scope: read write
      lifetime: 180
    refresh: {{ rotates: never, by: sign_in_again }}
    revoke: {{ none: It ends by itself. }}
    capture:
      instance_url: {{ path: $.instance_url, public: true, format: origin, suffixes: [.keyport.test] }}
{OWN}"#
    );
    let stand = Stand::new(&auth).await;
    stand.script(|seen| {
        (seen.path == "/token").then(|| {
            json(serde_json::json!({"access_token": "access-token-1", "expires_in": "900", "instance_url": "https://other.keyport.test"}))
        })
    });
    let key = pem(JwtAlg::Rs256);
    let session = stand.session("u1").await;
    let form = stand.form(&[("id", "robot@x"), ("key", &key)]);
    let flow = stand
        .engine
        .connect_with_form(&session, form)
        .await
        .unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let first = stand.only("/token").form();
    assert_eq!(
        first["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let public = public_pem(&SigningKey::parse(&key, KeyFormat::Pem, JwtAlg::Rs256).unwrap());
    let claims = verify_with_text(&first["assertion"], JwtAlg::Rs256, &public).unwrap();
    assert_eq!(claims["iss"], "robot@x");
    assert_eq!(claims["aud"], "https://as.keyport.test");
    assert_eq!(claims["scope"], "read write");
    assert!(
        claims.get("sub").is_none(),
        "an empty field leaves its claim out"
    );
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        180
    );
    let id = flow.connection_id.unwrap();
    stand.pass(880);
    assert_eq!(stand.used(&id).await, 200);
    let [_, second] = stand.seen().try_into().unwrap();
    assert_ne!(second.form()["assertion"], first["assertion"]);
    // R13, R45: a refusal of the assertion is the person's to mend.
    stand.script(|seen| {
        (seen.path == "/token").then(|| status(400, serde_json::json!({"error": "invalid_grant"})))
    });
    stand.pass(901);
    assert_ne!(stand.used(&id).await, 200);
    assert_eq!(stand.state(&id).await.0, ConnectionState::NeedsReconnect);
}

/// R28, A19: a redirect of the token endpoint is not followed, and no secret goes anywhere else.
#[tokio::test]
async fn r28_a_token_request_follows_no_redirect() {
    for code in [301, 302, 307, 308] {
        let stand = Stand::new(&client_credentials("")).await;
        stand.script(move |seen| {
            (seen.path == "/token").then(|| {
                status(code, serde_json::json!({}))
                    .with("location", "https://other.keyport.test/token")
            })
        });
        let session = stand.session("u1").await;
        let form = stand.form(&[("id", "mine"), ("secret", "canary-secret-1")]);
        let flow = stand
            .engine
            .connect_with_form(&session, form)
            .await
            .unwrap();
        let error = flow.error.unwrap();
        assert!(error.say.contains("redirect_refused"), "{}", error.say);
        assert!(stand.calls("other").is_empty());
    }
}

/// R13: what a token endpoint's refusal means to a grant that worked.
#[tokio::test]
async fn r13_only_a_refusal_of_the_grant_ends_it() {
    for (answer, state) in [
        (
            status(400, serde_json::json!({"error": "invalid_grant"})),
            ConnectionState::NeedsReconnect,
        ),
        (
            status(500, serde_json::json!({})),
            ConnectionState::Connected,
        ),
        (
            status(503, serde_json::json!({"error": "temporarily_unavailable"})),
            ConnectionState::Connected,
        ),
        (
            status(429, serde_json::json!({})),
            ConnectionState::Connected,
        ),
        (
            status(401, serde_json::json!({"error": "invalid_client"})),
            ConnectionState::Connected,
        ),
    ] {
        let auth = r#"
    authorize_url: https://as.keyport.test/authorize
    token_url: https://as.keyport.test/token
    refresh: { rotates: always }
    revoke: { none: It ends by itself. }
"#;
        let stand = Stand::new(auth).await;
        stand.script(|seen| (seen.path == "/token").then(tokens));
        let id = stand.connected(&[]).await;
        let answer = Same::new(answer);
        stand.script(move |seen| (seen.path == "/token").then(|| answer.again()));
        stand.pass(3590);
        stand.used(&id).await;
        assert_eq!(stand.state(&id).await.0, state);
    }
}

/// One reply, again and again.
struct Same(u16, Vec<(String, String)>, String);

impl Same {
    fn new(reply: Reply) -> Self {
        Self(reply.status, reply.headers, reply.body)
    }

    fn again(&self) -> Reply {
        Reply {
            status: self.0,
            headers: self.1.clone(),
            body: self.2.clone(),
        }
    }
}
