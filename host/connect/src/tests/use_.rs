//! Using a connection.

use http::Request;
use keyport_egress::Body;
use serde_json::{Value, json};

use super::*;

async fn body(response: http::Response<Body>) -> Value {
    serde_json::from_slice(&response.into_body().collect(1 << 20).await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_proxy_attaches_the_credential_and_nobody_may_bring_one() {
    let world = world().await;
    let id = world.key_connection().await;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let me = world
        .engine
        .proxy(&world.host, &id, get("/me"))
        .await
        .unwrap();
    assert_eq!(body(me).await["id"], "u_ada");
    let mut forged = get("/me");
    forged
        .headers_mut()
        .insert("x-api-key", GRACES_KEY.parse().unwrap());
    assert_eq!(
        code(world.engine.proxy(&world.host, &id, forged).await),
        "forbidden_header"
    );
    let elsewhere = world
        .engine
        .proxy(&world.host, &id, get("https://evil.example/"))
        .await;
    assert_eq!(code(elsewhere), "host_not_allowed");
}

#[tokio::test]
async fn an_answer_that_repeats_the_credential_is_scrubbed() {
    let world = world().await;
    let id = world.key_connection().await;
    let echo = Request::post("/echo")
        .header("content-length", "2")
        .body(Body::from_bytes("{}"))
        .unwrap();
    let text = body(world.engine.proxy(&world.host, &id, echo).await.unwrap())
        .await
        .to_string();
    assert!(!text.contains(KEY), "{text}");
}

#[tokio::test]
async fn actions_run_and_a_trigger_tells_each_event_once() {
    let world = world().await;
    let id = world.key_connection().await;
    let first = world
        .engine
        .poll_trigger(&world.host, &id, "new_note", &json!({}), None)
        .await
        .unwrap();
    let made = world
        .engine
        .run_action(&world.host, &id, "create_note", &json!({"title": "Hi"}))
        .await
        .unwrap();
    let next = world
        .engine
        .poll_trigger(
            &world.host,
            &id,
            "new_note",
            &json!({}),
            Some(&first.cursor),
        )
        .await
        .unwrap();
    let ids: Vec<&Value> = next.events.iter().map(|event| &event["id"]).collect();
    assert_eq!(ids, [&made["id"]]);
    let again = world
        .engine
        .poll_trigger(&world.host, &id, "new_note", &json!({}), Some(&next.cursor))
        .await
        .unwrap();
    assert!(again.events.is_empty());
    assert!(world.connection(&id).await.last_used_at.is_some());
    assert_eq!(
        code(
            world
                .engine
                .run_action(&world.host, &id, "nope", &json!({}))
                .await
        ),
        "not_found"
    );
    assert_eq!(
        code(
            world
                .engine
                .run_action(&world.host, &id, "create_note", &json!([]))
                .await
        ),
        "invalid_input"
    );
}

#[tokio::test]
async fn credentials_are_given_to_a_key_that_may_and_the_reading_is_on_record() {
    let world = world().await;
    let id = world.oauth_connection().await;
    let key = |scopes: &[KeyScope]| {
        Actor::Platform(PlatformKey {
            id: "key_x".into(),
            scopes: scopes.to_vec(),
        })
    };
    let session = Actor::Session(world.manage().await);
    for actor in [key(&[KeyScope::Proxy, KeyScope::Manage]), session] {
        assert_eq!(
            code(world.engine.credentials(&actor, &id).await),
            "missing_scope"
        );
    }
    let issued = world
        .engine
        .credentials(&key(&[KeyScope::ReadCredentials]), &id)
        .await
        .unwrap();
    assert_eq!(issued.kind, "oauth2");
    assert!(issued.access_token.is_some() && issued.expires_at.is_some());
    let text = serde_json::to_string(&issued).unwrap();
    assert!(!text.contains("refresh"));
    let events = world
        .engine
        .events(Some("u1"), None, Some(200))
        .await
        .unwrap()
        .items;
    let read = events
        .iter()
        .find(|event| event.kind == "credentials.read")
        .unwrap();
    assert_eq!(
        (read.actor.as_str(), read.connection_id.as_deref()),
        ("key:key_x", Some(id.as_str()))
    );
}

#[tokio::test]
async fn listings_events_and_views_hold_no_secret() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.key_connection().await;
    let stored: record::Stored<record::Connection> = world.engine.load(&id).await.unwrap();
    let token = stored.sealed.as_ref().unwrap().token.as_ref().unwrap();
    let mut shown = serde_json::to_string(
        &world
            .engine
            .list(&world.host, &ConnectionQuery::default())
            .await
            .unwrap(),
    )
    .unwrap();
    shown +=
        &serde_json::to_string(&world.engine.events(None, None, Some(200)).await.unwrap()).unwrap();
    shown +=
        &serde_json::to_string(&world.engine.configurations("sandbox").await.unwrap()).unwrap();
    for head in world
        .vault
        .list(keyport_vault::Kind::new("flow"), None, None, 100)
        .await
        .unwrap()
        .heads
    {
        shown += &head.clear.to_string();
    }
    for head in world
        .vault
        .list(keyport_vault::Kind::new("connection"), None, None, 100)
        .await
        .unwrap()
        .heads
    {
        shown += &head.clear.to_string();
    }
    for secret in [
        KEY,
        CLIENT_SECRET,
        token.access.expose(),
        token.refresh.as_ref().unwrap().expose(),
    ] {
        assert!(!shown.contains(secret));
    }
}

#[tokio::test]
async fn an_operator_can_narrow_an_apps_hosts() {
    let world = world().await;
    let new = NewConfiguration {
        grants: GrantsView {
            hosts: Some(vec!["other.example.com".into()]),
            ..GrantsView::default()
        },
        ..NewConfiguration::default()
    };
    world
        .engine
        .configure(&world.host, "sandbox", new)
        .await
        .unwrap();
    let session = world.manage().await;
    let flow = world.by_key(&session, KEY).await;
    assert_eq!(flow.status, FlowStatus::Failed);
    assert_eq!(world.vendor.stats().api_requests, 0);
}

#[tokio::test]
async fn credentials_in_the_clear_are_granted_only_to_an_app_that_asks_for_them() {
    let world = world().await;
    let new = NewConfiguration {
        grants: GrantsView {
            raw_credentials: true,
            ..GrantsView::default()
        },
        ..NewConfiguration::default()
    };
    let refused = world.engine.configure(&world.host, "sandbox", new).await;
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("does not ask"), "{error}");
}
