//! Sign-in by a form, and platform keys.

use super::*;

#[tokio::test]
async fn a_key_is_tested_and_connected_as_its_owner() {
    let world = world().await;
    let session = world.manage().await;
    let flow = world.by_key(&session, KEY).await;
    assert_eq!(flow.status, FlowStatus::Connected);
    let connection = world
        .connection(flow.connection_id.as_deref().unwrap())
        .await;
    assert_eq!(connection.state, ConnectionState::Connected);
    assert_eq!(connection.account.as_ref().unwrap().id, "u_ada");
    assert_eq!(connection.title, "Ada Lovelace (Analytical Engines)");
    assert!(connection.last_tested_at.is_some());
}

#[tokio::test]
async fn a_wrong_key_leaves_nothing_behind_and_says_why() {
    let world = world().await;
    let session = world.manage().await;
    let flow = world.by_key(&session, "not-a-key-of-anybody").await;
    assert_eq!(flow.status, FlowStatus::Failed);
    let error = flow.error.unwrap();
    assert_eq!(error.code, "needs_reconnect");
    assert_eq!(
        error.say,
        "Sandbox did not accept this API key; check it and enter it again"
    );
    assert_eq!(world.count().await, 0);
}

/// What worked once and does no more is told as that; new details that never worked are told as those of a first time.
#[tokio::test]
async fn a_refusal_is_told_by_whether_it_ever_worked() {
    let world = world().await;
    let id = world.key_connection().await;
    world
        .vendor
        .set_credential("u_ada", keyport_sandbox::CredentialKind::ApiKey, true)
        .unwrap();
    let report = world.engine.test(&world.host, &id).await.unwrap();
    let said = serde_json::to_string(&report).unwrap();
    assert!(
        said.contains("Sandbox no longer accepts this sign-in."),
        "{said}"
    );
    let typed = IndexMap::from([("api_key".to_owned(), "not-a-key-of-anybody".to_owned())]);
    let report = world
        .engine
        .update_details(&world.host, &id, typed)
        .await
        .unwrap();
    let said = serde_json::to_string(&report).unwrap();
    assert!(
        said.contains("Sandbox did not accept this API key"),
        "{said}"
    );
}

#[tokio::test]
async fn bad_input_names_its_field_and_sends_nothing() {
    let world = world().await;
    let session = world.manage().await;
    for (key, field) in [("", "api_key"), ("two\nlines", "api_key")] {
        let error = world
            .engine
            .connect_with_form(&session, key_form(key))
            .await
            .unwrap_err();
        assert_eq!(error.field(), Some(field), "{key:?}");
    }
    let mut form = key_form(KEY);
    form.fields.insert("other".into(), "x".into());
    assert_eq!(
        world
            .engine
            .connect_with_form(&session, form)
            .await
            .unwrap_err()
            .field(),
        Some("other")
    );
    assert_eq!(
        code(
            world
                .engine
                .connect_with_form(
                    &session,
                    FormSubmit {
                        app: "nope".into(),
                        ..key_form(KEY)
                    }
                )
                .await
        ),
        "not_found"
    );
    assert_eq!(world.vendor.stats().api_requests, 0);
}

#[tokio::test]
async fn an_owner_may_have_several_connections_and_sees_only_their_own() {
    let world = world().await;
    let (one, other) = (
        world.manage().await,
        world.session("u2", SessionKind::Manage).await,
    );
    let first = world.by_key(&one, KEY).await.connection_id.unwrap();
    world.by_key(&one, GRACES_KEY).await;
    let foreign = world.by_key(&other, KEY).await.connection_id.unwrap();
    let seen = world
        .engine
        .list(&Actor::Session(one.clone()), &ConnectionQuery::default())
        .await
        .unwrap();
    assert_eq!(seen.items.len(), 2);
    let actor = Actor::Session(one);
    assert_eq!(code(world.engine.get(&actor, &first).await), "ok");
    let (guess, real) = (
        world.engine.get(&actor, "con_0000000000000000000000").await,
        world.engine.get(&actor, &foreign).await,
    );
    assert_eq!(
        guess, real,
        "somebody else's id is answered like one that does not exist"
    );
    assert_eq!(
        code(world.engine.delete(&actor, &foreign).await),
        "not_found"
    );
    assert_eq!(
        code(world.engine.disconnect(&actor, &foreign).await),
        "not_found"
    );
}

#[tokio::test]
async fn an_app_that_is_down_keeps_the_sign_in_and_tries_again() {
    let world = world().await;
    let session = world.manage().await;
    world.vendor.fault(keyport_sandbox::Fault::status(
        keyport_sandbox::Target::Api,
        1,
        503,
    ));
    let flow = world.by_key(&session, KEY).await;
    assert_eq!(flow.status, FlowStatus::Testing);
    assert_eq!(flow.error.unwrap().code, "provider_down");
    world.pass(20);
    assert_eq!(world.engine.sweep().await.unwrap().retried, 1);
    assert_eq!(
        world.engine.flow(&session, &flow.id).await.unwrap().status,
        FlowStatus::Connected
    );
}

#[tokio::test]
async fn an_app_that_stays_down_is_given_up() {
    let world = world().await;
    let session = world.manage().await;
    world.vendor.fault(keyport_sandbox::Fault::status(
        keyport_sandbox::Target::Api,
        50,
        503,
    ));
    let flow = world.by_key(&session, KEY).await;
    world.pass(601);
    world.engine.sweep().await.unwrap();
    assert_eq!(
        world.engine.flow(&session, &flow.id).await.unwrap().status,
        FlowStatus::Failed
    );
    assert_eq!(world.count().await, 0);
}

#[tokio::test]
async fn a_platform_key_is_what_it_was_made_for_until_it_is_revoked() {
    let world = world().await;
    let made = world
        .engine
        .create_key(&crate::Actor::Host, "ci", &[KeyScope::Manage])
        .await
        .unwrap();
    let key = world
        .engine
        .authenticate(&made.secret)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(key.scopes, [KeyScope::Manage]);
    let actor = Actor::Platform(key);
    assert_eq!(
        code(
            world
                .engine
                .create_session(&actor, new_session("u1", SessionKind::Manage))
                .await
        ),
        "missing_scope"
    );
    for wrong in [
        "",
        "kp_",
        "kp_x.y",
        &made.secret[..made.secret.len() - 1],
        &format!("{}x", made.secret),
    ] {
        assert_eq!(
            world.engine.authenticate(wrong).await.unwrap(),
            None,
            "{wrong}"
        );
    }
    assert_eq!(
        world
            .engine
            .list_keys(&crate::Actor::Host)
            .await
            .unwrap()
            .len(),
        1
    );
    world
        .engine
        .revoke_key(&crate::Actor::Host, &made.key.id)
        .await
        .unwrap();
    assert_eq!(world.engine.authenticate(&made.secret).await.unwrap(), None);
}
