//! The command line says what is wrong and what to do, in a sentence, and touches nothing it should not.

use keyport_tests::binary::{repository, run, run_with_input, said};
use keyport_tests::host::free_port;

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

#[test]
fn serve_refuses_to_start_without_a_root_key_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = run(&[
        "serve",
        "--public-url",
        "http://localhost:1",
        "--listen",
        "127.0.0.1:0",
        "--data",
        &text(&data),
    ]);
    assert!(!output.status.success());
    assert!(
        said(&output).contains("no root key is configured"),
        "{}",
        said(&output)
    );
    assert!(!data.exists(), "nothing was touched");
}

#[test]
fn serve_tells_a_wrong_root_key_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (data, right, wrong) = (
        text(&folder.path().join("data")),
        text(&folder.path().join("right")),
        text(&folder.path().join("wrong")),
    );
    for file in [&right, &wrong] {
        assert!(run(&["key", "root", file]).status.success());
    }
    let create = |key: &str| {
        run(&[
            "key",
            "create",
            "x",
            "--scope",
            "manage",
            "--data",
            &data,
            "--root-key-file",
            key,
        ])
    };
    let made = create(&right);
    assert!(made.status.success(), "{}", said(&made));
    let refused = create(&wrong);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("root key"), "{}", said(&refused));
    assert!(
        create(&right).status.success(),
        "the right one still opens it"
    );
}

#[test]
fn a_root_key_that_others_can_read_is_refused_and_an_existing_file_is_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("root.key");
    assert!(run(&["key", "root", &text(&key)]).status.success());
    let mode = std::fs::metadata(&key).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let before = std::fs::read(&key).unwrap();
    assert!(!run(&["key", "root", &text(&key)]).status.success());
    assert_eq!(std::fs::read(&key).unwrap(), before);

    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let data = text(&folder.path().join("data"));
    let refused = run(&[
        "key",
        "list",
        "--data",
        &data,
        "--root-key-file",
        &text(&key),
    ]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("chmod 600"), "{}", said(&refused));
}

#[test]
fn serve_refuses_a_clear_bind_beyond_loopback_unless_a_proxy_speaks_tls() {
    let folder = tempfile::tempdir().unwrap();
    let key = text(&folder.path().join("root.key"));
    assert!(run(&["key", "root", &key]).status.success());
    let listen = format!("0.0.0.0:{}", free_port());
    let output = run(&[
        "serve",
        "--public-url",
        "https://keyport.example",
        "--listen",
        &listen,
        "--root-key-file",
        &key,
        "--data",
        &text(&folder.path().join("data")),
    ]);
    assert!(!output.status.success());
    assert!(
        said(&output).contains("--behind-proxy"),
        "{}",
        said(&output)
    );
}

#[test]
fn an_unknown_configuration_key_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keyport.toml");
    std::fs::write(&file, "public_url = 'http://localhost:1'\nlisten = '127.0.0.1:0'\ndata = 'x'\nbehind_proxi = true\n").unwrap();
    let output = run(&["serve", "--config", &text(&file)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("behind_proxi"), "{}", said(&output));
}

#[test]
fn every_manifest_of_the_repository_is_valid() {
    let output = run(&["validate", &text(&repository().join("manifests"))]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn validate_reports_every_error_at_its_place_with_a_fix() {
    let manifest =
        std::fs::read_to_string(repository().join("tests/apps/oidc/manifest.yaml")).unwrap();
    let broken = manifest
        .replace("summary:", "sumary: misspelt\nsummary:")
        .replace("base_url: https://", "base_url: http://");
    let output = run_with_input(&["validate", "-"], &broken);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    for expected in ["sumary", "summary", "https"] {
        assert!(text.contains(expected), "{text}");
    }
    let line = broken
        .lines()
        .position(|line| line.starts_with("sumary"))
        .unwrap()
        + 1;
    assert!(text.contains(&format!(":{line}:1")), "{text}");
}

#[test]
fn app_list_and_info_say_what_an_app_asks_for() {
    let list = run(&["app", "list"]);
    assert!(list.status.success(), "{}", said(&list));
    for app in [
        "github",
        "gitlab",
        "slack",
        "zendesk",
        "digitalocean",
        "twilio",
        "stripe",
        "notion",
        "sandbox",
    ] {
        assert!(
            said(&list).lines().any(|line| line.starts_with(app)),
            "{app} is missing in:\n{}",
            said(&list)
        );
    }
    let info = run(&["app", "info", "zendesk"]);
    assert!(said(&info).contains("zendesk.com"), "{}", said(&info));
    let unknown = run(&["app", "info", "zendsk"]);
    assert!(!unknown.status.success());
    assert!(
        said(&unknown).contains("zendesk"),
        "it suggests: {}",
        said(&unknown)
    );
}
