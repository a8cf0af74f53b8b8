//! Polls: what is new, and where to go on.

use super::*;
use crate::model::Trigger;
use crate::scope::Scope;

fn trigger(extra: Value) -> Trigger {
    let mut base = json!({"title": "New", "description": "d", "input": {}, "output": {}, "request": {"path": "/x"},
        "items": "$.notes", "dedupe": "{{ item.id }}"});
    base.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    serde_json::from_value(base).unwrap()
}

#[test]
fn a_poll_goes_on_from_the_newest_item() {
    let t = trigger(json!({"cursor": "{{ item.id }}", "more": {"path": "$.more", "equals": true}}));
    let page = poll_page(
        &t,
        &Scope::new(),
        None,
        &answer(
            200,
            &json!({"notes": [{"id": "n1"}, {"id": "n2"}, {"id": "n2"}], "more": true}),
        ),
    )
    .unwrap();
    assert_eq!(
        page,
        PollPage {
            events: vec![json!({"id": "n1"}), json!({"id": "n2"})],
            cursor: json!("n2"),
            more: true
        }
    );
    let page = poll_page(
        &t,
        &Scope::new(),
        Some(&json!("n2")),
        &answer(200, &json!({"notes": [], "more": true})),
    )
    .unwrap();
    assert_eq!(
        page,
        PollPage {
            events: vec![],
            cursor: json!("n2"),
            more: false
        },
        "a page that does not move on is the last"
    );
}

#[test]
fn without_a_cursor_of_the_apps_own_seen_events_are_remembered() {
    let t = trigger(json!({"order": "newest_first"}));
    let first = poll_page(
        &t,
        &Scope::new(),
        None,
        &answer(200, &json!({"notes": [{"id": 2}, {"id": 1}]})),
    )
    .unwrap();
    assert_eq!(
        first.events,
        [json!({"id": 1}), json!({"id": 2})],
        "oldest first"
    );
    let second = poll_page(
        &t,
        &Scope::new(),
        Some(&first.cursor),
        &answer(200, &json!({"notes": [{"id": 3}, {"id": 2}]})),
    )
    .unwrap();
    assert_eq!(second.events, [json!({"id": 3})]);
    assert_eq!(second.cursor, json!({"seen": ["2", "3", "1"]}));
}

#[test]
fn an_event_without_its_key_is_refused() {
    let t = trigger(json!({}));
    assert!(
        poll_page(
            &t,
            &Scope::new(),
            None,
            &answer(200, &json!({"notes": [{"x": 2}]}))
        )
        .is_err()
    );
}
