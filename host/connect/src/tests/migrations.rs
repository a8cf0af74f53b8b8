//! Connections that an older manifest made, under a newer one: values brought to their new names before anybody uses them.

use serde_json::json;

use super::provider::*;
use super::*;
use crate::connection::migrate::MIGRATED;
use crate::record::{Connection, Stored};

/// Two versions of a way to sign in by pasted keys; what `app` writes around them is the same.
const OLD: &str = "    fields:\n      - { id: own_id, label: Client id }\n      - { id: own_secret, label: Client secret, secret: true }\n\
    \x20   grant: client_credentials\n    token_url: https://as.keyport.test/token\n\
    \x20   client: { operator: false, owner: { id: '{{ credentials.own_id }}', secret: '{{ credentials.own_secret }}' } }\n\
    \x20   refresh: { by: sign_in_again }\n    revoke: { none: The pretend app has no such call. }\n";

/// The new version: both fields have other names, and `more` is written behind the whole manifest.
fn newer(fields: &str, migration: &str) -> String {
    let auth = OLD
        .replace("own_id", "client")
        .replace("own_secret", "key")
        .replace("    grant:", &format!("{fields}    grant:"));
    app(&auth).replace("version: 1.0.0", "version: 2.0.0") + migration
}

const RENAME: &str =
    "migrations:\n  - { from: '<2.0.0', rename: { own_id: client, own_secret: key } }\n";

fn tokens_for_anybody(stand: &Stand) {
    stand.script(|seen| (seen.path == "/token").then(|| json(soon("at"))));
}

fn soon(access: &str) -> serde_json::Value {
    json!({ "access_token": access, "token_type": "Bearer", "expires_in": 60 })
}

async fn connected(stand: &Stand) -> String {
    tokens_for_anybody(stand);
    let session = stand.session("u1").await;
    let form = stand.form(&[
        ("own_id", "ada"),
        ("own_secret", "adas/own/secret-1"),
        ("team", "acme"),
    ]);
    let flow = stand
        .engine
        .connect_with_form(&session, form)
        .await
        .unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    flow.connection_id.unwrap()
}

async fn read(engine: &Engine, id: &str) -> Stored<Connection> {
    engine.load(id).await.unwrap()
}

async fn noted(engine: &Engine) -> usize {
    let all = engine.heads::<record::Event>(None).await.unwrap();
    all.iter()
        .filter(|event| event.clear.kind == "connection.migrated")
        .count()
}

#[tokio::test]
async fn values_are_brought_to_their_new_names_and_the_connection_goes_on() {
    let stand = Stand::new(OLD).await;
    let id = connected(&stand).await;
    assert_eq!(
        read(&stand.engine, &id).await.clear.version.as_deref(),
        Some("1.0.0")
    );
    let engine = stand.with_yaml(&newer("", RENAME)).await;
    // Its token has ended: a new one is asked for with what has other names now.
    stand.pass(3600);
    let before = stand.seen().len();
    let report = engine.test(&Actor::Host, &id).await.unwrap();
    assert!(report.ok, "{report:?}");
    let asked = stand.seen().remove(before);
    assert_eq!(asked.form()["client_id"], "ada");
    assert_eq!(asked.form()["client_secret"], "adas/own/secret-1");
    let stored = read(&engine, &id).await;
    let sealed = stored.sealed.as_ref().unwrap();
    let names: Vec<&str> = sealed.credentials.keys().map(String::as_str).collect();
    assert_eq!(names, ["client", "key"]);
    assert_eq!(sealed.fields["team"].expose(), "acme");
    assert_eq!(stored.clear.version.as_deref(), Some("2.0.0"));
    assert_eq!(stored.clear.state, ConnectionState::Connected);
    // Once, however often it is read, and by whichever host.
    read(&stand.with_yaml(&newer("", RENAME)).await, &id).await;
    assert_eq!(noted(&engine).await, 1);
}

#[tokio::test]
async fn of_two_hosts_that_read_it_at_once_one_writes_and_both_go_on() {
    let stand = Stand::new(OLD).await;
    let id = connected(&stand).await;
    let (one, other) = (
        stand.with_yaml(&newer("", RENAME)).await,
        stand.with_yaml(&newer("", RENAME)).await,
    );
    let all = futures_util::future::join_all((0..20).map(|n| {
        if n % 2 == 0 {
            one.load::<Connection>(&id)
        } else {
            other.load(&id)
        }
    }))
    .await;
    for stored in all {
        let stored = stored.unwrap();
        assert_eq!(stored.sealed.unwrap().credentials["client"].expose(), "ada");
    }
    assert_eq!(noted(&one).await, 1);
}

#[tokio::test]
async fn what_was_made_before_versions_were_written_down_is_brought_up_too() {
    let stand = Stand::new(OLD).await;
    let id = connected(&stand).await;
    let mut stored = read(&stand.engine, &id).await;
    stored.clear.version = None;
    let write = record::put::<Connection>(
        &stored.id,
        keyport_vault::Expect::At(stored.rev),
        &stored.clear,
        record::Seal::Keep,
    );
    stand.engine.commit(vec![write.unwrap()]).await.unwrap();
    let engine = stand.with_yaml(&newer("", RENAME)).await;
    let sealed = read(&engine, &id).await.sealed.unwrap();
    assert_eq!(sealed.credentials["key"].expose(), "adas/own/secret-1");
}

#[tokio::test]
async fn new_fields_get_their_constant_or_default_and_what_is_missing_is_asked_for() {
    let stand = Stand::new(OLD).await;
    let id = connected(&stand).await;
    let set = "migrations:\n  - { from: '<2.0.0', rename: { own_id: client, own_secret: key }, set: { region: eu } }\n";
    let region = "      - { id: region, label: Region, choices: [eu, us] }\n      - { id: mode, label: Mode, default: full }\n";
    let stored = read(&stand.with_yaml(&newer(region, set)).await, &id).await;
    let sealed = stored.sealed.unwrap();
    assert_eq!(sealed.credentials["region"].expose(), "eu");
    assert_eq!(sealed.credentials["mode"].expose(), "full");
    assert_eq!(stored.clear.state, ConnectionState::Connected);

    let other = Stand::new(OLD).await;
    let id = connected(&other).await;
    let engine = other.with_yaml(&newer(region, RENAME)).await;
    let reason = read(&engine, &id).await.clear.reason.unwrap();
    assert_eq!(reason.code, "details_missing");
    assert!(reason.say.contains("Region"), "{}", reason.say);
}

/// A migration that makes an address of what was a secret, by mistake or on purpose: what is not of the form of its new
/// field does not get there, and nothing is sent anywhere.
#[tokio::test]
async fn a_value_that_is_not_of_its_new_form_is_dropped_and_nothing_is_tried_with_it() {
    let stand = Stand::new(OLD).await;
    let id = connected(&stand).await;
    let evil =
        "migrations:\n  - { from: '<2.0.0', rename: { own_secret: team, own_id: client } }\n";
    let engine = stand.with_yaml(&newer("", evil)).await;
    let before = (stand.seen().len(), stand.calls("api").len());
    let stored = read(&engine, &id).await;
    let sealed = stored.sealed.as_ref().unwrap();
    assert!(
        !sealed
            .fields
            .values()
            .any(|value| value.expose().contains("adas/own"))
    );
    assert_eq!(stored.clear.state, ConnectionState::NeedsReconnect);
    let after = (stand.seen().len(), stand.calls("api").len());
    assert_eq!(after, before, "nothing is tried by itself");
    // What the old token can still do proves nothing of what is missing.
    engine.test(&Actor::Host, &id).await.unwrap();
    assert_eq!(stand.seen().len(), before.0, "no token is asked for");
    let view = engine.get(&Actor::Host, &id).await.unwrap();
    assert_eq!(view.state, ConnectionState::NeedsReconnect);
}

#[tokio::test]
async fn where_people_must_sign_in_again_they_are_told_and_a_test_does_not_do_instead() {
    let stand = Stand::new(OLD).await;
    let id = connected(&stand).await;
    let again = "migrations:\n  - { from: '<2.0.0', rename: { own_id: client, own_secret: key }, reconnect: The app has a new sign-in. }\n";
    let engine = stand.with_yaml(&newer("", again)).await;
    let stored = read(&engine, &id).await;
    assert_eq!(stored.clear.state, ConnectionState::NeedsReconnect);
    let reason = stored.clear.reason.unwrap();
    assert_eq!(
        (reason.code.as_str(), reason.say.as_str()),
        (MIGRATED, "The app has a new sign-in.")
    );
    engine.test(&Actor::Host, &id).await.unwrap();
    let view = engine.get(&Actor::Host, &id).await.unwrap();
    assert_eq!(view.state, ConnectionState::NeedsReconnect);
    // The person signs in again, under the same id.
    let session = stand.session("u1").await;
    let mut form = stand.form(&[
        ("client", "ada"),
        ("key", "adas/own/secret-2"),
        ("team", "acme"),
    ]);
    form.connection_id = Some(id.clone());
    let flow = engine.connect_with_form(&session, form).await.unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let stored = read(&engine, &id).await;
    assert_eq!(stored.clear.state, ConnectionState::Connected);
    assert_eq!(stored.clear.version.as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn a_connection_that_was_signed_out_stays_so() {
    let stand = Stand::new(OLD).await;
    let id = connected(&stand).await;
    stand.engine.disconnect(&Actor::Host, &id).await.unwrap();
    let engine = stand.with_yaml(&newer("", RENAME)).await;
    let stored = read(&engine, &id).await;
    assert_eq!(stored.clear.state, ConnectionState::Disconnected);
    assert_eq!(noted(&engine).await, 0);
}
