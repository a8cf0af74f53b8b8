//! Rename, test, pause, resume, disconnect, reactivate, update, import, delete.

use keyport_sandbox::{CredentialKind, Fault, Target};

use super::*;

#[tokio::test]
async fn a_title_is_changed_only_on_the_version_that_was_seen() {
    let world = world().await;
    let id = world.key_connection().await;
    let etag = world.connection(&id).await.etag;
    let renamed = world
        .engine
        .rename(&world.host, &id, "  Work  ", Some(&etag))
        .await
        .unwrap();
    assert_eq!(renamed.title, "Work");
    assert_eq!(
        code(
            world
                .engine
                .rename(&world.host, &id, "Other", Some(&etag))
                .await
        ),
        "stale"
    );
    assert_eq!(
        code(world.engine.rename(&world.host, &id, " ", None).await),
        "invalid_input"
    );
    assert_eq!(world.connection(&id).await.title, "Work");
}

#[tokio::test]
async fn a_test_shows_its_steps() {
    let world = world().await;
    let id = world.oauth_connection().await;
    let report = world.engine.test(&world.host, &id).await.unwrap();
    let steps: Vec<(&str, bool)> = report
        .steps
        .iter()
        .map(|step| (step.step.as_str(), step.ok))
        .collect();
    assert_eq!(
        steps,
        [
            ("fields", true),
            ("token", true),
            ("request", true),
            ("account", true)
        ]
    );
    assert!(report.ok && report.account.unwrap().id == "u_ada");
}

#[tokio::test]
async fn a_key_that_was_taken_away_needs_the_person_and_new_details_mend_it() {
    let world = world().await;
    let id = world.key_connection().await;
    world
        .vendor
        .set_credential("u_ada", CredentialKind::ApiKey, true)
        .unwrap();
    assert!(!world.engine.test(&world.host, &id).await.unwrap().ok);
    assert_eq!(
        world.connection(&id).await.state,
        ConnectionState::NeedsReconnect
    );
    let details = |key: &str| IndexMap::from([("api_key".to_owned(), key.to_owned())]);
    let refused = world
        .engine
        .update_details(&world.host, &id, details("still-wrong-key"))
        .await
        .unwrap();
    assert!(!refused.ok);
    assert_eq!(
        world.connection(&id).await.state,
        ConnectionState::NeedsReconnect
    );
    let key = world.vendor.demo_credentials()[0].api_key.clone().unwrap();
    let report = world
        .engine
        .update_details(&world.host, &id, details(&key))
        .await
        .unwrap();
    assert!(report.ok, "{:?}", report.error);
    assert_eq!(
        world.connection(&id).await.state,
        ConnectionState::Connected
    );
}

#[tokio::test]
async fn details_of_another_account_do_not_replace_the_old_ones() {
    let world = world().await;
    let id = world.key_connection().await;
    let details = IndexMap::from([("api_key".to_owned(), GRACES_KEY.to_owned())]);
    let report = world
        .engine
        .update_details(&world.host, &id, details)
        .await
        .unwrap();
    assert_eq!(report.error.unwrap().code, "wrong_account");
    assert!(
        world.engine.test(&world.host, &id).await.unwrap().ok,
        "the old key is still there"
    );
    assert_eq!(world.connection(&id).await.account.unwrap().id, "u_ada");
}

#[tokio::test]
async fn a_stored_key_is_not_sent_to_an_address_that_was_just_changed() {
    let world = world().await;
    let session = world.manage().await;
    let mut form = key_form("");
    form.app = "selfhosted".into();
    form.method = "token".into();
    form.fields = IndexMap::from([
        (
            "origin".to_owned(),
            "https://vendor.keyport.test".to_owned(),
        ),
        ("token".to_owned(), "ada-personal-token-1".to_owned()),
    ]);
    let id = world
        .engine
        .connect_with_form(&session, form)
        .await
        .unwrap()
        .connection_id
        .unwrap();
    let moved = IndexMap::from([("origin".to_owned(), "https://evil.example".to_owned())]);
    let error = world
        .engine
        .update_details(&Actor::Session(session), &id, moved)
        .await
        .unwrap_err();
    assert_eq!(
        error.field(),
        Some("token"),
        "the token must be entered again"
    );
}

#[tokio::test]
async fn pausing_keeps_the_sign_in_and_resuming_tests_it() {
    let world = world().await;
    let id = world.key_connection().await;
    assert!(!world.engine.pause(&world.host, &id).await.unwrap().enabled);
    assert_eq!(
        code(
            world
                .engine
                .run_action(&world.host, &id, "list_notes", &serde_json::json!({}))
                .await
        ),
        "paused"
    );
    let before = world.vendor.stats().api_requests;
    let report = world.engine.resume(&world.host, &id).await.unwrap();
    assert!(report.ok && report.connection.enabled);
    assert_eq!(world.vendor.stats().api_requests, before + 1);
}

#[tokio::test]
async fn disconnecting_ends_the_grant_destroys_the_secret_and_keeps_the_row() {
    let world = world().await;
    let id = world.oauth_connection().await;
    let done = world.engine.disconnect(&world.host, &id).await.unwrap();
    assert_eq!(
        (done.revoked, done.connection.state),
        (Revoked::Yes, ConnectionState::Disconnected)
    );
    assert_eq!(world.vendor.stats().grants, 0);
    assert_eq!(done.connection.account.unwrap().id, "u_ada");
    let head = world
        .vault
        .find(keyport_vault::Kind::new("connection"), &id)
        .await
        .unwrap()
        .unwrap();
    assert!(!world.vault.head(&head).await.unwrap().unwrap().has_secret);
    assert_eq!(
        code(world.engine.test(&world.host, &id).await),
        "disconnected"
    );
}

#[tokio::test]
async fn an_app_that_does_not_confirm_a_sign_out_is_told_and_the_secret_destroyed_all_the_same() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.vendor.fault(Fault::status(Target::Revoke, 2, 503));
    let done = world.engine.disconnect(&world.host, &id).await.unwrap();
    assert_eq!(
        (done.revoked, done.connection.state),
        (Revoked::No, ConnectionState::Disconnected)
    );
}

/// R40: what the app asks for is done, in the order that ends the grant.
#[tokio::test]
async fn a_sign_out_that_the_app_asks_to_repeat_is_repeated_once() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.vendor.fault(Fault {
        retry_after: Some(0),
        ..Fault::status(Target::Revoke, 1, 503)
    });
    let done = world.engine.disconnect(&world.host, &id).await.unwrap();
    assert_eq!(done.revoked, Revoked::Yes);
    assert_eq!(world.vendor.stats().grants, 0);
    assert_eq!(
        world.vendor.stats().revoke_requests,
        3,
        "the refresh token twice, then the access token"
    );
}

#[tokio::test]
async fn reactivating_signs_in_under_the_same_id() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world
        .engine
        .rename(&world.host, &id, "Mine", None)
        .await
        .unwrap();
    world.engine.disconnect(&world.host, &id).await.unwrap();
    let session = world.manage().await;
    let flow = world
        .by_oauth(
            &session,
            OauthStart {
                connection_id: Some(id.clone()),
                ..oauth_start()
            },
        )
        .await;
    assert_eq!(
        (flow.status, flow.connection_id.as_deref()),
        (FlowStatus::Connected, Some(id.as_str()))
    );
    let connection = world.connection(&id).await;
    assert_eq!(
        (connection.state, connection.title.as_str()),
        (ConnectionState::Connected, "Mine")
    );
    assert_eq!(world.count().await, 1);
    assert!(world.engine.test(&world.host, &id).await.unwrap().ok);
}

#[tokio::test]
async fn signing_in_again_as_somebody_else_changes_nothing() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.vendor.auto_consent(Some("u_grace")).unwrap();
    let session = world.manage().await;
    let flow = world
        .by_oauth(
            &session,
            OauthStart {
                connection_id: Some(id.clone()),
                ..oauth_start()
            },
        )
        .await;
    assert_eq!(
        (flow.status, flow.error.unwrap().code.as_str()),
        (FlowStatus::Failed, "wrong_account")
    );
    assert_eq!(
        world.vendor.stats().grants,
        1,
        "the other one's fresh grant was ended"
    );
    assert!(
        world.engine.test(&world.host, &id).await.unwrap().ok,
        "the old one still works"
    );
    assert_eq!(world.count().await, 1);
}

#[tokio::test]
async fn a_connection_fails_only_after_three_failures_over_two_minutes_and_one_success_ends_it() {
    let world = world().await;
    let id = world.key_connection().await;
    world.vendor.fault(Fault::status(Target::Api, 4, 503));
    for (wait, state) in [
        (0, ConnectionState::Connected),
        (10, ConnectionState::Connected),
        (10, ConnectionState::Connected),
        (100, ConnectionState::Failing),
    ] {
        world.pass(wait);
        assert!(!world.engine.test(&world.host, &id).await.unwrap().ok);
        assert_eq!(world.connection(&id).await.state, state);
    }
    assert!(world.engine.test(&world.host, &id).await.unwrap().ok);
    assert_eq!(
        world.connection(&id).await.state,
        ConnectionState::Connected
    );
}

#[tokio::test]
async fn deleting_signs_out_and_removes_the_row() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.engine.delete(&world.host, &id).await.unwrap();
    assert_eq!((world.count().await, world.vendor.stats().grants), (0, 0));
    assert_eq!(code(world.engine.get(&world.host, &id).await), "not_found");
}

#[tokio::test]
async fn imported_credentials_are_tested_before_they_count() {
    let world = world().await;
    let import = |key: &str| NewImport {
        owner: "u1".into(),
        app: "sandbox".into(),
        method: "api_key".into(),
        config: None,
        title: Some("Moved in".into()),
        fields: IndexMap::from([("api_key".to_owned(), key.to_owned())]),
        token: None,
    };
    let made = world.engine.import(&world.host, import(KEY)).await.unwrap();
    assert_eq!(
        (made.state, made.imported, made.title.as_str()),
        (ConnectionState::Connected, true, "Moved in")
    );
    assert_eq!(
        code(world.engine.import(&world.host, import("wrong-key")).await),
        "needs_reconnect"
    );
    assert_eq!(world.count().await, 1);
}

#[tokio::test]
async fn an_imported_grant_that_does_not_pass_is_not_revoked() {
    let world = world().await;
    let id = world.oauth_connection().await;
    let stored: record::Stored<record::Connection> = world.engine.load(&id).await.unwrap();
    let token = stored.sealed.unwrap().token.unwrap();
    let import = NewImport {
        owner: "u1".into(),
        app: "sandbox".into(),
        method: "oauth".into(),
        config: None,
        title: None,
        fields: IndexMap::new(),
        token: Some(ImportToken {
            access_token: token.access.expose().to_owned(),
            refresh_token: None,
            token_secret: None,
            expires_at: Some("2030-01-01T00:00:00Z".into()),
            scopes: vec![],
            capture: IndexMap::new(),
        }),
    };
    world.vendor.fault(Fault::status(Target::Api, 1, 403));
    assert_eq!(
        code(world.engine.import(&world.host, import).await),
        "missing_scope"
    );
    assert_eq!((world.count().await, world.vendor.stats().grants), (1, 1));
}

/// R60: of an answer of the app only what the manifest declares goes on.
#[tokio::test]
async fn a_test_answers_with_what_the_manifest_declares_and_nothing_else() {
    let world = world().await;
    let id = world.key_connection().await;
    let report = world.engine.test(&world.host, &id).await.unwrap();
    let said = serde_json::to_string(&report).unwrap();
    assert!(said.contains("u_ada"));
    // The vendor's answer has an e-mail address, which the manifest keeps and no report shows.
    assert!(!said.contains('@'), "{said}");
    assert!(!said.contains(KEY));
}
