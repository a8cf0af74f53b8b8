//! Whom no trick makes the events of an app's one address reach: calls that are not the app's, other clients, other sign-ins.

use super::*;

#[tokio::test]
async fn a_call_that_the_app_did_not_sign_is_refused_whatever_it_carries() {
    let stand = stand().await;
    let id = connected(&stand, "u1", "T1").await;
    subscribe(&stand, &id, json!({})).await.unwrap();
    let body = event("T1", "Ev1", "C1");
    let good = || signed(SIGNING_SECRET, &body, 0);
    let with = |name: &str, value: Option<&str>| {
        let mut call = good();
        call.headers.retain(|(known, _)| known != name);
        call.headers
            .extend(value.map(|value| (name.to_owned(), value.to_owned())));
        call
    };
    let forged = [
        ("unsigned", with("x-signature", None)),
        ("an empty signature", with("x-signature", Some("v0="))),
        ("no time", with("x-time", None)),
        ("another time", with("x-time", Some(&(NOW + 1).to_string()))),
        ("replayed later", signed(SIGNING_SECRET, &body, -301)),
        ("signed ahead", signed(SIGNING_SECRET, &body, 301)),
        (
            "the client's secret in its place",
            signed(CLIENT_SECRET, &body, 0),
        ),
        ("no secret", signed("", &body, 0)),
        ("another team under a good signature", {
            let mut call = good();
            call.body = event("T2", "Ev1", "C1").into_bytes();
            call
        }),
        ("a handshake that nobody signed", {
            let mut call = HookCall {
                method: "POST".into(),
                ..HookCall::default()
            };
            call.body = br#"{"type":"url_verification","challenge":"abc"}"#.to_vec();
            call
        }),
        (
            "a handshake by query",
            HookCall {
                method: "GET".into(),
                query: "type=url_verification&challenge=abc".into(),
                ..HookCall::default()
            },
        ),
    ];
    for (what, call) in forged {
        assert_eq!(send(&stand, call).await, 401, "{what}");
    }
    assert!(found(&stand, "u1").await.is_empty());
    let challenge = r#"{"type":"url_verification","challenge":"abc","team_id":"T1"}"#;
    let answer = stand
        .engine
        .app_hook(&stand.config.id, signed(SIGNING_SECRET, challenge, 0))
        .await;
    assert_eq!(
        (
            answer.status,
            answer.content_type.as_str(),
            answer.body.as_str()
        ),
        (200, "text/plain", "abc")
    );
    for nobody in [
        "",
        "cfg_",
        "cfg_00000000000000000000000000",
        &id,
        "../v1/keys",
    ] {
        assert_eq!(
            stand.engine.app_hook(nobody, good()).await.status,
            404,
            "{nobody}"
        );
    }
    assert_eq!(send(&stand, good()).await, 200);
    assert_eq!(found(&stand, "u1").await, ["text of Ev1"]);
}

#[tokio::test]
async fn another_configurations_events_and_addresses_reach_its_own_connections_alone() {
    let stand = stand().await;
    let other = stand
        .engine
        .configure(&Actor::Host, "scripted", client(Some(OTHER_SECRET)))
        .await
        .unwrap();
    let one = connected(&stand, "u1", "T1").await;
    team(&stand, "T1", "history");
    let two = signed_in(&stand, "u2", Some(&other.id), &[], None).await;
    for id in [&one, &two] {
        subscribe(&stand, id, json!({})).await.unwrap();
    }
    // Another customer's client, whose secret its owner knows, about a team that this client has too.
    let crossed = signed(OTHER_SECRET, &event("T1", "Ev1", "C1"), 0);
    assert_eq!(send(&stand, crossed.clone()).await, 401);
    assert_eq!(stand.engine.app_hook(&other.id, crossed).await.status, 200);
    assert!(found(&stand, "u1").await.is_empty());
    assert_eq!(found(&stand, "u2").await, ["text of Ev1"]);
    let own = signed(SIGNING_SECRET, &event("T1", "Ev2", "C1"), 0);
    assert_eq!(
        stand.engine.app_hook(&other.id, own.clone()).await.status,
        401
    );
    assert_eq!(send(&stand, own).await, 200);
    assert_eq!(found(&stand, "u1").await, ["text of Ev2"]);
    assert_eq!(found(&stand, "u2").await, ["text of Ev1"]);
}

#[tokio::test]
async fn who_brings_a_token_a_client_or_fewer_rights_is_told_of_no_events() {
    let stand = stand().await;
    // A token of an app of one's own in the same team: the app takes it, and it says nothing about this client.
    stand.script(|_| None);
    let import = NewImport {
        owner: "mallory".into(),
        app: "scripted".into(),
        method: "pasted".into(),
        config: Some(stand.config.id.clone()),
        title: None,
        fields: IndexMap::from([("token".to_owned(), "token-of-an-app-of-my-own".to_owned())]),
        token: None,
    };
    let pasted = stand.engine.import(&Actor::Host, import).await.unwrap().id;
    assert_eq!(
        code(subscribe(&stand, &pasted, json!({})).await),
        "not_of_this_client"
    );
    // A token that is said to be of this client's sign-in, with the team and the rights that its bringer names.
    let claim = NewImport {
        owner: "mallory".into(),
        app: "scripted".into(),
        method: "main".into(),
        config: Some(stand.config.id.clone()),
        title: None,
        fields: IndexMap::new(),
        token: Some(ImportToken {
            access_token: "another-token-of-an-app-of-my-own".into(),
            refresh_token: None,
            token_secret: None,
            expires_at: None,
            scopes: vec!["history".into()],
            capture: IndexMap::from([("team_id".to_owned(), "T1".to_owned())]),
        }),
    };
    let claimed = stand.engine.import(&Actor::Host, claim).await.unwrap().id;
    assert_eq!(
        code(subscribe(&stand, &claimed, json!({})).await),
        "not_of_this_client"
    );
    // A client of one's own.
    team(&stand, "T1", "history");
    let own = [
        ("own_id", "client-of-mallory"),
        ("own_secret", "secret-of-mallory-0123"),
    ];
    let owns = signed_in(&stand, "mallory", None, &own, None).await;
    assert_eq!(
        code(subscribe(&stand, &owns, json!({})).await),
        "not_of_this_client"
    );
    // Without the right that the trigger needs.
    team(&stand, "T1", "profile");
    let less = signed_in(&stand, "mallory", None, &[], None).await;
    assert_eq!(
        code(subscribe(&stand, &less, json!({})).await),
        "missing_scope"
    );
    let call = signed(SIGNING_SECRET, &event("T1", "Ev1", "C1"), 0);
    assert_eq!(send(&stand, call).await, 200);
    assert!(found(&stand, "mallory").await.is_empty());
    // An app whose operator has not entered its secret is told before anything is subscribed.
    let bare = Stand::whole(yaml(), client(None)).await;
    let id = connected(&bare, "u1", "T1").await;
    assert_eq!(
        code(subscribe(&bare, &id, json!({})).await),
        "webhook_not_configured"
    );
    let call = signed("", &event("T1", "Ev1", "C1"), 0);
    assert_eq!(
        send(&bare, call).await,
        401,
        "no secret is not an empty one"
    );
}

/// A client that Keyport registered at a server that was found out knows what that server says, and anybody can run one.
#[tokio::test]
async fn a_client_that_was_registered_at_somebodys_server_is_told_of_no_events() {
    let (head, rest) = yaml().split_once("    authorize_url:").map_or_else(
        || panic!("the manifest has changed"),
        |(head, rest)| (head.to_owned(), rest.to_owned()),
    );
    let (_, tail) = rest.split_once("    capture:").unwrap();
    let registers = format!(
        "{head}    discover: {{ resource: https://mcp.keyport.test/mcp }}\n    register: true\n    client_auth: none\n    capture:{}",
        tail
    );
    let operators = NewConfiguration {
        webhook_secret: Some(SIGNING_SECRET.into()),
        ..NewConfiguration::default()
    };
    let stand = Stand::whole(registers, operators).await;
    stand.script(discovery::mcp(|seen| match seen.line().as_str() {
        "POST as/token" => Some(json(json!({
            "access_token": "access-token-of-my-own-server", "token_type": "Bearer", "expires_in": 3600,
            "refresh_token": "r", "scope": "history", "team": { "id": "T1" },
        }))),
        _ => None,
    }));
    let session = stand.session("mallory").await;
    let flow = stand
        .sign_in(&session, &[], |_, sent| discovery::back(sent))
        .await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let id = flow.connection_id.unwrap();
    assert_eq!(
        code(subscribe(&stand, &id, json!({})).await),
        "not_of_this_client"
    );
}

/// Whoever had the right when they subscribed and has lost it since is not told any more.
#[tokio::test]
async fn a_right_that_was_lost_is_noticed_at_the_next_event() {
    let stand = stand().await;
    let id = connected(&stand, "u1", "T1").await;
    subscribe(&stand, &id, json!({})).await.unwrap();
    let of = |event_id: &str| signed(SIGNING_SECRET, &event("T1", event_id, "C1"), 0);
    assert_eq!(send(&stand, of("Ev1")).await, 200);
    team(&stand, "T1", "profile");
    assert_eq!(signed_in(&stand, "u1", None, &[], Some(&id)).await, id);
    assert_eq!(send(&stand, of("Ev2")).await, 200);
    assert_eq!(found(&stand, "u1").await, ["text of Ev1"]);
}
