//! Events that an app sends to one address for all connections: whom they reach. Whom no trick makes them reach is in [`forged`], what
//! becomes of them when a connection or a secret changes in [`life`].

mod forged;
mod life;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::discovery;
use super::provider::{Stand, code_for, json};
use super::*;

const SIGNING_SECRET: &str = "signing-secret-of-the-first-client";
const OTHER_SECRET: &str = "signing-secret-of-the-other-client";

/// Slack's shape: an address for each client, calls signed with that client's signing secret, teams told apart by their ids.
fn yaml() -> String {
    r#"
manifest: 1
id: scripted
name: Scripted
version: 1.0.0
summary: An app that answers as a test says.
component: rest
api:
  base_url: https://api.keyport.test
auth:
  main:
    type: oauth2
    label: Sign in
    authorize_url: https://as.keyport.test/authorize
    token_url: https://as.keyport.test/token
    client:
      operator: true
      owner: { id: "{{ credentials.own_id }}", secret: "{{ credentials.own_secret }}" }
    fields:
      - { id: own_id, label: Client id, required: false }
      - { id: own_secret, label: Client secret, secret: true, required: false }
    scopes: { default: [history] }
    capture:
      team_id: { path: $.team.id }
    refresh: { rotates: maybe }
    revoke: { none: The pretend app has no such call. }
  pasted:
    type: bearer
    label: Token
test:
  request: { method: GET, path: /me }
  ok: { status: 200, body: $.id }
  account: { id: "{{ body.id }}", label: "{{ body.id }}" }
webhook:
  manual: Enter this address at the app, under event subscriptions.
  verify:
    type: hmac_sha256
    key: "{{ webhook.secret }}"
    header: x-signature
    prefix: "v0="
    message: "v0:{{ headers['x-time'] }}:{{ request.body }}"
    timestamp: "{{ headers['x-time'] }}"
  challenge: { when: { path: $.type, equals: url_verification }, answer: "{{ body.challenge }}" }
  tenant: { event: "{{ body.team_id }}", connection: "{{ capture.team_id }}" }
triggers:
  message:
    title: Message
    description: Somebody wrote.
    kind: webhook_app
    scopes: [history]
    input: { type: object, properties: { channel: { type: string } } }
    output: { type: object, required: [text], properties: { text: { type: string } } }
    when:
      - { path: $.event.type, equals: message }
      - { path: $.event.subtype, exists: false }
    only: [{ event: "{{ body.event.channel }}", is: "{{ input.channel }}" }]
    items: $.event
    dedupe: "{{ body.event_id }}"
    sample: { text: Hello }
"#
    .to_owned()
}

fn client(secret: Option<&str>) -> NewConfiguration {
    NewConfiguration {
        client_id: Some("client".into()),
        client_secret: Some(CLIENT_SECRET.into()),
        webhook_secret: secret.map(Into::into),
        ..NewConfiguration::default()
    }
}

async fn stand() -> Stand {
    Stand::whole(yaml(), client(Some(SIGNING_SECRET))).await
}

/// Whoever signs in next is of this team, with these scopes.
fn team(stand: &Stand, team: &str, scope: &str) {
    let answer = json!({
        "access_token": format!("access-token-of-{team}"), "token_type": "Bearer", "expires_in": 3600,
        "scope": scope, "team": { "id": team },
    });
    stand.script(move |seen| match seen.line().as_str() {
        "POST as/token" => Some(json(answer.clone())),
        _ => None,
    });
}

async fn connected(stand: &Stand, owner: &str, of: &str) -> String {
    team(stand, of, "history");
    signed_in(stand, owner, None, &[], None).await
}

/// A whole sign-in, with another configuration or anew where that is said.
async fn signed_in(
    stand: &Stand,
    owner: &str,
    config: Option<&str>,
    fields: &[(&str, &str)],
    again: Option<&str>,
) -> String {
    let session = stand.session(owner).await;
    let mut start = stand.start(fields);
    start.config = config.map(str::to_owned);
    start.connection_id = again.map(str::to_owned);
    let started = stand.engine.start_oauth(&session, start).await.unwrap();
    let go = stand.engine.go(&session, &started.flow.id).await.unwrap();
    let url = Url::parse(&go.authorize_url).unwrap();
    let sent: std::collections::BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let back = config.unwrap_or(&stand.config.id);
    stand
        .engine
        .callback(back, code_for(&sent), &jar(&go))
        .await;
    let flow = stand.engine.flow(&session, &started.flow.id).await.unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    flow.connection_id.unwrap()
}

async fn subscribe(
    stand: &Stand,
    connection: &str,
    input: Value,
) -> Result<SubscriptionView, ConnectError> {
    let new = NewSubscription {
        trigger: "message".into(),
        input: Some(input),
        every_seconds: None,
    };
    stand.engine.subscribe(&Actor::Host, connection, new).await
}

fn event(team: &str, id: &str, channel: &str) -> String {
    // Written as no serializer of ours would: the signature is over these very bytes.
    format!(
        "{{ \"type\":\"event_callback\",  \"team_id\":\"{team}\", \"event_id\":\"{id}\",\n \"event\":{{\"type\":\"message\",\"channel\":\"{channel}\",\"text\":\"text of {id}\"}} }}"
    )
}

/// A call as the app makes it, at `NOW` plus so many seconds.
fn signed(secret: &str, body: &str, late: i64) -> HookCall {
    let time = (NOW + late).to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{time}:{body}").as_bytes());
    let mac: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HookCall {
        method: "POST".into(),
        query: String::new(),
        headers: vec![
            ("content-type".into(), "application/json".into()),
            ("x-time".into(), time),
            ("x-signature".into(), format!("v0={mac}")),
        ],
        body: body.as_bytes().to_vec(),
    }
}

async fn send(stand: &Stand, call: HookCall) -> u16 {
    stand.engine.app_hook(&stand.config.id, call).await.status
}

async fn found(stand: &Stand, owner: &str) -> Vec<String> {
    let query = TriggerEventQuery {
        owner: Some(owner.into()),
        ..TriggerEventQuery::default()
    };
    let page = stand.engine.trigger_events(&Actor::Host, &query).await;
    let text = |event: &TriggerEventView| event.event["text"].as_str().unwrap().to_owned();
    page.unwrap().items.iter().map(text).collect()
}

#[tokio::test]
async fn an_event_reaches_the_connections_of_its_team_and_nobody_else() {
    let stand = stand().await;
    let (one, two) = (
        connected(&stand, "u1", "T1").await,
        connected(&stand, "u2", "T2").await,
    );
    let also = connected(&stand, "u3", "T1").await;
    for id in [&one, &two, &also] {
        let made = subscribe(&stand, id, json!({})).await.unwrap();
        assert_eq!(made.kind, SubscriptionKind::WebhookApp);
        assert!(made.manual.is_none());
    }
    let call = signed(SIGNING_SECRET, &event("T1", "Ev1", "C1"), 0);
    assert_eq!(send(&stand, call.clone()).await, 200);
    // Sent again: whoever was not heard sends again (`X-Slack-Retry-Num`), also signed anew.
    let mut again = call.clone();
    again.headers.push(("x-slack-retry-num".into(), "1".into()));
    assert_eq!(send(&stand, again).await, 200);
    let anew = signed(SIGNING_SECRET, &event("T1", "Ev1", "C1"), 30);
    assert_eq!(send(&stand, anew).await, 200);
    assert_eq!(found(&stand, "u1").await, ["text of Ev1"]);
    assert_eq!(
        found(&stand, "u3").await,
        ["text of Ev1"],
        "both signed in to this team"
    );
    assert!(found(&stand, "u2").await.is_empty());

    // Teams that are nobody's, or nearly somebody's, or not said.
    for team in ["T3", "t1", "T1 ", "T", "T11", "", "T1\\u0000"] {
        let foreign = signed(SIGNING_SECRET, &event(team, "Ev2", "C1"), 0);
        assert_eq!(send(&stand, foreign).await, 200, "{team}");
    }
    let unsaid = signed(SIGNING_SECRET, r#"{"type":"app_rate_limited"}"#, 0);
    assert_eq!(send(&stand, unsaid).await, 200);
    for told in [r#"["T1"]"#, r#"{"0":"T1"}"#, "true", "null"] {
        let body = event("T1", "Ev3", "C1").replace("\"T1\"", told);
        assert_eq!(
            send(&stand, signed(SIGNING_SECRET, &body, 0)).await,
            200,
            "{told}"
        );
    }
    // What a call says of owners and connections is content, nothing else.
    let body = event("T2", "Ev4", "C1").replacen(
        '{',
        &format!("{{\"owner\":\"u1\",\"connection_id\":\"{one}\","),
        1,
    );
    assert_eq!(send(&stand, signed(SIGNING_SECRET, &body, 0)).await, 200);
    assert_eq!(found(&stand, "u1").await, ["text of Ev1"]);
    assert_eq!(found(&stand, "u2").await, ["text of Ev4"]);
}

#[tokio::test]
async fn a_trigger_takes_the_calls_that_it_says_and_a_subscription_those_that_it_wants() {
    let stand = stand().await;
    let id = connected(&stand, "u1", "T1").await;
    subscribe(&stand, &id, json!({"channel": "C1"}))
        .await
        .unwrap();
    for (event_id, channel) in [("Ev1", "C1"), ("Ev2", "C2"), ("Ev3", "")] {
        let call = signed(SIGNING_SECRET, &event("T1", event_id, channel), 0);
        assert_eq!(send(&stand, call).await, 200);
    }
    let edited = event("T1", "Ev4", "C1")
        .replace("\"channel\"", "\"subtype\":\"message_changed\",\"channel\"");
    assert_eq!(send(&stand, signed(SIGNING_SECRET, &edited, 0)).await, 200);
    let other = event("T1", "Ev5", "C1").replace("\"message\"", "\"reaction_added\"");
    assert_eq!(send(&stand, signed(SIGNING_SECRET, &other, 0)).await, 200);
    assert_eq!(found(&stand, "u1").await, ["text of Ev1"]);
}

#[tokio::test]
async fn many_subscriptions_of_a_team_have_an_event_once_each_whoever_takes_it() {
    let stand = stand().await;
    let id = connected(&stand, "u1", "T1").await;
    for _ in 0..120 {
        subscribe(&stand, &id, json!({})).await.unwrap();
    }
    let other = stand.restarted().await;
    let call = || signed(SIGNING_SECRET, &event("T1", "Ev1", "C1"), 0);
    let (here, there) = tokio::join!(
        stand.engine.app_hook(&stand.config.id, call()),
        other.app_hook(&stand.config.id, call()),
    );
    // Two at once may hinder each other until one is told to send again; that is what an app does.
    for status in [here.status, there.status] {
        assert!(matches!(status, 200 | 503), "{status}");
    }
    let restarted = stand.restarted().await;
    assert_eq!(
        restarted.app_hook(&stand.config.id, call()).await.status,
        200
    );
    let query = TriggerEventQuery {
        limit: Some(200),
        ..TriggerEventQuery::default()
    };
    let all = stand
        .engine
        .trigger_events(&Actor::Host, &query)
        .await
        .unwrap();
    assert_eq!(all.items.len(), 120);
}
