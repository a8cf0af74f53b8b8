//! A real browser at the pages of `keyport dev`, as a person would click through them.

use keyport_tests::binary::repository;
use keyport_tests::host::Dev;
use keyport_tests::peer::run_browser;
use serde_json::json;

fn scenario(name: &str) {
    let mut dev = Dev::start(&[]);
    let ran = run_browser(&json!({
        "scenario": name,
        "link": dev.link,
        "keyport": dev.keyport,
        "vendor": dev.vendor,
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
