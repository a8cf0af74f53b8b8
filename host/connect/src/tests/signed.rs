//! Requests signed by OAuth 1.0a with what was pasted or imported.

use super::pretend::*;
use super::*;

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

const THREE: &str = "
api:
  base_url: https://api.acme.test
auth:
  way:
    type: oauth1
    grant: three_legged
    label: Sign in
    request_token_url: https://id.acme.test/request
    authorize_url: https://id.acme.test/authorize
    access_token_url: https://id.acme.test/access
    signature: HMAC-SHA1
    client: { operator: true }
    capture: { place: { path: $.place, public: true } }
    revoke: { none: It is ended there. }
";

/// A token of OAuth 1.0a that was made elsewhere, with the operator's client, is taken over like any other grant.
#[tokio::test]
async fn a_token_of_oauth_1_is_imported_with_its_secret_and_signs() {
    let right = |seen: &Seen| {
        seen.headers["authorization"].contains("oauth_token=\"tok-1\"")
            && seen.headers["authorization"].contains("oauth_consumer_key=\"operators-key\"")
    };
    let app = app(THREE, move |seen| {
        if right(seen) {
            me()
        } else {
            json(401, serde_json::json!({}))
        }
    })
    .await;
    let import = |token: Option<ImportToken>| NewImport {
        owner: "u1".into(),
        app: "acme".into(),
        method: "way".into(),
        config: None,
        title: None,
        fields: IndexMap::new(),
        token,
    };
    let token = |secret: Option<&str>| ImportToken {
        access_token: "tok-1".into(),
        refresh_token: None,
        token_secret: secret.map(str::to_owned),
        expires_at: None,
        scopes: vec![],
        capture: IndexMap::from([("place".to_owned(), "here".to_owned())]),
    };
    let take = |new: NewImport| app.engine.import(&Actor::Host, new);
    // Without the client that it was made with it could not be used, and nothing is asked.
    assert_eq!(
        code(take(import(Some(token(Some("sec-1"))))).await),
        "method_not_available"
    );
    let operators = NewConfiguration {
        client_id: Some("operators-key".into()),
        client_secret: Some("operators-secret-1".into()),
        ..NewConfiguration::default()
    };
    app.engine
        .configure(&Actor::Host, "acme", operators)
        .await
        .unwrap();
    for wrong in [
        import(None),
        import(Some(token(None))),
        import(Some(ImportToken {
            refresh_token: Some("r".into()),
            ..token(Some("sec-1"))
        })),
        import(Some(ImportToken {
            capture: IndexMap::new(),
            ..token(Some("sec-1"))
        })),
        import(Some(ImportToken {
            access_token: "tok\r\nx: y".into(),
            ..token(Some("sec-1"))
        })),
    ] {
        assert_eq!(code(take(wrong).await), "invalid_input");
    }
    assert!(
        app.all().is_empty(),
        "what is not complete asks the app nothing"
    );
    let made = take(import(Some(token(Some("sec-1"))))).await.unwrap();
    assert_eq!(made.state, ConnectionState::Connected);
    assert!(made.imported);
    assert_eq!(app.get(&made.id, "/me").await.0, 200);
    assert!(
        !format!("{:?}", app.all()).contains("sec-1"),
        "the secret only signs"
    );
    // One that the app does not know is not kept.
    let other = ImportToken {
        access_token: "tok-2".into(),
        ..token(Some("sec-2"))
    };
    assert!(take(import(Some(other))).await.is_err());
    let kept = app
        .engine
        .heads::<crate::record::Connection>(None)
        .await
        .unwrap();
    assert_eq!(kept.len(), 1);
}
