//! What token endpoints answer beside the standard, said by an OAuth server that is made to be misled: the cases of
//! `tests/cases/answers` (R7 to R10, R13), run by one host.

use keyport_tests::binary::repository;
use keyport_tests::http::Client;
use serde_json::{Value, json};

use crate::quirks::seconds_from_now;
use crate::signin_peers::{Setting, setting};

/// The cases, by name.
fn cases() -> Value {
    let path = repository().join("tests/cases/answers/cases.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

#[test]
fn answers_beside_the_standard_are_read_and_their_refusals_told_apart() {
    let setting = setting();
    let cases = cases();
    if setting.answers(&cases).is_none() {
        return;
    }
    let mut wrong = Vec::new();
    for (name, case) in cases.as_object().unwrap() {
        let differences = run(&setting, name, case);
        if !differences.is_empty() {
            wrong.push(format!(
                "{name} ({}): {}",
                case["what"].as_str().unwrap(),
                differences.join("; ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn run(setting: &Setting, name: &str, case: &Value) -> Vec<String> {
    let mut browser = setting.managing(&format!("answers-{name}"));
    let method = case["method"].as_str().unwrap_or("plain");
    let fields = json!({ "case": name });
    let (flow, go) = setting.begin(&mut browser, "answers", method, &fields);
    let left = browser.client.get(&go, &[]);
    let page = left.header("location").expect("it leaves").to_owned();
    let agreed = Client::new().get(&page, &[]);
    let back = agreed.header("location").expect("it comes back").to_owned();
    browser.client.get(&back, &[]);
    let view = browser.settled(&flow);

    let expect = &case["expect"];
    let mut wrong = Vec::new();
    let mut hold = |what: &str, wanted: &Value, found: &Value| {
        if !wanted.is_null() && wanted != found {
            wrong.push(format!("{what} should be {wanted}, not {found}"));
        }
    };
    if let Some(code) = expect["error"].as_str() {
        hold("the error", &json!(code), &view["error"]["code"]);
        return wrong;
    }
    if view["status"] != "connected" {
        return vec![format!("it should have connected: {view}")];
    }
    let id = view["connection_id"].as_str().unwrap();
    let before = setting.connection(id);
    let missing = before.get("missing_scopes").cloned().unwrap_or(json!([]));
    hold("missing scopes", &expect["missing"], &missing);
    let shown = (!case["refresh"].is_null()).then(|| {
        let used = setting.proxied(id, "/userinfo");
        match used.status {
            200 => used.json()["shown"].clone(),
            _ => Value::Null,
        }
    });
    let after = setting.connection(id);
    hold("scopes", &expect["scopes"], &after["scopes"]);
    hold("the state", &expect["state"], &after["state"]);
    hold("the reason", &expect["reason"], &after["reason"]["code"]);
    hold(
        "what was shown",
        &expect["shown"],
        &shown.unwrap_or_default(),
    );
    lives(&expect["lives"], &before, &mut wrong);
    wrong
}

fn lives(wanted: &Value, connection: &Value, wrong: &mut Vec<String>) {
    let ends = connection["expires_at"].as_str();
    let left = ends.map(seconds_from_now);
    let good = match (wanted, left) {
        (Value::Null, _) | (Value::String(_), None) => true,
        (Value::Array(range), Some(left)) => {
            (range[0].as_i64().unwrap()..=range[1].as_i64().unwrap()).contains(&left)
        }
        _ => false,
    };
    if !good {
        wrong.push(format!("its life should be {wanted}, not {left:?}"));
    }
}
