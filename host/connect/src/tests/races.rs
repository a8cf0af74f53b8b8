//! Races: many callers, several hosts, slow and broken providers, people who change their minds in between.

use std::time::Duration;

use keyport_sandbox::{Fault, Target};
use keyport_vault::{PostgresOptions, PostgresStore, SledStore};

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
async fn a_thousand_callers_make_one_token_request(stores: [Arc<dyn Store>; 2]) {
    let world = world_on(stores, Options::default(), Duration::from_secs(3600)).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_on_two_hosts_at_the_moment_of_expiry_make_one_token_request() {
    let store: Arc<dyn Store> = Arc::new(RestlessStore::default());
    a_thousand_callers_make_one_token_request([store.clone(), store]).await;
}

/// One process may have the embedded store; two engines in it share nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_of_two_engines_on_one_embedded_store_make_one_token_request() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SledStore::open(folder.path()).unwrap());
    a_thousand_callers_make_one_token_request([store.clone(), store]).await;
}

/// Each engine with connections to the database of its own, as two hosts have them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_of_two_engines_on_one_postgresql_make_one_token_request() {
    let Some(server) = keyport_tests::postgres::Cluster::shared() else {
        return;
    };
    let database = server.database();
    let open = || async {
        let options = PostgresOptions::parse(&database.url).unwrap();
        let store: Arc<dyn Store> = Arc::new(PostgresStore::open(options).await.unwrap());
        store
    };
    a_thousand_callers_make_one_token_request([open().await, open().await]).await;
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
        token_request: Duration::from_secs(2),
        ..Options::default()
    };
    for fault in [
        Fault {
            hang_ms: 5000,
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
        hang_ms: 200,
        after: false,
        ..Fault::status(Target::Token, 20, 500)
    });
    world.pass(3601);
    let answers =
        futures_util::future::join_all(ids.iter().map(|id| use_it(&world.engine, id))).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    let stats = world.vendor.stats();
    assert!(
        stats.most_token_requests <= 8,
        "{} at once",
        stats.most_token_requests
    );
    assert_eq!(stats.refreshes, 20);
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

/// A30: whatever the answer says about its end, and wherever this host's clock stands, a token endpoint is asked at most once
/// in half a minute for one connection, and the connection works all the while.
#[tokio::test]
async fn a_life_of_zero_or_a_clock_that_is_five_minutes_off_makes_no_loop_of_refreshes() {
    use super::provider::{Stand, json};
    const AUTH: &str = "
    authorize_url: https://as.keyport.test/authorize
    token_url: https://as.keyport.test/token
    response: { expiry: { at: $.ends, unit: seconds } }
    refresh: { rotates: always }
    revoke: { none: It ends by itself. }
";
    for off in [-300, 0, 300] {
        let stand = Stand::new(AUTH).await;
        let mut number = 0;
        stand.script(move |seen| {
            (seen.line() == "POST as/token").then(|| {
                number += 1;
                json(serde_json::json!({
                    "access_token": format!("access-{number}"), "refresh_token": format!("refresh-{number}"),
                    "token_type": "Bearer",
                    // As the provider's clock has it: a token that is over at once.
                    "ends": NOW + off,
                }))
            })
        });
        let id = stand.connected(&[]).await;
        let asked = || {
            stand
                .seen()
                .iter()
                .filter(|seen| seen.path == "/token")
                .count()
        };
        let before = asked();
        // Two minutes of a call each second.
        for _ in 0..120 {
            assert_eq!(stand.used(&id).await, 200, "off by {off}");
            stand.pass(1);
        }
        let asked = asked() - before;
        assert!(
            asked <= 5,
            "off by {off}: {asked} token requests in two minutes"
        );
        assert_eq!(stand.state(&id).await.0, ConnectionState::Connected);
    }
}
