//! `keyport test --live`: a real account is called, and what is recorded of it never holds a secret: not the account's, however a
//! vendor writes it back, and not another one that an answer brings.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyport_tests::binary::{command, run, said};
use keyport_tests::host::Dev;
use keyport_tests::http::{Client, encode};
use keyport_tests::platform::Platform;
use keyport_tests::script::Provider;
use serde_json::{Value, json};

/// The vendor of the hostile checks.
const VENDOR: &str = "https://api.echo.test";
/// A key that each way of writing changes.
const KEY: &str = "p@ss/word+~'(x)?>=k9";

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn new(dir: &Path, id: &str, base_url: &str) -> PathBuf {
    let dir = text(dir);
    let made = run(&[
        "new",
        "--dir",
        &dir,
        "--id",
        id,
        "--name",
        "Acme Notes",
        "--base-url",
        base_url,
        "--auth",
        "api_key",
        "--header",
        "X-Api-Key",
        "--test-path",
        "/me",
    ]);
    assert!(made.status.success(), "{}", said(&made));
    Path::new(&dir).join(id)
}

/// Runs a command with the account's key in the environment, or without.
fn live(arguments: &[&str], key: Option<&str>) -> (bool, String) {
    let mut live = command(arguments);
    if let Some(key) = key {
        live.env("KEYPORT_NET_ACME_NOTES_API_KEY", key);
    }
    let told = live.stdin(std::process::Stdio::null()).output().unwrap();
    (told.status.success(), said(&told))
}

#[test]
fn a_live_account_is_called_and_recorded_without_its_secret() {
    let dev = Dev::start(&[]);
    let all = Client::new()
        .get(&format!("{}/control/credentials", dev.vendor), &[])
        .expect(200)
        .json();
    let key = all["credentials"][0]["api_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let temp = tempfile::tempdir().unwrap();
    let app = new(temp.path(), "acme-notes", "https://vendor.keyport.test/api");
    let origin = format!("https://vendor.keyport.test={}", dev.vendor);
    let app_text = text(&app);
    let calls = [
        "test",
        "--live",
        "--verbose",
        "--origin",
        &origin,
        &app_text,
    ];
    let records = [&calls[..], &["--record"]].concat();

    let (ok, told) = live(&records, None);
    assert!(
        !ok && told.contains("KEYPORT_NET_ACME_NOTES_API_KEY"),
        "{told}"
    );
    let (ok, told) = live(&calls, Some("vkey_not_the_right_one_000000000000"));
    assert!(
        !ok && told.contains("it failed (needs_reconnect)"),
        "{told}"
    );

    let (ok, told) = live(&records, Some(&key));
    assert!(ok, "{told}");
    let file = app.join("fixtures/recorded.yaml");
    let recorded = std::fs::read_to_string(&file).unwrap();
    assert!(
        !told.contains(&key) && !recorded.contains(&key),
        "{told}\n{recorded}"
    );
    assert!(
        recorded.contains("origin: recorded") && recorded.contains("url: /me"),
        "{recorded}"
    );
    // What was recorded plays without the account, and holds for `validate`.
    let played = run(&["test", &app_text]);
    assert!(
        played.status.success() && said(&played).contains("recorded: test"),
        "{}",
        said(&played)
    );
    let valid = run(&["validate", &app_text]);
    assert!(valid.status.success(), "{}", said(&valid));
    // It is not overwritten, and nobody is called for what cannot be kept.
    let (ok, told) = live(&records, Some(&key));
    assert!(
        !ok && told.contains("is there already") && !told.contains("played"),
        "{told}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), recorded);
}

/// Every form of the key that is looked for.
fn forms() -> Vec<String> {
    let strict = encode(KEY);
    vec![
        KEY.to_owned(),
        strict.to_lowercase(),
        strict
            .replace("%27", "'")
            .replace("%28", "(")
            .replace("%29", ")"),
        strict,
        KEY.replace('/', "\\/"),
        STANDARD.encode(KEY),
        STANDARD.encode(format!("api:{KEY}")),
        STANDARD.encode(format!("ada@acme.test:{KEY}")),
        URL_SAFE_NO_PAD.encode(format!("{KEY}:x")),
        URL_SAFE_NO_PAD.encode(format!("a{KEY}")),
    ]
}

/// Other secrets that an answer brings.
const OTHERS: [(&str, &str); 3] = [
    ("hint", "ghp_0123456789abcdefghijABCDEFGHIJ0123456789"),
    ("refresh_token", "another-token-of-theirs"),
    (
        "avatar",
        "https://cdn.echo.test/a.png?X-Amz-Signature=feedfacefeedface",
    ),
];

/// A vendor that writes the key back in every form, in values, names and headers.
fn echo() -> Provider {
    let vendor = Provider::start([VENDOR.to_owned()]);
    let mut body = json!({ "id": "u_1", "email": "ada@acme.test" });
    // Its own escape is written by hand below: here it would be escaped once more.
    let forms = forms().into_iter().filter(|form| !form.contains('\\'));
    for (number, form) in forms.enumerate() {
        body[format!("form_{number}")] = json!(format!("it is <{form}>, and {form}"));
        body[format!("name_{form}")] = json!({ "deep": [form] });
    }
    for (name, value) in OTHERS {
        body[name] = json!(value);
    }
    // One form is JSON's own, so the text is written by hand.
    let text = body.to_string().replacen(
        '}',
        &format!(",\"slashed\":\"{}\"}}", KEY.replace('/', "\\/")),
        1,
    );
    let answers = |path: &str, body: &str| {
        json!({
            "request": { "method": "GET", "url": format!("{VENDOR}{path}") },
            "answer": { "headers": { "content-type": "application/json", "link": format!("<{VENDOR}/x?k={}>; rel=next", encode(KEY)) }, "body": body },
        })
    };
    vendor.allow(&[
        answers("/me", r#"{"id":"u_1","email":"ada@acme.test"}"#),
        answers("/echo", &text),
    ]);
    vendor
}

/// An app with an action that gives back whatever the vendor said.
fn echoing(dir: &Path) -> PathBuf {
    let app = new(dir, "acme-notes", VENDOR);
    let file = app.join("manifest.yaml");
    let manifest = std::fs::read_to_string(&file).unwrap();
    let action = "\nactions:\n  echo:\n    title: Echo\n    description: Gives back what the vendor says.\n    effect: read\n    \
                  input: { type: object, properties: {} }\n    output: { type: object, properties: {} }\n    \
                  request: { method: GET, path: /echo }\n    sample: {}\n";
    std::fs::write(&file, manifest + action).unwrap();
    app
}

#[track_caller]
fn holds_no_secret(what: &str, shown: &str) {
    for form in forms() {
        assert!(
            !shown.contains(&form),
            "{form} is in what is {what}:\n{shown}"
        );
    }
    // YAML writes some characters in a way of its own.
    let tree: Value = serde_yaml::from_str(shown).unwrap_or(Value::Null);
    for form in forms() {
        let quoted = json!(form).to_string();
        assert!(
            !tree.to_string().contains(quoted.trim_matches('"')),
            "{form} is in what is {what}"
        );
    }
}

#[test]
fn a_vendor_that_echoes_the_key_in_every_form_leaves_none_of_it_in_a_recording() {
    let vendor = echo();
    let temp = tempfile::tempdir().unwrap();
    let app = echoing(temp.path());
    let origin = format!("{VENDOR}={}", vendor.overrides()[VENDOR]);
    let app_text = text(&app);
    let arguments = [
        "test",
        "--live",
        "--record",
        "--verbose",
        "--origin",
        &origin,
        &app_text,
    ];
    let (_, told) = live(&arguments, Some(KEY));
    let recorded = std::fs::read_to_string(app.join("fixtures/recorded.yaml")).unwrap();
    holds_no_secret("shown", &told);
    holds_no_secret("recorded", &recorded);
    assert!(
        recorded.contains("action: echo") && recorded.contains("replaced-by-keyport"),
        "{recorded}"
    );
    for (_, value) in OTHERS {
        let secret = value.rsplit('=').next().unwrap();
        assert!(!recorded.contains(secret), "{secret} is in:\n{recorded}");
    }
    let seen = vendor.finish().1;
    assert!(
        seen.iter().all(|one| one.header("x-api-key") == Some(KEY)),
        "the vendor got the key"
    );
}

#[test]
fn an_account_of_a_running_host_is_called_and_its_key_never_comes_here() {
    let vendor = echo();
    let temp = tempfile::tempdir().unwrap();
    let apps = temp.path().join("apps");
    let app = echoing(&apps);
    let config = temp.path().join("keyport.toml");
    let origins = format!(
        "apps = [{:?}]\n[origins]\n{VENDOR:?} = {:?}\n",
        text(&apps),
        vendor.overrides()[VENDOR]
    );
    std::fs::write(&config, origins).unwrap();
    let dev = Dev::start(&["--config", &text(&config)]);
    let key_file = dev.folder().join("platform.key");
    let key = std::fs::read_to_string(&key_file).unwrap();
    let platform = Platform::new(dev.keyport.clone(), key.trim().to_owned());
    let made = platform
        .post(
            "/v1/connections",
            &json!({ "owner": "owner-1", "app": "acme-notes", "method": "api_key", "fields": { "api_key": KEY } }),
        )
        .expect(201)
        .json();
    let id = made["id"].as_str().unwrap();
    let (app_text, key_text) = (text(&app), text(&key_file));
    let arguments = |id: &str, host: &str| {
        let fixed = [
            "test",
            "--live",
            "--record",
            "--verbose",
            "--key-file",
            &key_text,
            &app_text,
            "--connection",
            id,
            "--host",
            host,
        ];
        fixed.map(str::to_owned)
    };
    let run = |id: &str, host: &str| {
        let all = arguments(id, host);
        live(&all.iter().map(String::as_str).collect::<Vec<_>>(), None)
    };
    // A key goes to this machine alone, and a connection that is not there is told.
    let (ok, told) = run(id, "http://keyport.example:4700");
    assert!(!ok && told.contains("on this machine"), "{told}");
    let (ok, told) = run("con_nobody", &dev.keyport);
    assert!(!ok && told.contains("says: "), "{told}");

    let (_, told) = run(id, &dev.keyport);
    let recorded = std::fs::read_to_string(app.join("fixtures/recorded.yaml")).unwrap();
    holds_no_secret("shown", &told);
    holds_no_secret("recorded", &recorded);
    assert!(
        !told.contains("kpmarked") && !recorded.contains("kpmarked"),
        "{told}\n{recorded}"
    );
    assert!(
        recorded.contains("label: ada@acme.test") && recorded.contains("action: echo"),
        "{recorded}"
    );
    let seen = vendor.finish().1;
    assert!(seen.iter().any(|one| one.path == "/echo"));
    for one in &seen {
        assert_eq!(
            one.header("x-api-key"),
            Some(KEY),
            "the host attached the key"
        );
        assert!(
            !format!("{one:?}").contains("kpmarked"),
            "no mark left this machine"
        );
    }
}
