//! An app with code of its own: its component signs requests without ever seeing the key, against a vendor that checks.

use keyport_tests::host::Dev;
use keyport_tests::http::Client;
use keyport_tests::platform::Platform;
use serde_json::{Value, json};

fn setting() -> (Dev, Platform, Value) {
    let dev = Dev::start(&[]);
    let key = std::fs::read_to_string(dev.folder().join("platform.key")).unwrap();
    let platform = Platform::new(dev.keyport.clone(), key.trim().to_owned());
    let all = Client::new()
        .get(&format!("{}/control/credentials", dev.vendor), &[])
        .expect(200)
        .json();
    let ada = all["credentials"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["email"].as_str().unwrap().starts_with("ada"));
    let ada = ada.unwrap().clone();
    (dev, platform, ada)
}

fn import(platform: &Platform, key_id: &Value, secret: &Value) -> keyport_tests::http::Answer {
    let fields = json!({ "key_id": key_id, "signing_secret": secret });
    platform.post(
        "/v1/connections",
        &json!({ "owner": "owner-1", "app": "sandbox-signed", "method": "key_pair", "fields": fields }),
    )
}

#[test]
fn the_component_signs_acts_and_polls_and_a_wrong_key_is_refused() {
    let (_dev, platform, ada) = setting();
    let wrong = import(
        &platform,
        &ada["signing_key_id"],
        &json!("not-the-signing-secret"),
    );
    assert!(wrong.status >= 400, "{}", wrong.text());
    assert_eq!(platform.get("/v1/connections")["items"], json!([]));

    let connection = import(&platform, &ada["signing_key_id"], &ada["signing_secret"])
        .expect(201)
        .json();
    assert_eq!(connection["state"], "connected");
    assert!(
        connection["account"]["label"]
            .as_str()
            .unwrap()
            .contains("Ada"),
        "{connection}"
    );
    let id = connection["id"].as_str().unwrap();

    let poll = |cursor: &Value| {
        let path = format!("/v1/connections/{id}/triggers/message_received/poll");
        platform
            .post(&path, &json!({ "input": {}, "cursor": cursor }))
            .expect(200)
            .json()
    };
    let before = poll(&Value::Null);
    let action = |name: &str, input: Value| {
        let path = format!("/v1/connections/{id}/actions/{name}");
        platform
            .post(&path, &json!({ "input": input }))
            .expect(200)
            .json()["output"]
            .clone()
    };
    let sent = action(
        "send_message",
        json!({ "text": "signed without seeing the key" }),
    );
    let names: Vec<&String> = sent.as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "text", "at"], "as the manifest says");
    let listed = action("list_messages", json!({}));
    assert!(
        listed["messages"].as_array().unwrap().contains(&sent),
        "{listed}"
    );
    let after = poll(&before["cursor"]);
    assert_eq!(
        after["events"],
        json!([sent]),
        "only what is new since the cursor"
    );
    assert_eq!(poll(&after["cursor"])["events"], json!([]));
}
