//! Connections are kept alive by the schedule: tokens renewed ahead, idle grants kept, dead keys found.

use keyport_sandbox::{Fault, Target};

use super::*;
use crate::record::{Connection, Due, Stored};

async fn stored(world: &World, id: &str) -> Stored<Connection> {
    world.engine.load(id).await.unwrap()
}

async fn use_it(world: &World, id: &str) -> u16 {
    let request = http::Request::get("/me")
        .body(keyport_egress::Body::empty())
        .unwrap();
    match world.engine.proxy(&world.host, id, request).await {
        Ok(response) => response.status().as_u16(),
        Err(error) => error.status(),
    }
}

/// Moves the clock to when the connection next has something due.
async fn until_due(world: &World, id: &str) {
    let due = stored(world, id).await.clear.due.unwrap();
    let wait = (due - world.engine.now()).max(0) / 1000 + 1;
    world.pass(u64::try_from(wait).unwrap());
}

#[tokio::test]
async fn a_token_in_use_is_renewed_before_anybody_has_to_wait_for_it() {
    let world = world().await;
    let id = world.oauth_connection().await;
    until_due(&world, &id).await;
    let swept = world.engine.sweep().await.unwrap();
    assert_eq!((swept.renewed, world.vendor.stats().refreshes), (1, 1));
    assert_eq!(world.engine.sweep().await.unwrap().renewed, 0, "once");
    // A use after the old token's end finds the new one.
    let before = world.vendor.stats().token_requests;
    world.pass(300);
    assert_eq!(use_it(&world, &id).await, 200);
    assert_eq!(world.vendor.stats().token_requests, before);
}

#[tokio::test]
async fn an_idle_grant_is_renewed_once_a_day_and_not_each_hour() {
    let options = Options {
        test_every: std::time::Duration::from_secs(400 * 24 * 3600),
        ..Options::default()
    };
    let world = world_with(options).await;
    let id = world.oauth_connection().await;
    // The first day it counts as in use, because it has just been made.
    for _ in 0..(2 * 24) {
        world.pass(3600);
        world.engine.sweep().await.unwrap();
    }
    let busy = world.vendor.stats().refreshes;
    for _ in 0..(7 * 24) {
        world.pass(3600);
        world.engine.sweep().await.unwrap();
    }
    let idle = world.vendor.stats().refreshes - busy;
    assert!((6..=8).contains(&idle), "{idle} in a week");
    assert_eq!(use_it(&world, &id).await, 200, "and it still works");
}

#[tokio::test]
async fn a_paused_connection_keeps_its_grant_and_is_not_tested() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.engine.pause(&world.host, &id).await.unwrap();
    let calls = world.vendor.stats().api_requests;
    for _ in 0..(3 * 24) {
        world.pass(3600);
        world.engine.sweep().await.unwrap();
    }
    assert!((2..=3).contains(&world.vendor.stats().refreshes));
    assert_eq!(world.vendor.stats().api_requests, calls);
}

#[tokio::test]
async fn a_key_that_died_while_nobody_used_it_is_found() {
    let world = world().await;
    let id = world.key_connection().await;
    world
        .vendor
        .set_credential("u_ada", keyport_sandbox::CredentialKind::ApiKey, false)
        .unwrap();
    until_due(&world, &id).await;
    assert_eq!(world.engine.sweep().await.unwrap().tested, 1);
    let connection = world.connection(&id).await;
    assert_eq!(connection.state, ConnectionState::NeedsReconnect);
    assert!(connection.reason.is_some());
    assert_eq!(
        stored(&world, &id).await.clear.due,
        None,
        "nothing is due until its person has mended it"
    );
}

#[tokio::test]
async fn one_that_has_trouble_mends_itself_without_anybody_using_it() {
    let world = world().await;
    let id = world.key_connection().await;
    world.vendor.fault(Fault::status(Target::Api, 3, 503));
    for _ in 0..3 {
        use_it(&world, &id).await;
        world.pass(61);
    }
    assert_eq!(world.connection(&id).await.state, ConnectionState::Failing);
    until_due(&world, &id).await;
    world.engine.sweep().await.unwrap();
    assert_eq!(
        world.connection(&id).await.state,
        ConnectionState::Connected
    );
}

#[tokio::test]
async fn a_tick_looks_at_what_is_due_and_at_nothing_else() {
    let world = world().await;
    let id = world.key_connection().await;
    world.engine.sweep().await.unwrap();
    let before = stored(&world, &id).await.rev;
    for _ in 0..5 {
        world.pass(60);
        world.engine.sweep().await.unwrap();
    }
    assert_eq!(stored(&world, &id).await.rev, before);
    let rows = world.engine.heads::<Due>(None).await.unwrap();
    assert_eq!(rows.len(), 1, "one row per connection");
    world.engine.delete(&world.host, &id).await.unwrap();
    assert!(world.engine.heads::<Due>(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_row_that_was_lost_comes_back_and_one_that_was_left_behind_goes() {
    let world = world().await;
    let id = world.key_connection().await;
    let at = stored(&world, &id).await.clear.due.unwrap();
    // The row names another time than the connection does: a crash of an older version, say.
    let row = world.engine.heads::<Due>(None).await.unwrap().remove(0);
    let early = record::record_id::<Due>(
        row.owner(),
        &format!(
            "due_{}{}",
            ids::time_chars(1),
            id.trim_start_matches("con_")
        ),
    );
    world
        .engine
        .commit(vec![
            record::delete(&row.id, keyport_vault::Expect::Any),
            record::put::<Due>(
                &early,
                keyport_vault::Expect::Any,
                &row.clear,
                record::Seal::Keep,
            )
            .unwrap(),
        ])
        .await
        .unwrap();
    world.engine.sweep().await.unwrap();
    let rows = world.engine.heads::<Due>(None).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(ids::time_of("due_", rows[0].id()), Some(at));
}

#[tokio::test]
async fn a_provider_that_is_down_is_not_hammered_by_the_schedule() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.vendor.fault(Fault::status(Target::Token, 50, 503));
    until_due(&world, &id).await;
    let before = world.vendor.stats().token_requests;
    // A quarter of an hour of ticks.
    for _ in 0..60 {
        world.engine.sweep().await.unwrap();
        world.pass(15);
    }
    let asked = world.vendor.stats().token_requests - before;
    assert!((4..=6).contains(&asked), "{asked} requests in 15 minutes");
    assert_ne!(
        world.connection(&id).await.state,
        ConnectionState::NeedsReconnect,
        "a provider that is down has refused nobody"
    );
    world.vendor.clear_faults();
    world.pass(1800);
    world.engine.sweep().await.unwrap();
    assert_eq!(world.vendor.stats().refreshes, 1);
}

#[tokio::test]
async fn a_provider_that_asks_to_wait_is_left_alone_for_as_long() {
    let world = world().await;
    let id = world.oauth_connection().await;
    world.vendor.fault(Fault {
        retry_after: Some(900),
        ..Fault::status(Target::Token, 1, 429)
    });
    world.pass(3590);
    assert_eq!(use_it(&world, &id).await, 200, "the old token lives");
    let before = world.vendor.stats().token_requests;
    world.pass(890);
    world.engine.sweep().await.unwrap();
    assert_eq!(world.vendor.stats().token_requests, before);
    world.pass(15);
    world.engine.sweep().await.unwrap();
    assert_eq!(world.vendor.stats().token_requests, before + 1);
}
