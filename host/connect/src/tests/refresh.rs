//! Refresh: one at a time, durable, and told apart.

use keyport_sandbox::{Fault, Target};
use keyport_vault::Expect;

use super::*;
use crate::record::{Connection, RefreshIntent, Seal, Stored};

async fn echo(world: &World, id: &str) -> u16 {
    let request = http::Request::get("/me")
        .body(keyport_egress::Body::empty())
        .unwrap();
    match world.engine.proxy(&world.host, id, request).await {
        Ok(response) => response.status().as_u16(),
        Err(error) => error.status(),
    }
}

#[tokio::test]
async fn fifty_callers_at_expiry_make_one_refresh() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.pass(3590);
    let answers = futures_util::future::join_all((0..50).map(|_| echo(&world, &id))).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(world.vendor.stats().refreshes, 1);
    assert_eq!(
        world.vendor.stats().grants,
        1,
        "a second use would have ended the grant"
    );
}

#[tokio::test]
async fn a_token_that_lives_shorter_than_the_usual_lead_is_not_renewed_at_each_use() {
    let world = world_where(Options::default(), std::time::Duration::from_secs(40)).await;
    let id = world.oauth_connection().await;
    for (pass, refreshes) in [(0, 0), (29, 0), (2, 1), (0, 1), (29, 1), (2, 2)] {
        world.pass(pass);
        assert_eq!(echo(&world, &id).await, 200);
        assert_eq!(world.vendor.stats().refreshes, refreshes);
    }
}

#[tokio::test]
async fn a_refused_access_token_is_renewed_once_and_the_request_sent_again() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.vendor.expire_access_tokens();
    assert_eq!(echo(&world, &id).await, 200);
    assert_eq!(world.vendor.stats().refreshes, 1);
    assert_eq!(
        world.connection(&id).await.state,
        ConnectionState::Connected
    );
}

#[tokio::test]
async fn a_revoked_grant_needs_the_person() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.vendor.revoke_grants(None).unwrap();
    world.pass(3601);
    let report = world.engine.test(&world.host, &id).await.unwrap();
    assert!(!report.ok);
    let connection = world.connection(&id).await;
    assert_eq!(
        (connection.state, connection.reason.unwrap().code.as_str()),
        (ConnectionState::NeedsReconnect, "revoked")
    );
    assert_eq!(
        code(
            world
                .engine
                .run_action(&world.host, &id, "list_notes", &serde_json::json!({}))
                .await
        ),
        "needs_reconnect"
    );
}

#[tokio::test]
async fn a_token_endpoint_that_is_down_does_not_end_a_grant() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.vendor.fault(Fault::status(Target::Token, 1, 503));
    world.pass(3590);
    assert_eq!(
        echo(&world, &id).await,
        200,
        "the old token lives and is used"
    );
    assert_eq!(
        world.connection(&id).await.state,
        ConnectionState::Connected
    );
    let before = world.vendor.stats().token_requests;
    echo(&world, &id).await;
    assert_eq!(
        world.vendor.stats().token_requests,
        before,
        "it is left alone for a while"
    );
    world.pass(40);
    assert_eq!(echo(&world, &id).await, 200);
    assert_eq!(world.vendor.stats().refreshes, 1);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_told_from_a_revoked_grant() {
    let world = world().await;
    let id = world.oauth_connection().await;
    // The vendor rotates, and its answer never arrives.
    world.vendor.fault(Fault {
        after: true,
        ..Fault::status(Target::Token, 1, 502)
    });
    world.pass(3601);
    assert_ne!(echo(&world, &id).await, 200);
    assert_ne!(
        world.connection(&id).await.state,
        ConnectionState::NeedsReconnect,
        "nobody has refused anything yet"
    );
    world.pass(31);
    assert_ne!(echo(&world, &id).await, 200);
    let connection = world.connection(&id).await;
    assert_eq!(connection.state, ConnectionState::NeedsReconnect);
    assert_eq!(connection.reason.unwrap().code, "refresh_interrupted");
}

#[tokio::test]
async fn after_a_crash_in_a_refresh_the_old_token_is_tried_once_and_may_still_work() {
    let world = world().await;
    let id = world.oauth_connection().await;
    let stored: Stored<Connection> = world.engine.load(&id).await.unwrap();
    let mut clear = stored.clear.clone();
    clear.refresh = Some(RefreshIntent {
        at: 0,
        generation: 1,
        interrupted: false,
    });
    let write =
        record::put::<Connection>(&stored.id, Expect::At(stored.rev), &clear, Seal::Keep).unwrap();
    world.engine.commit(vec![write]).await.unwrap();
    world.pass(3601);
    assert_eq!(echo(&world, &id).await, 200);
    assert_eq!(world.vendor.stats().refreshes, 1);
}

#[tokio::test]
async fn the_intent_is_durable_before_the_request_and_gone_after_the_answer() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.vendor.fault(Fault {
        hang_ms: 300,
        status: None,
        ..Fault::status(Target::Token, 1, 200)
    });
    world.pass(3601);
    let engine = world.engine.clone();
    let (watched, used) = (id.clone(), id.clone());
    let watcher = async {
        for _ in 0..1000 {
            let stored: Stored<Connection> = engine.load(&watched).await.unwrap();
            if stored.clear.refresh.is_some() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        false
    };
    let (seen, status) = tokio::join!(watcher, echo(&world, &used));
    assert!(seen);
    assert_eq!(status, 200);
    let stored: Stored<Connection> = world.engine.load(&id).await.unwrap();
    assert!(stored.clear.refresh.is_none());
    assert_eq!(stored.sealed.unwrap().token.unwrap().generation, 2);
}

/// A28, and what Glewlwyd does: a spent token is answered 400 with nothing in it.
#[tokio::test]
async fn a_spent_token_that_is_answered_with_nothing_is_given_up_at_the_second_try() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.vendor.fault(Fault {
        empty: true,
        ..Fault::status(Target::Token, 2, 400)
    });
    world.pass(3601);
    assert_ne!(echo(&world, &id).await, 200);
    assert_ne!(
        world.connection(&id).await.state,
        ConnectionState::NeedsReconnect
    );
    world.pass(31);
    assert_ne!(echo(&world, &id).await, 200);
    let connection = world.connection(&id).await;
    assert_eq!(connection.state, ConnectionState::NeedsReconnect);
    assert_eq!(connection.reason.unwrap().code, "refresh_interrupted");
    let before = world.vendor.stats().token_requests;
    for _ in 0..5 {
        world.pass(3600);
        echo(&world, &id).await;
        world.engine.sweep().await.unwrap();
    }
    assert_eq!(
        world.vendor.stats().token_requests,
        before,
        "and never asked again"
    );
}
