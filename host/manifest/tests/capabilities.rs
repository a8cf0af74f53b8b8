//! C1 to C26, the list of what the language must be able to say: for each, an app of this repository that says it, or a test
//! that holds the language to it. An app that stops saying it, or a test that goes, is noticed here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may be blunt"
)]

use std::fs;
use std::path::{Path, PathBuf};

use keyport_manifest::{AppId, parse_with};
use serde_json::Value;

enum Proof {
    /// An app, a pointer into its manifest as it is printed, and what must stand there (anything, if empty).
    App(&'static str, &'static str, &'static str),
    /// A source file of this crate, and the name of a test in it.
    Test(&'static str, &'static str),
}
use Proof::{App, Test};

const SIGNING_IN: Proof = Test(
    "tests/signing_in.rs",
    "every_way_to_sign_in_is_read_written_and_read_again_as_the_same",
);

#[rustfmt::skip]
const TABLE: &[(&str, &str, &[Proof])] = &[
    ("C1", "API base from fields", &[App("zendesk", "/api/base_url", "{{ fields.subdomain }}"), App("bullhorn", "/api/base_url", "{{ capture.rest_url }}"),
        Test("src/resolve/tests.rs", "each_way_to_sign_in_can_have_a_base_url_of_its_own")]),
    ("C2", "token and authorize URL from fields", &[App("zendesk", "/auth/oauth/token_url", "{{ fields."), App("workday", "/auth/oauth/authorize_url", "{{ fields.site }}")]),
    ("C3", "extra authorize, token and refresh parameters", &[App("jira", "/auth/oauth/authorize_params/audience", ""), App("zendesk", "/auth/oauth/token_params", ""),
        App("withings", "/auth/oauth/refresh_params/action", ""), App("dropbox-sign", "/auth/oauth/token_params/state", "callback.state")]),
    ("C4", "credential anywhere with any scheme; constant headers", &[App("klaviyo", "/auth/private_key/inject/0/value", "Klaviyo-API-Key "), App("coros", "/auth/oauth/inject/0/query", "token"),
        App("sap-business-one", "/auth/user/inject/0/cookie", "B1SESSION"), App("notion", "/api/headers", ""), SIGNING_IN]),
    ("C5", "scope separator, default and optional scopes, a second parameter, scopes from fields", &[App("slack", "/auth/oauth/scopes/separator", ","), App("slack", "/auth/oauth/scopes/optional/0", ""),
        App("dynamics-365", "/auth/oauth/scopes/default/1", "{{ fields.environment }}"), Test("src/model/oauth2/scopes.rs", "a_value_never_makes_two_scopes_of_one"), SIGNING_IN]),
    ("C6", "client authentication and bodies", &[App("notion", "/auth/oauth/client_auth", "basic"), App("notion", "/auth/oauth/token_body", "json"), App("revolut-business", "/auth/oauth/client_auth", "private_key_jwt"),
        App("adp", "/auth/client_certificate/client_certificate/certificate", "credentials"), SIGNING_IN]),
    ("C7", "PKCE off with a reason", &[App("slack", "/auth/oauth/pkce/off", "")]),
    ("C8", "renamed, dropped and other parameters", &[App("tiktok", "/auth/oauth/params/rename/client_id", "client_key"), App("monday", "/auth/oauth/params/drop/0", "response_type"),
        App("follow-up-boss", "/auth/oauth/params/values/response_type", "auth_code")]),
    ("C9", "capture from the token answer", &[App("salesforce", "/auth/oauth/capture/instance_url", ""), App("bullhorn", "/auth/oauth/exchange/capture/rest_url/format", "base-url")]),
    ("C10", "capture from the callback", &[App("quickbooks", "/auth/oauth/capture/realm_id/callback", "realmId")]),
    ("C11", "discovery after connecting", &[App("jira", "/discovery/0/items", ""), App("xero", "/discovery/0/pick", ""), Test("tests/language.rs", "discovery_takes_the_item_that_is_meant_and_never_guesses")]),
    ("C12", "token elsewhere, and a second one", &[App("tiktok-ads", "/auth/oauth/response/root", ""), App("viva-engage", "/auth/oauth/response/fields/access_token", "$.access_token.token"),
        Test("tests/fixtures/tokens.rs", "a_second_token_of_the_same_answer_is_read_and_asked_for")]),
    ("C13", "refresh address, parameters, captures again, rotation", &[App("figma", "/auth/oauth/refresh_url", ""), App("bullhorn", "/auth/oauth/exchange/capture/rest_url/on_refresh", "again"),
        App("zendesk", "/auth/oauth/refresh/rotates", "always"), App("coros", "/auth/oauth/refresh/prolongs/seconds", ""), App("threads", "/auth/oauth/refresh/by", "exchange")]),
    ("C14", "where expiry comes from", &[App("clover", "/auth/oauth/response/expiry/at", ""), App("tableau", "/auth/token/expiry/unit", "clock"), App("github-app-installation", "/auth/installation/expiry/unit", "rfc3339"),
        App("viva-engage", "/auth/oauth/response/expiry/never", ""), App("jobber", "/auth/oauth/response/default_ttl", ""), Test("src/rules/expiry.rs", "the_end_of_a_token_is_read_from_every_source")]),
    ("C15", "sign-in by own requests", &[App("docuware", "/auth/user/steps/2/request/path", "{{ capture.token_endpoint }}"), App("toast", "/auth/machine/steps/0/capture/token", "")]),
    ("C16", "signed JWTs", &[App("snowflake", "/auth/key_pair/sign/fingerprint", "sha256"), App("app-store-connect", "/auth", "ES256"), App("github-app-installation", "/auth/installation/steps/0/sign/alg", "RS256"),
        App("google-cloud", "/auth", "assertion")]),
    ("C17", "request signing", &[App("aws", "/auth", "aws_sigv4"), App("netsuite", "/auth", "oauth1"), App("smugmug", "/auth/oauth1/request_token_url", ""), App("emarsys", "/auth/wsse/digest", "base64_of_hex"), SIGNING_IN]),
    ("C18", "fallbacks", &[App("discord", "/test/account/label", "default(")]),
    ("C19", "fields", &[App("freshdesk", "/auth", "X"), App("twilio", "/fields/0/pattern", ""), App("adp", "/auth/client_certificate/fields/2/file/accept/0", ".pem"), App("adp", "/auth/client_certificate/fields/2/group", ""),
        Test("tests/language.rs", "every_part_is_written_out_as_it_was_read"), Test("tests/language.rs", "each_format_takes_its_own_and_gives_one_written_form")]),
    ("C20", "callback verified", &[App("shopify", "/auth/oauth/callback/verify/type", "hmac_sha256")]),
    ("C21", "revoked on disconnect", &[App("fitbit", "/auth/oauth/revoke/url", ""), App("slack", "/auth/oauth/revoke/path", ""), App("github-app-installation", "/auth/installation/logout/path", "/installation/token")]),
    ("C22", "test calls", &[App("dropbox", "/test/request/method", "POST"), App("slack", "/test/ok/body", ""), App("adp", "/test/ok/status/1", ""),
        Test("tests/language.rs", "a_connection_is_dead_only_if_every_candidate_says_so")]),
    ("C23", "authorize URL details", &[App("wechat", "/auth/oauth/authorize/fragment", "wechat_redirect"), App("apollo", "/auth/oauth/authorize/route", "/oauth/authorize"), App("pennylane", "/auth/oauth/authorize/unescaped/0", "scope"),
        Test("src/rules/outgoing.rs", "an_authorization_url_follows_the_rfc_unless_the_manifest_says_otherwise")]),
    ("C24", "discovery and dynamic registration", &[App("mcp-server", "/auth/oauth/discover/resource", ""), App("mcp-server", "/auth/oauth/register", "")]),
    ("C25", "one app built on another", &[App("github-app-installation", "/auth/installation/type", "session"), Test("tests/language.rs", "an_app_built_on_another_is_checked_as_a_whole")]),
    ("C26", "variants", &[App("quickbooks", "/variants/choices/sandbox/values/api", "sandbox-quickbooks"), Test("tests/language.rs", "the_chosen_variant_decides_the_host_and_nothing_else_can")]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn app(id: &str) -> Option<String> {
    let folder = root().join("../../manifests").join(id);
    fs::read_to_string(folder.join("manifest.yaml")).ok()
}

fn holds(proof: &Proof) -> Result<(), String> {
    match proof {
        App(id, pointer, part) => {
            let text = app(id).ok_or_else(|| format!("there is no app {id}"))?;
            let bases = |base: &AppId| app(base.as_str());
            let manifest = parse_with("m.yaml", &text, &bases).map_err(|f| format!("{f:?}"))?;
            let tree = serde_json::to_value(&manifest).unwrap();
            let there = tree.pointer(pointer);
            let there = there.ok_or_else(|| format!("{id} has nothing at {pointer}"))?;
            let written = match there {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if written.contains(part) {
                Ok(())
            } else {
                Err(format!("{id} has {written} at {pointer}, not {part}"))
            }
        }
        Test(file, name) => {
            let text = fs::read_to_string(root().join(file)).map_err(|e| format!("{file}: {e}"))?;
            let found = text.contains("#[test]") && text.contains(&format!("fn {name}"));
            if found {
                Ok(())
            } else {
                Err(format!("{file} has no test {name}"))
            }
        }
    }
}

#[test]
fn every_capability_is_said_by_an_app_or_held_by_a_test() {
    let ids: Vec<String> = TABLE.iter().map(|(id, ..)| (*id).to_owned()).collect();
    let wanted: Vec<String> = (1..=26).map(|n| format!("C{n}")).collect();
    assert_eq!(ids, wanted);
    let mut wrong = String::new();
    for (id, what, proofs) in TABLE {
        assert!(!proofs.is_empty(), "{id}: nothing proves {what}");
        for proof in *proofs {
            if let Err(why) = holds(proof) {
                wrong += &format!("{id} ({what}): {why}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
