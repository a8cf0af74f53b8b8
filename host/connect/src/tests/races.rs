//! Races: many callers, several hosts, slow and broken providers, people who change their minds in between.

use std::time::Duration;

use keyport_sandbox::{Fault, Target};

use super::*;

async fn use_it(engine: &Engine, id: &str) -> u16 {
    let request = http::Request::get("/me")
        .body(keyport_egress::Body::empty())
        .unwrap();
    match engine.proxy(&Actor::Host, id, request).await {
        Ok(response) => response.status().as_u16(),
        Err(error) => error.status(),
    }
}

/// A27, R-store 35: a second use of a rotated token would end the grant at the vendor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_on_two_hosts_at_the_moment_of_expiry_make_one_token_request() {
    let world = world().await;
    let id = world.oauth_connection().await;
    let other = world.second_engine().await;
    world.pass(3601);
    let before = world.vendor.stats().token_requests;
    let callers: Vec<_> = (0..1000)
        .map(|n| {
            let engine = if n % 2 == 0 {
                world.engine.clone()
            } else {
                other.clone()
            };
            let id = id.clone();
            tokio::spawn(async move { use_it(&engine, &id).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 200);
    }
    assert_eq!(world.vendor.stats().token_requests, before + 1);
    assert_eq!(world.vendor.stats().grants, 1);
}

/// A28: the second host's wait is longer than the provider takes.
#[tokio::test]
async fn a_slow_token_endpoint_is_waited_for_and_not_asked_twice() {
    let world = world().await;
    let id = world.oauth_connection().await;
    let other = world.second_engine().await;
    world.vendor.fault(Fault {
        status: None,
        hang_ms: 700,
        after: true,
        ..Fault::status(Target::Token, 1, 500)
    });
    world.pass(3601);
    let before = world.vendor.stats().token_requests;
    let (a, b) = tokio::join!(use_it(&world.engine, &id), use_it(&other, &id));
    assert_eq!((a, b), (200, 200));
    assert_eq!(world.vendor.stats().token_requests, before + 1);
}

/// A28, A29: what is wrong with a provider changes no healthy state.
#[tokio::test]
async fn a_provider_that_hangs_or_fails_changes_no_healthy_state() {
    let options = Options {
        token_request: Duration::from_millis(150),
        ..Options::default()
    };
    for fault in [
        Fault {
            hang_ms: 400,
            status: None,
            ..Fault::status(Target::Token, 1, 500)
        },
        Fault::status(Target::Token, 1, 500),
        Fault::status(Target::Token, 1, 429),
        Fault::status(Target::Token, 1, 302),
    ] {
        let world = world_with(options.clone()).await;
        let id = world.oauth_connection().await;
        world.vendor.fault(fault);
        world.pass(3590);
        assert_eq!(
            use_it(&world.engine, &id).await,
            200,
            "the old token lives and is used"
        );
        assert_eq!(
            world.connection(&id).await.state,
            ConnectionState::Connected
        );
        world.pass(31);
        assert_eq!(use_it(&world.engine, &id).await, 200);
        assert_eq!(world.vendor.stats().grants, 1);
    }
}

/// A29: many tokens of one app end together.
#[tokio::test]
async fn a_storm_of_renewals_reaches_the_provider_a_few_at_a_time() {
    let world = world().await;
    world.configured().await;
    let session = world.manage().await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        let flow = world.by_oauth(&session, oauth_start()).await;
        ids.push(flow.connection_id.unwrap());
    }
    // Answers take a while, so that those that are sent at once are there at once.
    world.vendor.fault(Fault {
        status: None,
        hang_ms: 60,
        after: false,
        ..Fault::status(Target::Token, 20, 500)
    });
    world.pass(3601);
    let begun = std::time::Instant::now();
    let answers =
        futures_util::future::join_all(ids.iter().map(|id| use_it(&world.engine, id))).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert!(
        begun.elapsed() >= Duration::from_millis(180),
        "20 requests, 8 at a time, 60 ms each, take three rounds"
    );
}

/// A42: whoever cancels while the code is redeemed keeps nothing, here or at the app.
#[tokio::test]
async fn a_sign_in_that_is_cancelled_during_the_exchange_is_revoked_and_not_kept() {
    let world = world().await;
    let config = world.configured().await;
    let session = world.manage().await;
    let flow = world.start(&session).await.flow;
    let go = world.engine.go(&session, &flow.id).await.unwrap();
    let params = world.authorize(&go).await;
    world.vendor.fault(Fault {
        status: None,
        hang_ms: 300,
        after: true,
        ..Fault::status(Target::Token, 1, 500)
    });
    let browser = jar(&go);
    let callback = world.engine.callback(&config.id, params, &browser);
    let cancel = async {
        loop {
            let view = world.engine.flow(&session, &flow.id).await.unwrap();
            if view.status == FlowStatus::Exchanging {
                break;
            }
            tokio::task::yield_now().await;
        }
        world.engine.cancel_flow(&session, &flow.id).await.unwrap()
    };
    let (_, cancelled) = tokio::join!(callback, cancel);
    assert_eq!(cancelled.status, FlowStatus::Cancelled);
    assert_eq!((world.count().await, world.vendor.stats().grants), (0, 0));
    assert_eq!(
        world.engine.flow(&session, &flow.id).await.unwrap().status,
        FlowStatus::Cancelled
    );
}

/// A42: so is one whose session was closed meanwhile.
#[tokio::test]
async fn a_sign_in_whose_session_is_closed_during_the_exchange_is_let_go() {
    let world = world().await;
    let config = world.configured().await;
    let session = world.session("u1", SessionKind::Connect).await;
    let flow = world.start(&session).await.flow;
    let go = world.engine.go(&session, &flow.id).await.unwrap();
    let params = world.authorize(&go).await;
    world
        .engine
        .close_session(&Actor::Session(session.clone()), &session.id)
        .await
        .unwrap();
    world.engine.callback(&config.id, params, &jar(&go)).await;
    assert_eq!((world.count().await, world.vendor.stats().grants), (0, 0));
}

/// A sign-out and a renewal at once: nothing of the grant is left, whoever came first.
#[tokio::test]
async fn a_sign_out_during_a_renewal_leaves_no_grant_behind() {
    let world = world().await;
    let id = world.oauth_connection().await;
    let other = world.second_engine().await;
    world.vendor.fault(Fault {
        status: None,
        hang_ms: 300,
        after: true,
        ..Fault::status(Target::Token, 1, 500)
    });
    world.pass(3601);
    let before = world.vendor.stats().token_requests;
    let sign_out = async {
        while world.vendor.stats().token_requests == before {
            tokio::task::yield_now().await;
        }
        // The other host does not share the renewal's turn.
        other.disconnect(&Actor::Host, &id).await.unwrap()
    };
    let (_, done) = tokio::join!(use_it(&world.engine, &id), sign_out);
    assert_eq!(done.connection.state, ConnectionState::Disconnected);
    assert_eq!(
        world.connection(&id).await.state,
        ConnectionState::Disconnected
    );
    assert_eq!(world.vendor.stats().grants, 0);
}
