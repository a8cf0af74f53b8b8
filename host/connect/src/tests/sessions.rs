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

fn sent(minutes: Option<u32>) -> NewSession {
    NewSession {
        apps: Some(vec!["sandbox".into()]),
        purpose: Some("Reports".into()),
        owner_label: Some("Ada of Acme".into()),
        link: Some(SentLink { minutes }),
        ..new_session("u1", SessionKind::Connect)
    }
}

/// S10: a link that is sent lives for an hour, says what it is for, and looking at it does not use it up.
#[tokio::test]
async fn a_link_that_is_sent_says_what_it_is_for_and_opens_once_within_its_hour() {
    let world = world().await;
    let created = world
        .engine
        .create_session(&world.host, sent(None))
        .await
        .unwrap();
    let token = token_of(&created.url).to_owned();
    world.pass(59 * 60);
    for _ in 0..3 {
        let said = world.engine.sent_link(&token).await.unwrap().unwrap();
        assert_eq!(
            (
                said.platform.as_str(),
                said.owner_label.as_str(),
                said.purpose.as_deref()
            ),
            ("127.0.0.1:4701", "Ada of Acme", Some("Reports"))
        );
        assert_eq!(said.apps, ["Sandbox"]);
    }
    let (_, cookie) = world.engine.open_session(&token).await.unwrap();
    assert_eq!(code(world.engine.sent_link(&token).await), "link_invalid");
    assert_eq!(
        code(world.engine.open_session(&token).await),
        "link_invalid"
    );
    // From then on it is a session like any other: its whole time counts from here.
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
        "session_over"
    );

    let late = world
        .engine
        .create_session(&world.host, sent(Some(5)))
        .await
        .unwrap();
    world.pass(5 * 60);
    assert_eq!(
        code(world.engine.sent_link(token_of(&late.url)).await),
        "link_invalid"
    );
    assert_eq!(
        code(world.engine.open_session(token_of(&late.url)).await),
        "link_invalid"
    );
    // Links of the platform's own page open at once.
    let new = new_session("u1", SessionKind::Connect);
    let usual = world.engine.create_session(&world.host, new).await.unwrap();
    assert_eq!(
        world.engine.sent_link(token_of(&usual.url)).await.unwrap(),
        None
    );
}

/// A2, A3: whoever a link reaches could connect their account for somebody else, so it leads back to where the platform sees who
/// they are, opens one account's sign-in alone, and ends within a day.
#[tokio::test]
async fn a_link_cannot_be_sent_that_nobody_checks_the_end_of() {
    let world = world().await;
    let tries = [
        NewSession {
            return_url: None,
            ..sent(None)
        },
        NewSession {
            kind: SessionKind::Manage,
            ..sent(None)
        },
        sent(Some(0)),
        sent(Some(1441)),
    ];
    for new in tries {
        let made = world.engine.create_session(&world.host, new).await;
        assert_eq!(made.err().unwrap().code(), "invalid_input");
    }
    // And what was connected over it is pending until the platform names the owner: somebody else's is let go.
    let created = world
        .engine
        .create_session(&world.host, sent(Some(1440)))
        .await
        .unwrap();
    let opened = world
        .engine
        .open_session(token_of(&created.url))
        .await
        .unwrap();
    let session = world
        .engine
        .session_by_cookie(opened.1.expose())
        .await
        .unwrap();
    let flow = world.by_key(&session, KEY).await;
    assert_eq!(flow.status, FlowStatus::AwaitingCompletion);
    let completion = flow.completion.unwrap();
    assert!(
        completion
            .return_url
            .unwrap()
            .starts_with("http://127.0.0.1:4701/back?x=1&")
    );
    let victim = CompleteSession {
        code: completion.code,
        owner: "victim".into(),
    };
    let done = world
        .engine
        .complete_session(&world.host, &created.id, victim)
        .await;
    assert_eq!(code(done), "wrong_owner");
    assert_eq!(world.count().await, 0);
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
