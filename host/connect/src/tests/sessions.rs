//! Sessions and the hand-over to the platform's backend.

use super::*;

#[tokio::test]
async fn a_link_opens_once_and_within_a_minute() {
    let world = world().await;
    let created = world
        .engine
        .create_session(&world.host, new_session("u1", SessionKind::Manage))
        .await
        .unwrap();
    let token = token_of(&created.url).to_owned();
    assert!(created.url.starts_with("http://localhost:4700/open#ses_"));
    let (view, cookie) = world.engine.open_session(&token).await.unwrap();
    assert_eq!(
        (view.status.as_str(), view.owner.as_str()),
        ("opened", "u1")
    );
    assert_eq!(
        code(world.engine.open_session(&token).await),
        "link_invalid"
    );
    assert_eq!(
        code(world.engine.session_by_cookie(cookie.expose()).await),
        "ok"
    );
    // The link's token is not the cookie, and a cookie of another session's id is nobody's.
    assert_eq!(
        code(world.engine.session_by_cookie(&token).await),
        "session_over"
    );

    let late = world
        .engine
        .create_session(&world.host, new_session("u1", SessionKind::Manage))
        .await
        .unwrap();
    world.pass(60);
    assert_eq!(
        code(world.engine.open_session(token_of(&late.url)).await),
        "link_invalid"
    );
}

#[tokio::test]
async fn of_twenty_browsers_that_open_one_link_one_gets_in() {
    let world = world().await;
    let created = world
        .engine
        .create_session(&world.host, new_session("u1", SessionKind::Manage))
        .await
        .unwrap();
    let tries = (0..20).map(|_| world.engine.open_session(token_of(&created.url)));
    let opened = futures_util::future::join_all(tries).await;
    assert_eq!(opened.iter().filter(|result| result.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_at_its_end() {
    let world = world().await;
    let created = world
        .engine
        .create_session(&world.host, new_session("u1", SessionKind::Manage))
        .await
        .unwrap();
    let (_, cookie) = world
        .engine
        .open_session(token_of(&created.url))
        .await
        .unwrap();
    for _ in 0..19 {
        world.pass(25 * 60);
        assert_eq!(
            code(world.engine.session_by_cookie(cookie.expose()).await),
            "ok"
        );
    }
    world.pass(10 * 60);
    assert_eq!(
        code(world.engine.session_by_cookie(cookie.expose()).await),
        "session_over",
        "eight hours"
    );

    let created = world
        .engine
        .create_session(&world.host, new_session("u1", SessionKind::Manage))
        .await
        .unwrap();
    let (_, cookie) = world
        .engine
        .open_session(token_of(&created.url))
        .await
        .unwrap();
    world.pass(30 * 60);
    assert_eq!(
        code(world.engine.session_by_cookie(cookie.expose()).await),
        "session_over",
        "idle"
    );
}

#[tokio::test]
async fn a_connect_session_ends_pending_until_the_platforms_backend_takes_it_over() {
    let world = world().await;
    let session = world.session("u1", SessionKind::Connect).await;
    let flow = world.by_key(&session, KEY).await;
    assert_eq!(flow.status, FlowStatus::AwaitingCompletion);
    let id = flow.connection_id.clone().unwrap();
    let completion = flow.completion.unwrap();
    assert_eq!(completion.target_origins, ["http://127.0.0.1:4701"]);
    let back = completion.return_url.as_deref().unwrap();
    assert!(
        back.starts_with("http://127.0.0.1:4701/back?x=1&session=ses_"),
        "{back}"
    );
    assert_eq!(world.connection(&id).await.state, ConnectionState::Pending);
    assert_eq!(
        code(
            world
                .engine
                .run_action(&world.host, &id, "list_notes", &serde_json::json!({}))
                .await
        ),
        "pending"
    );

    let complete = |code: &str, owner: &str| CompleteSession {
        code: code.into(),
        owner: owner.into(),
    };
    assert_eq!(
        code(
            world
                .engine
                .complete_session(&world.host, &session.id, complete("guess", "u1"))
                .await
        ),
        "completion_invalid"
    );
    let done = world
        .engine
        .complete_session(&world.host, &session.id, complete(&completion.code, "u1"))
        .await
        .unwrap();
    assert_eq!(
        (done.connection.id.as_str(), done.connection.state),
        (id.as_str(), ConnectionState::Connected)
    );
    assert_eq!(
        world.engine.flow(&session, &flow.id).await.unwrap().status,
        FlowStatus::Connected
    );
    let again = world
        .engine
        .complete_session(&world.host, &session.id, complete(&completion.code, "u1"))
        .await;
    assert_eq!(code(again), "completion_invalid", "a code works once");
}

#[tokio::test]
async fn an_account_that_was_connected_for_somebody_else_is_let_go_and_its_grant_ended() {
    let world = world().await;
    world.configured().await;
    let session = world.session("attacker", SessionKind::Connect).await;
    let flow = world.by_oauth(&session, oauth_start()).await;
    assert_eq!(flow.status, FlowStatus::AwaitingCompletion);
    assert_eq!(world.vendor.stats().grants, 1);
    let complete = CompleteSession {
        code: flow.completion.unwrap().code,
        owner: "victim".into(),
    };
    assert_eq!(
        code(
            world
                .engine
                .complete_session(&world.host, &session.id, complete)
                .await
        ),
        "wrong_owner"
    );
    assert_eq!((world.count().await, world.vendor.stats().grants), (0, 0));
}

#[tokio::test]
async fn a_connection_that_nobody_takes_over_in_two_minutes_is_let_go_and_its_grant_ended() {
    let world = world().await;
    world.configured().await;
    let session = world.session("u1", SessionKind::Connect).await;
    let flow = world.by_oauth(&session, oauth_start()).await;
    let code_given = flow.completion.unwrap().code;
    world.pass(119);
    assert_eq!(world.engine.sweep().await.unwrap().abandoned, 0);
    world.pass(1);
    assert!(
        world
            .engine
            .flow(&session, &flow.id)
            .await
            .unwrap()
            .completion
            .is_none()
    );
    assert_eq!(world.engine.sweep().await.unwrap().abandoned, 1);
    assert_eq!((world.count().await, world.vendor.stats().grants), (0, 0));
    let late = CompleteSession {
        code: code_given,
        owner: "u1".into(),
    };
    assert_eq!(
        code(
            world
                .engine
                .complete_session(&world.host, &session.id, late)
                .await
        ),
        "completion_invalid"
    );
}

#[tokio::test]
async fn an_existing_account_can_be_picked_and_is_never_let_go_for_it() {
    let world = world().await;
    let id = world.key_connection().await;
    let session = world.session("u1", SessionKind::Connect).await;
    let stranger = world.session("u2", SessionKind::Connect).await;
    assert_eq!(code(world.engine.pick(&stranger, &id).await), "not_found");
    let picked = world.engine.pick(&session, &id).await.unwrap();
    let complete = CompleteSession {
        code: picked.code,
        owner: "u1".into(),
    };
    let done = world
        .engine
        .complete_session(&world.host, &session.id, complete)
        .await
        .unwrap();
    assert_eq!(done.connection.id, id);

    let other = world.session("u1", SessionKind::Connect).await;
    let picked = world.engine.pick(&other, &id).await.unwrap();
    let complete = CompleteSession {
        code: picked.code,
        owner: "u9".into(),
    };
    assert_eq!(
        code(
            world
                .engine
                .complete_session(&world.host, &other.id, complete)
                .await
        ),
        "wrong_owner"
    );
    assert_eq!(
        world.connection(&id).await.state,
        ConnectionState::Connected
    );
}

#[tokio::test]
async fn only_registered_addresses_are_taken_and_only_known_apps() {
    let world = world().await;
    let with = |change: fn(&mut NewSession)| {
        let mut new = new_session("u1", SessionKind::Connect);
        change(&mut new);
        world.engine.create_session(&world.host, new)
    };
    assert_eq!(
        code(with(|new| new.return_url = Some("//evil.example".into())).await),
        "invalid_input"
    );
    assert_eq!(
        code(with(|new| new.origins = vec!["https://*.example.com".into()]).await),
        "invalid_input"
    );
    assert_eq!(
        code(with(|new| new.owner = "@keyport".into()).await),
        "invalid_input"
    );
    assert_eq!(
        code(with(|new| new.apps = Some(vec!["nope".into()])).await),
        "not_found"
    );
    let limited = with(|new| new.apps = Some(vec!["selfhosted".into()]))
        .await
        .unwrap();
    let (_, cookie) = world
        .engine
        .open_session(token_of(&limited.url))
        .await
        .unwrap();
    let session = world
        .engine
        .session_by_cookie(cookie.expose())
        .await
        .unwrap();
    assert_eq!(
        code(
            world
                .engine
                .connect_with_form(&session, key_form(KEY))
                .await
        ),
        "app_not_in_session"
    );
}
