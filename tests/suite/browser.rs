//! A real browser at the pages of `keyport dev`, as a person would click through them.

use keyport_tests::binary::repository;
use keyport_tests::host::Dev;
use keyport_tests::peer::run_browser;
use keyport_tests::platform::Platform;
use serde_json::json;

fn scenario(name: &str) {
    with(name, |_| json!(null));
}

/// A scenario that needs more than the running host: `sent` makes it.
fn with(name: &str, sent: impl FnOnce(&Dev) -> serde_json::Value) {
    let mut dev = Dev::start(&[]);
    let sent = sent(&dev);
    let ran = run_browser(&json!({
        "scenario": name,
        "link": dev.link,
        "keyport": dev.keyport,
        "vendor": dev.vendor,
        "sent": sent,
        "artefacts": repository().join("tests/artefacts"),
    }));
    match ran {
        None => return,
        Some(Ok(())) => {}
        Some(Err(said)) => panic!("{said}\n--- keyport dev\n{}", dev.log()),
    }
    assert!(dev.stop(), "it stops well");
}

#[test]
fn the_apps_page_goes_from_empty_to_connected_by_both_ways_and_back() {
    scenario("apps_page");
}

#[test]
fn the_builder_connects_an_account_on_the_way_and_runs_its_step_once() {
    scenario("builder");
}

#[test]
fn without_popups_the_same_flow_runs_by_redirect() {
    scenario("redirect");
}

#[test]
fn the_windows_rarer_steps_are_shown_as_they_should_be() {
    scenario("window");
}

/// S9, S10, S13: what a platform's page is told, the same tab on a phone, and a link that is sent by mail.
#[test]
fn a_platform_hears_what_happens_goes_on_in_a_phones_tab_and_sends_links_that_ask_first() {
    with("platform", |dev| {
        let key = std::fs::read_to_string(dev.folder().join("platform.key")).unwrap();
        let platform = Platform::new(dev.keyport.clone(), key.trim().to_owned());
        let (third_slash, _) = dev.link.match_indices('/').nth(2).unwrap();
        let (demo, _) = dev.link.split_at(third_slash);
        let session = json!({
            "owner": "demo",
            "owner_label": "Demo user",
            "kind": "connect",
            "apps": ["sandbox"],
            "for": "Weekly report",
            "return_url": format!("{demo}/connected"),
            "link": { "minutes": 30 },
        });
        platform.post("/v1/sessions", &session).expect(201).json()["url"].clone()
    });
}
