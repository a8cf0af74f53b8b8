//! Actions and polls of an app with code of its own: in, out, errors, pages, choices, and over kills.

use keyport_tests::http::Client;
use serde_json::json;

use super::setting;

#[test]
fn coded_actions_are_listed_held_to_their_schemas_and_fail_in_their_own_words() {
    let mut setting = setting();
    let app = setting.platform.get("/v1/apps/coded");
    let ids = |kind: &str| -> Vec<String> {
        let all = app[kind].as_array().unwrap();
        all.iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        ids("actions"),
        [
            "list_notes",
            "all_notes",
            "get_note",
            "create_note",
            "misreport",
            "write_and_misreport",
            "write_in_secret"
        ]
    );
    assert_eq!(ids("events"), ["new_note", "note_sent", "note_of_anybody"]);
    let ada = setting.connect("owner-1", "ada");

    // In: told by field before anything runs.
    let refused = setting
        .run(&ada, "list_notes", json!({ "limit": 0, "page": 1 }))
        .expect(422)
        .json();
    let told = refused["errors"].as_array().unwrap();
    assert!(
        told.iter().any(|error| error["field"] == "input.limit"),
        "{refused}"
    );
    assert!(refused.to_string().contains("page"), "{refused}");

    // Pages that the guest follows.
    for n in 1..=5 {
        setting.writes(&ada, &format!("note {n}"));
    }
    let page = setting.output(&ada, "list_notes", json!({ "limit": 3 }));
    assert_eq!(
        (page["notes"].as_array().unwrap().len(), &page["more"]),
        (3, &json!(true))
    );
    let all = setting.output(&ada, "all_notes", json!({}));
    let titles: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|note| note["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles.len(), 7, "{titles:?}");
    assert_eq!(
        titles[2..],
        ["note 1", "note 2", "note 3", "note 4", "note 5"]
    );

    // What an input can be is listed by the guest too.
    let path = format!("/v1/connections/{}/actions/get_note/choices/id", ada.id);
    let choices = setting.platform.get(&path);
    assert_eq!(choices["choices"].as_array().unwrap().len(), 7);
    let narrowed = setting.platform.get(&format!("{path}?q=NOTE%203"));
    assert_eq!(
        narrowed["choices"],
        json!([{ "value": all[4]["id"], "label": "note 3" }])
    );
    let input = json!({ "id": narrowed["choices"][0]["value"] });
    assert_eq!(setting.output(&ada, "get_note", input)["title"], "note 3");
    let nothing = setting.platform.call(
        "GET",
        &format!(
            "/v1/connections/{}/actions/create_note/choices/title",
            ada.id
        ),
        None,
    );
    nothing.expect(404);

    // An error that the guest raises, as it says it.
    let missing = setting.run(&ada, "get_note", json!({ "id": "n_999999" }));
    assert_eq!(
        (missing.status, missing.code().as_str()),
        (404, "no_such_note"),
        "{}",
        missing.text()
    );
    assert_eq!(
        missing.json()["detail"],
        "there is no such note; choose one of those that are listed"
    );
    let long = setting.run(&ada, "create_note", json!({ "title": "x".repeat(201) }));
    assert_eq!(
        (long.status, long.code().as_str()),
        (422, "title_refused"),
        "{}",
        long.text()
    );
    assert_eq!(
        long.json()["detail"],
        "the vendor wants a title of 1 to 200 characters"
    );

    // Out: another thing than the manifest promises is no output, and of a write it is said that it was done.
    let wrong = setting.run(&ada, "misreport", json!({}));
    assert!(
        wrong.status >= 500 && !wrong.text().contains("\"output\""),
        "{}",
        wrong.text()
    );
    let written = setting.run(&ada, "write_and_misreport", json!({}));
    assert_eq!(
        written.code(),
        "done_with_unexpected_output",
        "{}",
        written.text()
    );
    // What says that it reads cannot write.
    let secret = setting.output(&ada, "write_in_secret", json!({}));
    assert!(secret["refused"].is_string(), "{secret}");
    let all = setting.output(&ada, "all_notes", json!({}));
    assert_eq!(
        all.as_array().unwrap().len(),
        8,
        "the one that was written, and none in secret: {all}"
    );

    // One key, one doing, over a host that is killed.
    let url = format!(
        "{}/v1/connections/{}/actions/create_note",
        setting.platform.url(),
        ada.id
    );
    let authorization = format!("Bearer {}", setting.platform.key());
    let once = |title: &str| {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", "k1"),
        ];
        let body = json!({ "input": { "title": title } })
            .to_string()
            .into_bytes();
        Client::new().send("POST", &url, &headers, Some(body))
    };
    let first = once("once").expect(200);
    setting.host.kill();
    setting.host.start_again();
    let again = once("once").expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json(), first.json());
    once("another").expect(422);
    let all = setting.output(&ada, "all_notes", json!({}));
    assert_eq!(all.as_array().unwrap().len(), 9);
    assert!(!setting.host.log().contains(&ada.key));
}

#[test]
fn a_coded_poll_goes_on_where_it_was_after_a_kill_and_hands_each_event_on_once() {
    let mut setting = setting();
    let ada = setting.connect("owner-1", "ada");
    setting.writes(&ada, "from before");
    let made = setting
        .subscribe(&ada.id, "new_note", json!({}))
        .expect(201)
        .json();
    assert_eq!(
        (&made["kind"], &made["state"]),
        (&json!("polling"), &json!("active")),
        "{made}"
    );
    let id = made["id"].as_str().unwrap();
    assert!(
        setting.found(id).is_empty(),
        "what was there before is no event"
    );

    let mut wanted = Vec::new();
    for round in 1..=3 {
        // More than a page of the guest's, which looks back each time.
        for n in 1..=6 {
            let title = format!("round {round}, note {n}");
            setting.writes(&ada, &title);
            wanted.push(title);
        }
        setting.poll(id);
        setting.host.kill();
        setting.host.start_again();
        let after = setting.poll(id);
        assert_eq!(after["state"], "active", "{after}");
        assert_eq!(setting.found(id), wanted);
    }
    // A vendor that is down, and the guest's own words for it; afterwards it goes on.
    let fault = json!({ "target": "api", "times": 50, "status": 503 });
    setting.control("faults", &fault).expect(204);
    let failing = setting.poll(id);
    assert_eq!(failing["state"], "failing", "{failing}");
    assert_eq!(failing["reason"]["code"], "provider_down", "{failing}");
    let url = format!("{}/control/faults", setting.vendor.vendor);
    Client::new().send("DELETE", &url, &[], None).expect(204);
    setting.writes(&ada, "after the storm");
    wanted.push("after the storm".to_owned());
    let mended = setting.poll(id);
    assert_eq!(mended["state"], "active", "{mended}");
    assert_eq!(setting.found(id), wanted);
}
