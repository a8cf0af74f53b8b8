//! Code of a component's own around a connection, and credentials in the clear: only where the manifest names it, and only
//! when the operator says so.

use keyport_tests::host::{Host, Setup};
use keyport_tests::script::Provider;
use serde_json::{Value, json};

const KEY: &str = "a-key-that-is-long-enough-0123456789";

fn request(method: &str, path: &str) -> Value {
    let request = json!({ "method": method, "url": format!("https://api.whole.example{path}"), "headers": { "authorization": format!("Bearer {KEY}") } });
    json!({ "request": request, "answer": { "status": 200, "json": { "name": "Ada", "line": "the workspace" } } })
}

#[test]
fn code_of_the_components_own_runs_after_the_test_and_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = keyport_tests::binary::repository().join("tests/apps/whole/manifest.yaml");
    std::fs::copy(manifest, folder.path().join("manifest.yaml")).unwrap();
    std::fs::copy(
        keyport_tests::guest::build("hostile-whole"),
        folder.path().join("component.wasm"),
    )
    .unwrap();
    let provider = Provider::start(["https://api.whole.example".to_owned()]);
    let mut host = Host::start(Setup {
        apps: vec![folder.path().to_owned()],
        origins: provider.overrides(),
        ..Setup::default()
    });
    let platform = host.platform();
    let import = || {
        let fields = json!({ "token": KEY });
        platform.post(
            "/v1/connections",
            &json!({ "owner": "o", "app": "whole", "method": "key", "fields": fields }),
        )
    };
    let done = || {
        let (complaints, seen) = provider.finish();
        assert!(complaints.is_empty(), "{complaints:?}");
        seen.len()
    };

    // The component asks for credentials in the clear. Until the operator has said yes, none of it runs.
    let refused = import();
    assert!(
        refused.text().contains("raw_credentials"),
        "{} {}",
        refused.status,
        refused.text()
    );
    assert_eq!(done(), 0);
    platform.configure("whole", &json!({ "grants": { "raw_credentials": true } }));

    provider.play(&[request("GET", "/me"), request("GET", "/workspace")]);
    let connection = import().expect(201).json();
    assert_eq!(connection["state"], "connected", "{connection}");
    assert_eq!(done(), 2);
    let id = connection["id"].as_str().unwrap();

    // What it found out is there from now on; what the manifest does not name is not; and the key is, for this app.
    let output = platform
        .post(
            &format!("/v1/connections/{id}/actions/context"),
            &json!({ "input": {} }),
        )
        .expect(200)
        .json()["output"]
        .clone();
    assert_eq!(output["workspace"], "the workspace", "{output}");
    assert_eq!(output["beside"], Value::Null);
    assert_eq!(output["raw"], KEY);

    // A test later on does not run it again.
    provider.play(&[request("GET", "/me")]);
    let report = platform.post(&format!("/v1/connections/{id}/test"), &json!({}));
    assert_eq!(report.expect(200).json()["ok"], true);
    assert_eq!(done(), 1);

    provider.play(&[request("POST", "/goodbye")]);
    platform
        .post(&format!("/v1/connections/{id}/disconnect"), &json!({}))
        .expect(200);
    assert_eq!(done(), 1);
    let now = platform.get(&format!("/v1/connections/{id}"));
    assert_eq!(now["state"], "disconnected", "{now}");

    // Its failure keeps nobody from leaving.
    provider.play(&[request("GET", "/me"), request("GET", "/workspace")]);
    let second = import().expect(201).json();
    assert_eq!(done(), 2);
    let mut no = request("POST", "/goodbye");
    no["answer"]["status"] = json!(500);
    provider.play(&[no]);
    let path = format!(
        "/v1/connections/{}/disconnect",
        second["id"].as_str().unwrap()
    );
    platform.post(&path, &json!({})).expect(200);
    assert_eq!(done(), 1);
    assert!(!host.log().contains(KEY), "the log holds the key");
}
