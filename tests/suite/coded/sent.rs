//! What the vendor sends: to an address of a subscription's own, and to one address for everybody.

use keyport_tests::browser::Browser;
use keyport_tests::http::{Client, join};
use serde_json::{Value, json};

use super::{Account, Setting, setting, until};

#[test]
fn what_the_vendor_sends_is_believed_if_it_is_the_vendors_and_taken_once() {
    let mut setting = setting();
    let (ada, grace) = (
        setting.connect("owner-1", "ada"),
        setting.connect("owner-2", "grace"),
    );
    // To be subscribed at all, the challenge had to be answered.
    let made = setting
        .subscribe(&ada.id, "note_sent", json!({}))
        .expect(201)
        .json();
    let id = made["id"].as_str().unwrap();
    let hers = setting
        .subscribe(&grace.id, "note_sent", json!({}))
        .expect(201)
        .json();
    let hers = hers["id"].as_str().unwrap();
    let hooks = |account: &Account| {
        let url = format!("{}/api/hooks", setting.vendor.vendor);
        let all = Client::new().get(&url, &[("x-api-key", account.key.as_str())]);
        all.expect(200).json()["hooks"].as_array().unwrap().clone()
    };
    assert_eq!(hooks(&ada).len(), 1);
    let address = hooks(&ada)[0]["url"].as_str().unwrap().to_owned();

    setting.writes(&ada, "sent at once");
    let delivery = setting.delivery("sent at once", &address);
    assert_eq!(delivery["answers"], json!([200]), "{delivery}");
    assert_eq!(setting.found(id), ["sent at once"]);
    assert!(setting.found(hers).is_empty());

    // As a vendor that was not heard, and as one that hurries.
    for how in ["again", "signed_anew", "ten_times"] {
        let answers = setting.again(&delivery, how);
        assert!(
            answers.iter().all(|answer| *answer == 200),
            "{how}: {answers:?}"
        );
    }
    // As nobody should.
    for (how, status) in [
        ("unsigned", 401),
        ("forged", 401),
        ("altered", 401),
        ("late", 401),
        ("huge", 413),
    ] {
        assert_eq!(setting.again(&delivery, how), [json!(status)], "{how}");
    }
    let about = setting.again_about(&delivery, "about_account", Some(&grace.user));
    assert_eq!(about, [json!(200)], "believed, and nobody's here");
    assert_eq!(setting.found(id), ["sent at once"]);
    assert!(setting.found(hers).is_empty());

    // While the host is down the vendor tries again; what it gave up on is in its hands to send later, once.
    setting.host.kill();
    setting.writes(&ada, "while it was down");
    let missed = until("the vendor to give up", || {
        let all = setting.deliveries();
        all.into_iter().find(|one| {
            one["event"]["note"]["title"] == "while it was down"
                && one["answers"] == json!([0, 0, 0])
        })
    });
    setting.host.start_again();
    for _ in 0..2 {
        assert_eq!(setting.again(&missed, "signed_anew"), [json!(200)]);
    }
    assert_eq!(setting.found(id), ["sent at once", "while it was down"]);
    assert_eq!(
        setting.again(&delivery, "signed_anew"),
        [json!(200)],
        "known over a restart"
    );
    assert_eq!(setting.found(id).len(), 2);

    setting
        .platform
        .call("DELETE", &format!("/v1/subscriptions/{id}"), None)
        .expect(204);
    assert!(hooks(&ada).is_empty(), "the vendor was told");
    assert_eq!(setting.again(&delivery, "fresh"), [json!(404)]);
    assert_eq!(hooks(&grace).len(), 1);
}

/// Signs `user` in at the vendor, which asks nobody, and completes the connection.
fn signed_in(setting: &Setting, owner: &str, user: &str, config: &str) -> String {
    setting
        .control("auto-consent", &json!({ "user": user }))
        .expect(204);
    let more = json!({ "apps": ["coded"], "return_url": "http://127.0.0.1:9/done" });
    let (session, link) = setting.platform.session(owner, "connect", &more);
    let mut browser = Browser::open(&link);
    let wanted = json!({ "app": "coded", "method": "oauth", "mode": "redirect", "config": config });
    let started = browser
        .call("POST", "/page/flows", Some(&wanted))
        .expect(200)
        .json();
    let go = join(&setting.host.url(), started["go_url"].as_str().unwrap());
    let first = browser.client.get(&go, &[]);
    let callback = format!("{}/oauth/callback/", setting.host.url());
    let (url, _) = browser
        .client
        .follow(&go, first, |next| !next.starts_with(&callback));
    assert!(url.starts_with(&callback), "{url}");
    browser.client.get(&url, &[]);
    let view = browser.settled(started["flow"]["id"].as_str().unwrap());
    assert_eq!(view["status"], "awaiting_completion", "{view}");
    let code = view["completion"]["code"].as_str().unwrap();
    let done = setting
        .platform
        .complete(&session, code, owner)
        .expect(200)
        .json();
    done["connection"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_events_of_everybody_that_come_to_one_address_reach_those_whom_they_are_about() {
    let setting = setting();
    let prefix = format!("{}/oauth/callback/", setting.host.url());
    let configure = |client: &str, signs: &str| {
        let secret = format!("{client}-secret-0123456789");
        let new = json!({ "id": client, "secret": secret, "redirect_prefix": prefix });
        setting.control("clients", &new).expect(204);
        let new = json!({ "client_id": client, "client_secret": secret, "webhook_secret": signs });
        let id = setting.platform.configure("coded", &new);
        let view = setting.platform.get(&format!("/v1/configurations/{id}"));
        assert_eq!(view["webhook"]["has_secret"], true, "{view}");
        assert!(!view.to_string().contains(signs));
        (id, view["webhook"]["url"].as_str().unwrap().to_owned())
    };
    let (one, one_url) = configure("client-one", "signs-for-client-one-0123");
    let (two, two_url) = configure("client-two", "signs-for-client-two-0123");
    // The vendor is told the address, and its challenge is answered: only where it signs as the operator said.
    let told = |client: &str, url: &str, secret: &str| {
        setting
            .control(
                "client-events",
                &json!({ "client": client, "url": url, "secret": secret }),
            )
            .status
    };
    assert_eq!(
        told("client-one", &one_url, "signs-for-client-two-0123"),
        422
    );
    assert_eq!(
        told("client-one", &one_url, "signs-for-client-one-0123"),
        204
    );
    assert_eq!(
        told("client-two", &two_url, "signs-for-client-two-0123"),
        204
    );

    let (ada, grace) = (
        setting.connect("pasted", "ada"),
        setting.connect("pasted", "grace"),
    );
    let adas = signed_in(&setting, "owner-1", &ada.user, &one);
    let graces = signed_in(&setting, "owner-2", &grace.user, &one);
    let elsewhere = signed_in(&setting, "owner-3", &ada.user, &two);
    let subscribe = |connection: &str, input: Value| {
        let made = setting
            .subscribe(connection, "note_of_anybody", input)
            .expect(201)
            .json();
        assert_eq!(made["kind"], "webhook_app", "{made}");
        made["id"].as_str().unwrap().to_owned()
    };
    let (a, g) = (subscribe(&adas, json!({})), subscribe(&graces, json!({})));
    let picky = subscribe(&adas, json!({ "title": "wanted" }));
    let e = subscribe(&elsewhere, json!({}));
    // Who has pasted a key is nobody whom the client's events are about.
    let pasted = setting.subscribe(&ada.id, "note_of_anybody", json!({}));
    assert_eq!(
        (pasted.status, pasted.code().as_str()),
        (409, "not_of_this_client"),
        "{}",
        pasted.text()
    );

    setting.writes(&ada, "of ada");
    setting.writes(&grace, "of grace");
    let of_ada = setting.delivery("of ada", &one_url);
    let of_grace = setting.delivery("of grace", &one_url);
    let to_two = setting.delivery("of ada", &two_url);
    for one in [&of_ada, &of_grace, &to_two] {
        let answers = one["answers"].as_array().unwrap();
        assert_eq!(answers.last(), Some(&json!(200)), "{one}");
    }
    let all = || {
        [
            setting.found(&a),
            setting.found(&g),
            setting.found(&picky),
            setting.found(&e),
        ]
    };
    let expected = [
        vec!["of ada".to_owned()],
        vec!["of grace".to_owned()],
        vec![],
        vec!["of ada".to_owned()],
    ];
    assert_eq!(all(), expected);

    for how in ["again", "signed_anew", "ten_times"] {
        // Ten at once may hinder each other until one is told to send again.
        let answers = setting.again(&of_ada, how);
        assert!(
            answers
                .iter()
                .all(|answer| *answer == 200 || *answer == 503),
            "{how}: {answers:?}"
        );
    }
    for (how, status) in [
        ("unsigned", 401),
        ("forged", 401),
        ("altered", 401),
        ("late", 401),
        ("huge", 413),
    ] {
        assert_eq!(setting.again(&of_ada, how), [json!(status)], "{how}");
    }
    for nobody in ["u_nobody", "", "U_ADA"] {
        assert_eq!(
            setting.again_about(&of_ada, "about_account", Some(nobody)),
            [json!(200)],
            "{nobody}"
        );
    }
    assert_eq!(all(), expected);
    // What the vendor says of Grace is hers, whatever delivery it came out of.
    assert_eq!(
        setting.again_about(&of_ada, "about_account", Some(&grace.user)),
        [json!(200)]
    );
    assert_eq!(setting.found(&g), ["of grace", "of ada"]);
    setting.writes(&ada, "wanted");
    setting.delivery("wanted", &one_url);
    assert_eq!(setting.found(&picky), ["wanted"]);

    let path = format!("/v1/connections/{adas}/disconnect");
    setting.platform.post(&path, &json!({})).expect(200);
    assert_eq!(setting.again(&of_ada, "fresh"), [json!(200)]);
    assert_eq!(
        setting.found(&a),
        ["of ada", "wanted"],
        "who has left is told nothing"
    );
    let log = setting.host.log();
    assert!(!log.contains("signs-for-client") && !log.contains(&ada.key));
}
