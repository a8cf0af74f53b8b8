//! What apps send: forged calls (A31), calls for somebody else (A32), handshakes, and the agreement with the app.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::actions::stand;
use super::provider::{Seen, Stand, json, status};
use super::*;

const HOOKS: &str = r#"
triggers:
  new_note:
    title: New note
    description: A note came in.
    kind: webhook
    input: { type: object, properties: { folder: { type: string } } }
    output: { type: object, required: [id], properties: { id: { type: string } } }
    subscribe:
      method: POST
      path: /hooks
      body: { json: { url: "{{ webhook.url }}", secret: "{{ webhook.secret }}", folder: "{{ input.folder }}" } }
    subscription: { id: { path: $.id, public: true } }
    unsubscribe: { method: DELETE, path: "/hooks/{{ subscription.id }}" }
    verify:
      type: hmac_sha256
      key: "{{ webhook.secret }}"
      header: x-signature
      prefix: "v1="
      message: "{{ headers['x-time'] }}.{{ request.body }}"
      timestamp: "{{ headers['x-time'] }}"
    challenge: { when: { path: $.challenge, exists: true }, answer: "{{ body.challenge }}" }
    tenant: { event: "{{ body.account }}", connection: "{{ account.id }}" }
    items: $.events
    dedupe: "{{ item.id }}"
    sample: { id: a }
  by_hand:
    title: By hand
    description: A person enters the address at the app.
    kind: webhook_manual
    input: { type: object, properties: {} }
    output: { type: object, properties: { id: { type: string } } }
    manual: In Scripted, open Settings and Webhooks, and enter this address.
    verify: { type: token, header: x-token, value: "{{ webhook.secret }}" }
    dedupe: "{{ item.id }}"
    sample: { id: a }
"#;

/// One subscription, as the app knows it.
struct Agreed {
    id: String,
    address: String,
    secret: String,
}

/// The account of a token is the owner that it is of.
fn script(stand: &Stand) {
    let mut count = 0;
    stand.script(move |seen| match seen.line().as_str() {
        "GET api/me" => {
            let owner = seen.headers["authorization"]
                .split('-')
                .nth(2)
                .unwrap()
                .to_owned();
            Some(json(json!({"id": format!("account-of-{owner}")})))
        }
        "POST api/hooks" => {
            count += 1;
            Some(status(201, json!({"id": format!("h{count}")})))
        }
        line if line.starts_with("DELETE api/hooks/") => Some(status(204, json!({}))),
        _ => None,
    });
}

async fn subscribe(stand: &Stand, connection: &str) -> Agreed {
    let new = NewSubscription {
        trigger: "new_note".into(),
        input: Some(json!({"folder": "inbox"})),
        every_seconds: None,
    };
    let made = stand
        .engine
        .subscribe(&Actor::Host, connection, new)
        .await
        .unwrap();
    let told = stand
        .calls("api")
        .into_iter()
        .rfind(|seen| seen.path == "/hooks")
        .unwrap()
        .json();
    assert_eq!(told["folder"], "inbox");
    let url = told["url"].as_str().unwrap();
    Agreed {
        id: made.id,
        address: url
            .strip_prefix("http://localhost:4700/hooks/")
            .unwrap()
            .to_owned(),
        secret: told["secret"].as_str().unwrap().to_owned(),
    }
}

fn mac(secret: &str, message: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A call as the app makes it, at `NOW` plus so many seconds.
fn signed(secret: &str, body: &str, late: i64) -> HookCall {
    let time = (NOW + late).to_string();
    let signature = format!("v1={}", mac(secret, &format!("{time}.{body}")));
    HookCall {
        method: "POST".into(),
        query: String::new(),
        headers: vec![
            ("content-type".into(), "application/json".into()),
            ("x-time".into(), time),
            ("x-signature".into(), signature),
        ],
        body: body.as_bytes().to_vec(),
    }
}

fn note(account: &str, id: &str) -> String {
    // Written as no serializer of ours would: the signature is over these very bytes.
    format!("{{ \"account\":\"account-of-{account}\",  \"events\": [ {{\"id\":\"{id}\"}} ] }}\n")
}

async fn status_of(engine: &Engine, address: &str, call: HookCall) -> u16 {
    engine.hook(address, call).await.status
}

async fn found(engine: &Engine, owner: &str) -> Vec<String> {
    let query = TriggerEventQuery {
        owner: Some(owner.into()),
        ..TriggerEventQuery::default()
    };
    let page = engine.trigger_events(&Actor::Host, &query).await.unwrap();
    page.items
        .iter()
        .map(|event| event.event["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_call_that_the_app_did_not_sign_is_refused_in_every_way_that_it_can_be_forged() {
    let stand = stand(HOOKS).await;
    script(&stand);
    let id = stand.token("u1").await;
    let ours = subscribe(&stand, &id).await;
    let body = note("u1", "n1");
    let good = || signed(&ours.secret, &body, 0);
    let set = |name: &str, value: &str| {
        let mut call = good();
        call.headers.retain(|(known, _)| known != name);
        call.headers.push((name.into(), value.into()));
        call
    };
    let signature = good().headers[2].1.clone();
    let without = |name: &str| {
        let mut call = good();
        call.headers.retain(|(known, _)| known != name);
        call
    };
    let forged = [
        ("no signature", without("x-signature")),
        ("no time", without("x-time")),
        ("an empty signature", set("x-signature", "")),
        ("the prefix alone", set("x-signature", "v1=")),
        (
            "no prefix",
            set("x-signature", signature.trim_start_matches("v1=")),
        ),
        (
            "another prefix",
            set("x-signature", &signature.replace("v1=", "v0=")),
        ),
        (
            "a cut signature",
            set("x-signature", &signature[..signature.len() - 2]),
        ),
        (
            "a longer signature",
            set("x-signature", &format!("{signature}00")),
        ),
        (
            "a wrong signature",
            set("x-signature", &format!("v1={}", "0".repeat(64))),
        ),
        ("another secret", signed("somebody-elses-secret", &body, 0)),
        ("an empty secret", signed("", &body, 0)),
        ("another time", set("x-time", &(NOW + 1).to_string())),
        ("no number for a time", set("x-time", "yesterday")),
        ("signed too long ago", signed(&ours.secret, &body, -301)),
        ("signed ahead of time", signed(&ours.secret, &body, 301)),
        ("over the parsed body, not the bytes", {
            let parsed: Value = serde_json::from_str(&body).unwrap();
            let mut call = signed(&ours.secret, &parsed.to_string(), 0);
            call.body = body.as_bytes().to_vec();
            call
        }),
        ("a changed byte", {
            let mut call = good();
            call.body = note("u1", "n2").into_bytes();
            call
        }),
        ("two signatures, one good", {
            let mut call = good();
            call.headers.push(("X-Signature".into(), signature.clone()));
            call
        }),
        ("no text", {
            let mut call = good();
            call.body = vec![0xff, 0xfe];
            call
        }),
    ];
    for (what, call) in forged {
        assert_eq!(
            status_of(&stand.engine, &ours.address, call).await,
            401,
            "{what}"
        );
    }
    assert!(found(&stand.engine, "u1").await.is_empty());
    assert_eq!(status_of(&stand.engine, &ours.address, good()).await, 200);
    assert_eq!(found(&stand.engine, "u1").await, ["n1"]);
}

#[tokio::test]
async fn an_event_that_is_sent_again_is_taken_once_also_by_hosts_at_once_and_after_a_restart() {
    let stand = stand(HOOKS).await;
    script(&stand);
    let id = stand.token("u1").await;
    let ours = subscribe(&stand, &id).await;
    let other = stand.restarted().await;
    let call = || signed(&ours.secret, &note("u1", "n1"), 0);
    let calls = (0..10).map(|n| {
        let engine = if n % 2 == 0 { &stand.engine } else { &other };
        status_of(engine, &ours.address, call())
    });
    let all = futures_util::future::join_all(calls).await;
    assert_eq!(
        all, [200; 10],
        "whoever did not hear our answer may send again"
    );
    let restarted = stand.restarted().await;
    assert_eq!(status_of(&restarted, &ours.address, call()).await, 200);
    assert_eq!(found(&restarted, "u1").await, ["n1"]);
    // Another call with the same event in it, signed anew, is no new event either.
    let again = signed(&ours.secret, &note("u1", "n1"), 60);
    assert_eq!(status_of(&restarted, &ours.address, again).await, 200);
    assert_eq!(found(&restarted, "u1").await, ["n1"]);
    // The same bytes later are an old call.
    stand.pass(301);
    assert_eq!(status_of(&stand.engine, &ours.address, call()).await, 401);
}

#[tokio::test]
async fn a_call_reaches_the_connection_of_its_address_or_none_whatever_it_says() {
    let stand = stand(HOOKS).await;
    script(&stand);
    let (one, two) = (stand.token("u1").await, stand.token("u2").await);
    let (ours, theirs) = (subscribe(&stand, &one).await, subscribe(&stand, &two).await);
    assert_ne!(ours.secret, theirs.secret);

    // Signed by one customer, posted to another's address.
    let crossed = signed(&ours.secret, &note("u1", "x1"), 0);
    assert_eq!(
        status_of(&stand.engine, &theirs.address, crossed).await,
        401
    );
    let crossed = signed(&ours.secret, &note("u2", "x2"), 0);
    assert_eq!(
        status_of(&stand.engine, &theirs.address, crossed).await,
        401
    );
    // Signed as it must be, about another account: the app sends several accounts' events to one address.
    for account in ["u2", "u1-and-more", ""] {
        let foreign = signed(&ours.secret, &note(account, "x3"), 0);
        assert_eq!(
            status_of(&stand.engine, &ours.address, foreign).await,
            200,
            "{account}"
        );
    }
    let unsaid = signed(&ours.secret, r#"{"events": [{"id": "x4"}]}"#, 0);
    assert_eq!(status_of(&stand.engine, &ours.address, unsaid).await, 200);
    // Addresses that are nobody's, near ones among them.
    let (number, token) = ours.address.split_once('.').unwrap();
    let their_token = theirs.address.split_once('.').unwrap().1;
    for address in [
        format!("{number}.{their_token}"),
        format!("{number}.{}", "a".repeat(43)),
        format!("{number}.{}", &token[..42]),
        number.to_owned(),
        token.to_owned(),
        format!("sub_{}", ours.address),
        one.clone(),
        String::new(),
        "../v1/keys".into(),
    ] {
        let call = signed(&ours.secret, &note("u1", "x5"), 0);
        assert_eq!(
            status_of(&stand.engine, &address, call).await,
            404,
            "{address}"
        );
    }
    assert!(
        found(&stand.engine, "u1").await.is_empty() && found(&stand.engine, "u2").await.is_empty()
    );

    // What a call says of connections and owners is content, nothing else.
    let told = format!(
        r#"{{"account":"account-of-u1","owner":"u2","connection_id":"{two}","events":[{{"id":"n1"}}]}}"#
    );
    assert_eq!(
        status_of(&stand.engine, &ours.address, signed(&ours.secret, &told, 0)).await,
        200
    );
    assert_eq!(found(&stand.engine, "u1").await, ["n1"]);
    assert!(found(&stand.engine, "u2").await.is_empty());
}

#[tokio::test]
async fn a_handshake_is_answered_and_carries_no_event() {
    let stand = stand(HOOKS).await;
    script(&stand);
    let id = stand.token("u1").await;
    let ours = subscribe(&stand, &id).await;
    let by_get = HookCall {
        method: "GET".into(),
        query: "challenge=abc%20def".into(),
        ..HookCall::default()
    };
    let answer = stand.engine.hook(&ours.address, by_get).await;
    assert_eq!(
        (
            answer.status,
            answer.content_type.as_str(),
            answer.body.as_str()
        ),
        (200, "text/plain", "abc def")
    );
    let body = r#"{"challenge":"xyz","account":"account-of-u1","events":[{"id":"n1"}]}"#;
    let unsigned = HookCall {
        method: "POST".into(),
        body: body.as_bytes().to_vec(),
        ..HookCall::default()
    };
    assert_eq!(stand.engine.hook(&ours.address, unsigned).await.body, "xyz");
    assert!(found(&stand.engine, "u1").await.is_empty());
}

#[tokio::test]
async fn the_app_is_told_of_the_subscription_and_of_its_end() {
    let stand = stand(HOOKS).await;
    script(&stand);
    let id = stand.token("u1").await;
    let ours = subscribe(&stand, &id).await;
    stand
        .engine
        .unsubscribe(&Actor::Host, &ours.id)
        .await
        .unwrap();
    let last = stand.calls("api").pop().unwrap();
    assert_eq!(last.line(), "DELETE api/hooks/h1");
    let late = signed(&ours.secret, &note("u1", "n1"), 0);
    assert_eq!(status_of(&stand.engine, &ours.address, late).await, 404);

    // An app that refuses leaves nothing behind.
    stand.script(|seen: &Seen| (seen.path == "/hooks").then(|| status(403, json!({}))));
    let new = NewSubscription {
        trigger: "new_note".into(),
        input: Some(json!({"folder": "inbox"})),
        every_seconds: None,
    };
    let refused = stand.engine.subscribe(&Actor::Host, &id, new).await;
    assert_eq!(code(refused), "missing_scope");
    let all = stand
        .engine
        .subscriptions(&Actor::Host, &SubscriptionQuery::default())
        .await
        .unwrap();
    assert!(all.items.is_empty());
}

#[tokio::test]
async fn a_connection_that_ends_ends_its_calls_at_the_app_too() {
    let stand = stand(HOOKS).await;
    script(&stand);
    let id = stand.token("u1").await;
    let ours = subscribe(&stand, &id).await;
    // Paused: the app goes on sending, nothing is handed on.
    stand.engine.pause(&Actor::Host, &id).await.unwrap();
    let call = signed(&ours.secret, &note("u1", "n1"), 0);
    assert_eq!(status_of(&stand.engine, &ours.address, call).await, 200);
    stand.engine.resume(&Actor::Host, &id).await.unwrap();
    stand.engine.disconnect(&Actor::Host, &id).await.unwrap();
    assert!(
        stand
            .calls("api")
            .iter()
            .any(|seen| seen.line() == "DELETE api/hooks/h1")
    );
    let call = signed(&ours.secret, &note("u1", "n2"), 0);
    assert_eq!(status_of(&stand.engine, &ours.address, call).await, 410);
    assert!(found(&stand.engine, "u1").await.is_empty());
}

#[tokio::test]
async fn an_address_that_a_person_enters_is_shown_and_its_calls_carry_the_token() {
    let stand = stand(HOOKS).await;
    script(&stand);
    let id = stand.token("u1").await;
    let new = NewSubscription {
        trigger: "by_hand".into(),
        input: None,
        every_seconds: None,
    };
    let made = stand
        .engine
        .subscribe(&Actor::Host, &id, new)
        .await
        .unwrap();
    let manual = made.manual.unwrap();
    assert!(manual.say.starts_with("In Scripted"));
    let address = manual.url.rsplit_once('/').unwrap().1;
    let call = |token: Option<&str>| HookCall {
        method: "POST".into(),
        query: String::new(),
        headers: token
            .map(|token| ("X-Token".to_owned(), token.to_owned()))
            .into_iter()
            .collect(),
        body: br#"{"id": "n1"}"#.to_vec(),
    };
    for token in [None, Some(""), Some("x"), Some(&manual.secret[1..])] {
        assert_eq!(status_of(&stand.engine, address, call(token)).await, 401);
    }
    assert_eq!(
        status_of(&stand.engine, address, call(Some(&manual.secret))).await,
        200
    );
    assert_eq!(found(&stand.engine, "u1").await, ["n1"]);
}

#[tokio::test]
async fn neither_the_address_nor_the_secret_of_a_subscription_is_listed_logged_or_readable_in_the_store()
 {
    let stand = stand(HOOKS).await;
    script(&stand);
    let id = stand.token("u1").await;
    let ours = subscribe(&stand, &id).await;
    let view = stand
        .engine
        .subscription(&Actor::Host, &ours.id)
        .await
        .unwrap();
    let mut shown = serde_json::to_string(&view).unwrap();
    let events = stand.engine.events(None, None, Some(200)).await.unwrap();
    shown += &serde_json::to_string(&events).unwrap();
    let kind = keyport_vault::Kind::new("subscription");
    for head in stand
        .engine
        .inner
        .vault
        .list(kind, None, None, 10)
        .await
        .unwrap()
        .heads
    {
        shown += &head.clear.to_string();
    }
    let token = ours.address.split_once('.').unwrap().1;
    assert!(
        !shown.contains(token) && !shown.contains(&ours.secret),
        "{shown}"
    );
}
