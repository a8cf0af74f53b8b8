//! Polling triggers: the mark, the cursor, each event once, the schedule, several hosts.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::actions::stand;
use super::provider::{Reply, Seen, Stand, json, status};
use super::*;

const ITEMS: &str = r#"
triggers:
  new_item:
    title: New item
    description: An item came in.
    input: { type: object, additionalProperties: false, properties: { list: { type: string } } }
    output: { type: object, required: [id], properties: { id: { type: string } } }
    request: { method: GET, path: /items, query: { after: "{{ cursor }}", list: "{{ input.list }}" } }
    items: $.items
    dedupe: "{{ item.id }}"
    cursor: "{{ item.id }}"
    more: { path: $.more, equals: true }
    sample: { id: a }
"#;

/// An app's list that grows, oldest first, two on a page.
type List = Arc<Mutex<Vec<String>>>;

fn list(ids: &[&str]) -> List {
    Arc::new(Mutex::new(ids.iter().map(|id| (*id).to_owned()).collect()))
}

fn add(list: &List, ids: &[&str]) {
    let mut all = list.lock().unwrap();
    all.extend(ids.iter().map(|id| (*id).to_owned()));
}

fn page(list: &List, seen: &Seen) -> Option<Reply> {
    if seen.path != "/items" {
        return None;
    }
    let all = list.lock().unwrap();
    let from = seen
        .query
        .get("after")
        .and_then(|after| all.iter().position(|id| id == after))
        .map_or(0, |at| at + 1);
    let items: Vec<Value> = all
        .iter()
        .skip(from)
        .take(2)
        .map(|id| json!({"id": id}))
        .collect();
    Some(json(json!({"items": items, "more": from + 2 < all.len()})))
}

fn serve(stand: &Stand, list: &List) {
    let list = list.clone();
    stand.script(move |seen| page(&list, seen));
}

fn new(trigger: &str) -> NewSubscription {
    NewSubscription {
        trigger: trigger.into(),
        input: None,
        every_seconds: None,
    }
}

async fn found(engine: &Engine) -> Vec<String> {
    let query = TriggerEventQuery::default();
    let page = engine.trigger_events(&Actor::Host, &query).await.unwrap();
    let ids = page
        .items
        .iter()
        .map(|event| event.event["id"].as_str().unwrap().to_owned());
    ids.collect()
}

/// The longest that a subscription which works waits for its next look, in seconds.
const TURN: i64 = 331;

#[tokio::test]
async fn what_happens_after_a_subscription_is_handed_on_once_and_in_order() {
    let stand = stand(ITEMS).await;
    let id = stand.token("u1").await;
    let items = list(&["a", "b", "c"]);
    serve(&stand, &items);
    let made = stand
        .engine
        .subscribe(&Actor::Host, &id, new("new_item"))
        .await
        .unwrap();
    assert_eq!(made.state, SubscriptionState::Active);
    assert_eq!(
        stand.engine.poll_due().await.unwrap(),
        0,
        "nothing is due yet"
    );
    add(&items, &["d", "e", "f"]);
    stand.pass(TURN);
    assert_eq!(stand.engine.poll_due().await.unwrap(), 1);
    assert_eq!(found(&stand.engine).await, ["d", "e", "f"]);
    stand.pass(TURN);
    stand.engine.poll_due().await.unwrap();
    assert_eq!(found(&stand.engine).await, ["d", "e", "f"]);
    // The cursor is in the store: another host goes on where this one ended.
    let restarted = stand.restarted().await;
    add(&items, &["g"]);
    stand.pass(TURN);
    assert_eq!(restarted.poll_due().await.unwrap(), 1);
    assert_eq!(found(&restarted).await, ["d", "e", "f", "g"]);
    let last = stand
        .calls("api")
        .into_iter()
        .rfind(|seen| seen.path == "/items")
        .unwrap();
    assert_eq!(last.query["after"], "f");
    let view = restarted
        .subscription(&Actor::Host, &made.id)
        .await
        .unwrap();
    assert_eq!((view.events, view.last_event_at.is_some()), (4, true));
    let events = restarted
        .trigger_events(&Actor::Host, &TriggerEventQuery::default())
        .await
        .unwrap();
    assert!(
        events
            .items
            .iter()
            .all(|event| event.owner == "u1" && event.connection_id == id)
    );
}

#[tokio::test]
async fn an_app_that_lists_an_event_again_makes_no_second_one() {
    let stand = stand(ITEMS).await;
    let id = stand.token("u1").await;
    let items = Arc::new(Mutex::new(vec!["a", "b"]));
    let listed = items.clone();
    // The cursor is not respected: everything is listed at every look.
    stand.script(move |seen| {
        (seen.path == "/items").then(|| {
            let all: Vec<Value> = listed
                .lock()
                .unwrap()
                .iter()
                .map(|id| json!({"id": id}))
                .collect();
            json(json!({"items": all}))
        })
    });
    stand
        .engine
        .subscribe(&Actor::Host, &id, new("new_item"))
        .await
        .unwrap();
    items.lock().unwrap().push("c");
    for _ in 0..3 {
        stand.pass(TURN);
        stand.engine.poll_due().await.unwrap();
    }
    assert_eq!(found(&stand.engine).await, ["c"]);
}

#[tokio::test]
async fn hosts_that_look_at_once_hand_on_each_event_once() {
    let stand = stand(ITEMS).await;
    let id = stand.token("u1").await;
    let items = list(&["a"]);
    serve(&stand, &items);
    stand
        .engine
        .subscribe(&Actor::Host, &id, new("new_item"))
        .await
        .unwrap();
    let many: Vec<String> = (0..23).map(|n| format!("n{n:02}")).collect();
    add(&items, &many.iter().map(String::as_str).collect::<Vec<_>>());
    let (second, third) = (stand.restarted().await, stand.restarted().await);
    stand.pass(TURN);
    let looks = [&stand.engine, &second, &third, &stand.engine].map(Engine::poll_due);
    for looked in futures_util::future::join_all(looks).await {
        looked.unwrap();
    }
    assert_eq!(found(&second).await, many);
}

#[tokio::test]
async fn an_app_that_fails_is_left_alone_for_longer_each_time_and_mends_by_itself() {
    let stand = stand(ITEMS).await;
    let id = stand.token("u1").await;
    let items = list(&["a"]);
    serve(&stand, &items);
    let made = stand
        .engine
        .subscribe(&Actor::Host, &id, new("new_item"))
        .await
        .unwrap();
    stand.script(|seen| (seen.path == "/items").then(|| status(500, json!({}))));
    let asked = || {
        stand
            .calls("api")
            .iter()
            .filter(|seen| seen.path == "/items")
            .count()
    };
    let before = asked();
    let mut looks = Vec::new();
    for minute in 0..240 {
        stand.pass(60);
        let was = asked();
        stand.engine.poll_due().await.unwrap();
        if asked() > was {
            looks.push(minute);
        }
    }
    assert!((5..=9).contains(&(asked() - before)), "{looks:?}");
    let gaps: Vec<i32> = looks.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(
        gaps.windows(2).all(|two| two[1] >= two[0] - 6),
        "longer each time: {gaps:?}"
    );
    assert!(gaps.last().unwrap() >= &55, "{gaps:?}");
    let view = stand
        .engine
        .subscription(&Actor::Host, &made.id)
        .await
        .unwrap();
    assert_eq!(view.state, SubscriptionState::Failing);
    assert_eq!(view.reason.unwrap().code, "provider_down");
    serve(&stand, &items);
    add(&items, &["b"]);
    stand.pass(2 * 3600);
    stand.engine.poll_due().await.unwrap();
    let view = stand
        .engine
        .subscription(&Actor::Host, &made.id)
        .await
        .unwrap();
    assert_eq!((view.state, view.reason), (SubscriptionState::Active, None));
    assert_eq!(
        found(&stand.engine).await,
        ["b"],
        "nothing was lost meanwhile"
    );
}

#[tokio::test]
async fn an_app_that_asks_to_wait_is_left_alone_for_as_long() {
    let stand = stand(ITEMS).await;
    let id = stand.token("u1").await;
    let items = list(&["a"]);
    serve(&stand, &items);
    stand
        .engine
        .subscribe(&Actor::Host, &id, new("new_item"))
        .await
        .unwrap();
    stand.script(|seen| {
        (seen.path == "/items").then(|| status(429, json!({})).with("retry-after", "7200"))
    });
    stand.pass(TURN);
    stand.engine.poll_due().await.unwrap();
    stand.pass(7100);
    assert_eq!(stand.engine.poll_due().await.unwrap(), 0);
    stand.pass(900);
    assert_eq!(stand.engine.poll_due().await.unwrap(), 1);
}

#[tokio::test]
async fn what_cannot_be_subscribed_is_told_at_once_and_nothing_stays() {
    let stand = stand(ITEMS).await;
    let id = stand.token("u1").await;
    stand.script(|seen| (seen.path == "/items").then(|| status(403, json!({}))));
    let subscribe = |trigger: &str, input: Value, every| NewSubscription {
        trigger: trigger.into(),
        input: Some(input),
        every_seconds: every,
    };
    for (wanted, code_wanted) in [
        (subscribe("nothing", json!({}), None), "not_found"),
        (
            subscribe("new_item", json!({"list": 1}), None),
            "invalid_input",
        ),
        (
            subscribe("new_item", json!({"more": 1}), None),
            "invalid_input",
        ),
        (subscribe("new_item", json!({}), Some(1)), "invalid_input"),
        (subscribe("new_item", json!({}), None), "missing_scope"),
    ] {
        let made = stand.engine.subscribe(&Actor::Host, &id, wanted).await;
        assert_eq!(code(made), code_wanted);
    }
    let all = stand
        .engine
        .subscriptions(&Actor::Host, &SubscriptionQuery::default())
        .await
        .unwrap();
    assert!(all.items.is_empty());
}

#[tokio::test]
async fn a_paused_subscription_is_not_asked_for_and_begins_anew() {
    let stand = stand(ITEMS).await;
    let id = stand.token("u1").await;
    let items = list(&["a"]);
    serve(&stand, &items);
    let made = stand
        .engine
        .subscribe(&Actor::Host, &id, new("new_item"))
        .await
        .unwrap();
    stand
        .engine
        .pause_subscription(&Actor::Host, &made.id)
        .await
        .unwrap();
    add(&items, &["b"]);
    stand.pass(10 * TURN);
    assert_eq!(stand.engine.poll_due().await.unwrap(), 0);
    stand
        .engine
        .resume_subscription(&Actor::Host, &made.id)
        .await
        .unwrap();
    stand.engine.poll_due().await.unwrap();
    add(&items, &["c"]);
    stand.pass(TURN);
    stand.engine.poll_due().await.unwrap();
    assert_eq!(found(&stand.engine).await, ["c"]);
    stand
        .engine
        .unsubscribe(&Actor::Host, &made.id)
        .await
        .unwrap();
    stand.pass(TURN);
    assert_eq!(stand.engine.poll_due().await.unwrap(), 0);
}

#[tokio::test]
async fn a_connection_that_cannot_be_used_is_waited_for_and_one_that_is_gone_takes_its_subscriptions_along()
 {
    let stand = stand(ITEMS).await;
    let id = stand.token("u1").await;
    let items = list(&["a"]);
    serve(&stand, &items);
    let made = stand
        .engine
        .subscribe(&Actor::Host, &id, new("new_item"))
        .await
        .unwrap();
    stand.engine.pause(&Actor::Host, &id).await.unwrap();
    add(&items, &["b"]);
    stand.pass(TURN);
    stand.engine.poll_due().await.unwrap();
    let view = stand
        .engine
        .subscription(&Actor::Host, &made.id)
        .await
        .unwrap();
    assert_eq!(view.reason.unwrap().code, "connection_not_usable");
    assert!(found(&stand.engine).await.is_empty());
    stand.engine.resume(&Actor::Host, &id).await.unwrap();
    stand.pass(TURN);
    stand.engine.poll_due().await.unwrap();
    assert_eq!(found(&stand.engine).await, ["b"]);
    stand.engine.delete(&Actor::Host, &id).await.unwrap();
    let gone = stand.engine.subscription(&Actor::Host, &made.id).await;
    assert_eq!(code(gone), "not_found");
    stand.pass(TURN);
    assert_eq!(stand.engine.poll_due().await.unwrap(), 0);
}

const NEWEST: &str = r#"
triggers:
  newest:
    title: New item
    description: An item came in.
    input: { type: object, properties: {} }
    output: { type: object, required: [id], properties: { id: { type: string } } }
    request: { method: GET, path: /newest }
    pagination: { items: $.items, next: { page: page, start: 1 }, size: { query: count, value: 2 }, max_pages: 4 }
    order: newest_first
    dedupe: "{{ item.id }}"
    sample: { id: a }
"#;

#[tokio::test]
async fn a_list_that_begins_with_the_newest_is_read_page_by_page_to_the_first_known_event() {
    let stand = stand(NEWEST).await;
    let id = stand.token("u1").await;
    let items = list(&["a", "b", "c", "d", "e", "f", "g", "h"]);
    let listed = items.clone();
    stand.script(move |seen| {
        (seen.path == "/newest").then(|| {
            let number: usize = seen.query["page"].parse().unwrap();
            let all = listed.lock().unwrap();
            let page = all.iter().rev().skip((number - 1) * 2).take(2);
            json(json!({"items": page.map(|id| json!({"id": id})).collect::<Vec<_>>()}))
        })
    });
    let asked = || {
        stand
            .calls("api")
            .iter()
            .filter(|seen| seen.path == "/newest")
            .count()
    };
    stand
        .engine
        .subscribe(&Actor::Host, &id, new("newest"))
        .await
        .unwrap();
    assert_eq!(asked(), 1, "the first look sets the mark by one page");
    add(&items, &["i", "j", "k"]);
    stand.pass(TURN);
    stand.engine.poll_due().await.unwrap();
    assert_eq!(found(&stand.engine).await, ["i", "j", "k"], "oldest first");
    assert_eq!(asked(), 3, "the second page holds an event that is known");
    stand.pass(TURN);
    stand.engine.poll_due().await.unwrap();
    assert_eq!(asked(), 4, "where nothing is new one page tells");
}

#[tokio::test]
async fn inputs_and_events_cannot_be_read_from_the_store_and_events_go_after_a_week() {
    let stand = stand(ITEMS).await;
    let id = stand.token("u1").await;
    let items = list(&["a"]);
    serve(&stand, &items);
    let wanted = NewSubscription {
        input: Some(json!({"list": "canary-list"})),
        ..new("new_item")
    };
    stand
        .engine
        .subscribe(&Actor::Host, &id, wanted)
        .await
        .unwrap();
    add(&items, &["canary-item"]);
    stand.pass(TURN);
    stand.engine.poll_due().await.unwrap();
    let shown = |engine: Engine| async move {
        let mut text = String::new();
        for kind in [
            "subscription",
            "trigger_event",
            "trigger_event_list",
            "subscription_due",
        ] {
            let kind = keyport_vault::Kind::new(kind);
            for head in engine
                .inner
                .vault
                .list(kind, None, None, 100)
                .await
                .unwrap()
                .heads
            {
                text += &format!("{:?} {}\n", head.id, head.clear);
            }
        }
        text
    };
    let text = shown(stand.engine.clone()).await;
    assert!(!text.contains("canary") && text.contains("tev_"), "{text}");
    stand.pass(7 * 24 * 3600 + 1);
    stand.engine.sweep().await.unwrap();
    let text = shown(stand.engine.clone()).await;
    assert!(!text.contains("tev_"), "{text}");
}
