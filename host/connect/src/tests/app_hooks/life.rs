//! What becomes of events at an app's one address when a connection, its team or the operator's secret changes.

use super::*;

#[tokio::test]
async fn a_connection_that_ended_or_became_another_teams_is_not_told_of_the_old_one() {
    let stand = stand().await;
    let id = connected(&stand, "u1", "T1").await;
    let made = subscribe(&stand, &id, json!({})).await.unwrap();
    let of = |team: &str, event_id: &str| signed(SIGNING_SECRET, &event(team, event_id, "C1"), 0);

    stand.engine.pause(&Actor::Host, &id).await.unwrap();
    assert_eq!(send(&stand, of("T1", "Ev1")).await, 200);
    stand.engine.resume(&Actor::Host, &id).await.unwrap();
    stand
        .engine
        .pause_subscription(&Actor::Host, &made.id)
        .await
        .unwrap();
    assert_eq!(send(&stand, of("T1", "Ev2")).await, 200);
    stand
        .engine
        .resume_subscription(&Actor::Host, &made.id)
        .await
        .unwrap();
    stand.engine.disconnect(&Actor::Host, &id).await.unwrap();
    assert_eq!(send(&stand, of("T1", "Ev3")).await, 200);
    assert!(found(&stand, "u1").await.is_empty());

    // The same connection again, of another team: the old team's events are nobody's, the new one's are its own.
    team(&stand, "T2", "history");
    let again = signed_in(&stand, "u1", None, &[], Some(&id)).await;
    assert_eq!(again, id);
    assert_eq!(send(&stand, of("T1", "Ev4")).await, 200);
    assert!(found(&stand, "u1").await.is_empty());
    stand.pass(600);
    stand.engine.poll_due().await.unwrap();
    assert_eq!(
        send(
            &stand,
            signed(SIGNING_SECRET, &event("T1", "Ev5", "C1"), 600)
        )
        .await,
        200
    );
    assert_eq!(
        send(
            &stand,
            signed(SIGNING_SECRET, &event("T2", "Ev6", "C1"), 600)
        )
        .await,
        200
    );
    assert_eq!(found(&stand, "u1").await, ["text of Ev6"]);

    stand
        .engine
        .unsubscribe(&Actor::Host, &made.id)
        .await
        .unwrap();
    assert_eq!(
        send(
            &stand,
            signed(SIGNING_SECRET, &event("T2", "Ev7", "C1"), 600)
        )
        .await,
        200
    );
    assert_eq!(found(&stand, "u1").await, ["text of Ev6"]);
    let routes = keyport_vault::Kind::new("hook_route");
    let left = stand
        .engine
        .inner
        .vault
        .list(routes, None, None, 10)
        .await
        .unwrap();
    assert!(left.heads.is_empty(), "nothing of it is left");
}

/// What its owner has paused stays so whatever becomes of the connection, and goes on with the sign-in of then.
#[tokio::test]
async fn a_pause_outlives_a_sign_out_and_a_sign_in_as_another_team() {
    let stand = stand().await;
    let id = connected(&stand, "u1", "T1").await;
    let made = subscribe(&stand, &id, json!({})).await.unwrap();
    let paused = stand
        .engine
        .pause_subscription(&Actor::Host, &made.id)
        .await;
    assert_eq!(paused.unwrap().state, SubscriptionState::Paused);
    stand.engine.disconnect(&Actor::Host, &id).await.unwrap();
    team(&stand, "T2", "history");
    assert_eq!(signed_in(&stand, "u1", None, &[], Some(&id)).await, id);
    stand.pass(1200);
    stand.engine.poll_due().await.unwrap();
    let of =
        |team: &str, event_id: &str| signed(SIGNING_SECRET, &event(team, event_id, "C1"), 1200);
    assert_eq!(send(&stand, of("T2", "Ev1")).await, 200);
    assert!(found(&stand, "u1").await.is_empty());
    stand
        .engine
        .resume_subscription(&Actor::Host, &made.id)
        .await
        .unwrap();
    assert_eq!(send(&stand, of("T2", "Ev2")).await, 200);
    assert_eq!(send(&stand, of("T1", "Ev3")).await, 200);
    assert_eq!(found(&stand, "u1").await, ["text of Ev2"]);
}

/// A subscription that is paused while the app's call is under way has the last word.
#[tokio::test]
async fn a_pause_that_comes_while_a_call_is_under_way_holds() {
    let stand = stand().await;
    let id = connected(&stand, "u1", "T1").await;
    let mut all = Vec::new();
    for _ in 0..40 {
        all.push(subscribe(&stand, &id, json!({})).await.unwrap().id);
    }
    let call = stand.engine.app_hook(
        &stand.config.id,
        signed(SIGNING_SECRET, &event("T1", "Ev1", "C1"), 0),
    );
    // Each at another moment of the call.
    let pauses = futures_util::future::join_all(all.iter().enumerate().map(|(steps, id)| {
        let engine = &stand.engine;
        async move {
            for _ in 0..steps * 3 {
                tokio::task::yield_now().await;
            }
            engine.pause_subscription(&Actor::Host, id).await
        }
    }));
    let (answer, paused) = tokio::join!(call, pauses);
    assert_eq!(answer.status, 200);
    assert!(paused.into_iter().all(|one| one.is_ok()));
    for id in &all {
        let stored = stand.engine.subscription(&Actor::Host, id).await.unwrap();
        assert_eq!(stored.state, SubscriptionState::Paused);
    }
}

#[tokio::test]
async fn the_operator_is_shown_the_address_and_never_the_secret() {
    let stand = stand().await;
    let view = stand.engine.configuration(&stand.config.id).await.unwrap();
    let webhook = view.webhook.clone().unwrap();
    assert_eq!(
        webhook.url,
        format!("http://localhost:4700/hooks/app/{}", stand.config.id)
    );
    assert!(webhook.has_secret && webhook.say.starts_with("Enter this address"));
    let patch = ConfigurationPatch {
        webhook_secret: Some(OTHER_SECRET.into()),
        ..ConfigurationPatch::default()
    };
    let changed = stand
        .engine
        .update_configuration(&Actor::Host, &view.id, None, patch)
        .await
        .unwrap();
    let id = connected(&stand, "u1", "T1").await;
    subscribe(&stand, &id, json!({})).await.unwrap();
    assert_eq!(
        send(&stand, signed(SIGNING_SECRET, &event("T1", "Ev1", "C1"), 0)).await,
        401
    );
    assert_eq!(
        send(&stand, signed(OTHER_SECRET, &event("T1", "Ev1", "C1"), 0)).await,
        200
    );
    let events = stand.engine.events(None, None, Some(200)).await.unwrap();
    let mut shown = serde_json::to_string(&(&view, &changed, &events)).unwrap();
    for kind in ["configuration", "subscription", "hook_route"] {
        let kind = keyport_vault::Kind::new(kind);
        let rows = stand
            .engine
            .inner
            .vault
            .list(kind, None, None, 100)
            .await
            .unwrap();
        shown.extend(
            rows.heads
                .iter()
                .map(|head| format!("{} {}", head.id.id, head.clear)),
        );
    }
    assert!(
        !shown.contains(SIGNING_SECRET) && !shown.contains(OTHER_SECRET),
        "{shown}"
    );
    let none = ConfigurationPatch {
        webhook_secret: Some(String::new()),
        ..ConfigurationPatch::default()
    };
    let none = stand
        .engine
        .update_configuration(&Actor::Host, &view.id, None, none)
        .await
        .unwrap();
    assert!(!none.webhook.unwrap().has_secret);
    assert_eq!(
        send(&stand, signed(OTHER_SECRET, &event("T1", "Ev2", "C1"), 0)).await,
        401
    );
}
