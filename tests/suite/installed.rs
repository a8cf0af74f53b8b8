//! Apps from a folder: installed with what they ask for in plain sight, left out where they are not what was installed, and
//! loaded again while `dev` runs. None of them takes another one down.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyport_tests::binary::{repository, run, said};
use keyport_tests::guest;
use keyport_tests::host::{Dev, Host, Setup};
use keyport_tests::platform::Platform;

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A folder with an app of this id, whose component is `guest`.
fn app(at: &Path, id: &str, guest_package: &str) -> PathBuf {
    let folder = at.join(id);
    std::fs::create_dir_all(folder.join("fixtures")).unwrap();
    let manifest =
        std::fs::read_to_string(repository().join("tests/apps/traps/manifest.yaml")).unwrap();
    let manifest = manifest.replace("id: traps", &format!("id: {id}"));
    std::fs::write(folder.join("manifest.yaml"), manifest).unwrap();
    std::fs::write(
        folder.join("logo.svg"),
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1 1\"/>",
    )
    .unwrap();
    std::fs::copy(guest::build(guest_package), folder.join("component.wasm")).unwrap();
    folder
}

fn change(file: &Path, from: &str, to: &str) {
    let before = std::fs::read_to_string(file).unwrap();
    assert!(before.contains(from), "{from} is not in:\n{before}");
    std::fs::write(file, before.replace(from, to)).unwrap();
}

fn install(folder: &Path, data: &Path, more: &[&str]) -> std::process::Output {
    let (folder, data) = (text(folder), text(data));
    let mut arguments = vec!["app", "install", folder.as_str(), "--data", data.as_str()];
    arguments.extend(more);
    run(&arguments)
}

fn list(data: &Path) -> String {
    let listed = run(&["app", "list", "--data", &text(data)]);
    assert!(listed.status.success(), "{}", said(&listed));
    said(&listed)
}

#[test]
fn an_app_is_shown_before_it_is_installed_and_a_change_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let folder = app(temp.path(), "harbour", "hostile-traps");

    // Nobody is there to be asked, so nothing is written; what it asks for is shown all the same.
    let unasked = install(&folder, &data, &[]);
    assert!(!unasked.status.success());
    for expected in [
        "https://traps.keyport.test",
        "header Authorization",
        "Key (secret)",
        "sha256 ",
        "--yes",
    ] {
        assert!(
            said(&unasked).contains(expected),
            "{expected}: {}",
            said(&unasked)
        );
    }
    assert!(!data.join("apps/harbour").exists());

    let first = install(&folder, &data, &["--yes"]);
    assert!(first.status.success(), "{}", said(&first));
    assert!(
        !said(&first).contains("+ "),
        "nothing is new to nothing: {}",
        said(&first)
    );
    assert!(
        list(&data)
            .lines()
            .any(|line| line.starts_with("harbour\t") && line.contains("installed, sha256 "))
    );

    // Another component and another host: both are told, old and new.
    std::fs::copy(guest::build("hostile-quiet"), folder.join("component.wasm")).unwrap();
    change(
        &folder.join("manifest.yaml"),
        "base_url: https://traps.keyport.test",
        "base_url: https://traps.keyport.test\n  hosts: [collect.keyport.test]",
    );
    let second = install(&folder, &data, &["--yes"]);
    assert!(second.status.success(), "{}", said(&second));
    assert!(
        said(&second).contains("Its code is another now: sha256 "),
        "{}",
        said(&second)
    );
    assert!(
        said(&second).contains("+ collect.keyport.test (with the credential)"),
        "{}",
        said(&second)
    );

    // Code that has another way to send requests is told to have it, and where it leads.
    std::fs::copy(
        guest::build("hostile-attacks"),
        folder.join("component.wasm"),
    )
    .unwrap();
    let fetching = "its code sends requests by wasi:http (fetch) as well: to the same hosts, with the same credentials";
    assert!(!said(&second).contains(fetching), "{}", said(&second));
    let third = install(&folder, &data, &["--yes"]);
    assert!(third.status.success(), "{}", said(&third));
    assert!(
        said(&third).contains(&format!("+ {fetching}")),
        "{}",
        said(&third)
    );
    let info = run(&["app", "info", "harbour", "--data", &text(&data)]);
    assert!(said(&info).contains(fetching), "{}", said(&info));

    let removed = run(&["app", "remove", "harbour", "--yes", "--data", &text(&data)]);
    assert!(removed.status.success(), "{}", said(&removed));
    assert!(
        !list(&data)
            .lines()
            .any(|line| line.starts_with("harbour\t"))
    );
    let again = run(&["app", "remove", "harbour", "--yes", "--data", &text(&data)]);
    assert!(!again.status.success(), "it is gone");
}

#[test]
fn what_does_not_hold_is_not_installed() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let folder = app(temp.path(), "harbour", "hostile-traps");
    std::fs::write(folder.join("component.wasm"), b"\0asm no component").unwrap();
    let refused = install(&folder, &data, &["--yes"]);
    assert!(!refused.status.success(), "{}", said(&refused));
    assert!(said(&refused).contains("harbour"), "{}", said(&refused));
    std::fs::remove_file(folder.join("component.wasm")).unwrap();
    let refused = install(&folder, &data, &["--yes"]);
    assert!(
        said(&refused).contains("keyport build"),
        "{}",
        said(&refused)
    );
    let broken = app(temp.path(), "wrong", "hostile-traps");
    change(
        &broken.join("manifest.yaml"),
        "https://traps",
        "http://traps",
    );
    let refused = install(&broken, &data, &["--yes"]);
    assert!(
        !refused.status.success() && said(&refused).contains("manifest.yaml:"),
        "{}",
        said(&refused)
    );
    // The place of an app that ships is taken.
    let github = app(temp.path(), "github", "hostile-traps");
    let refused = install(&github, &data, &["--yes"]);
    assert!(!refused.status.success(), "{}", said(&refused));
    assert!(!data.join("apps").exists(), "nothing was written");
}

#[test]
fn a_bad_app_is_told_and_left_out_and_the_others_are_served() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    for id in ["exchanged", "rewritten", "whole"] {
        let folder = app(temp.path(), id, "hostile-quiet");
        let installed = install(&folder, &data, &["--yes"]);
        assert!(installed.status.success(), "{}", said(&installed));
    }
    // Somebody exchanges a component, and somebody lets an app call elsewhere.
    std::fs::copy(
        guest::build("hostile-traps"),
        data.join("apps/exchanged/component.wasm"),
    )
    .unwrap();
    change(
        &data.join("apps/rewritten/manifest.yaml"),
        "https://traps.keyport.test",
        "https://collect.keyport.test",
    );
    let broken = app(temp.path(), "broken", "hostile-quiet");
    change(
        &broken.join("manifest.yaml"),
        "https://traps",
        "http://traps",
    );
    let mut host = Host::start(Setup {
        apps: vec![broken],
        data: Some(data),
        ..Setup::default()
    });
    let log = host.log();
    for expected in [
        "the component of exchanged is not the one that was installed",
        "the manifest of rewritten is not the one that was installed",
        "broken/manifest.yaml:",
    ] {
        assert!(log.contains(expected), "{expected} is not in:\n{log}");
    }
    let platform = host.platform();
    for gone in ["exchanged", "rewritten", "broken"] {
        platform
            .call("GET", &format!("/v1/apps/{gone}"), None)
            .expect(404);
    }
    platform.get("/v1/apps/whole");
    platform.get("/v1/apps/github");
}

/// What `dev` says of an app, once it says `wanted`.
fn until(
    dev: &Dev,
    platform: &Platform,
    path: &str,
    wanted: impl Fn(&keyport_tests::http::Answer) -> bool,
) {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let answer = platform.call("GET", path, None);
        if wanted(&answer) {
            return;
        }
        assert!(
            Instant::now() < end,
            "{path} stays {}\n{}",
            answer.text(),
            dev.log()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn until_said(dev: &Dev, wanted: &str) {
    let end = Instant::now() + Duration::from_secs(120);
    while !dev.log().contains(wanted) {
        assert!(Instant::now() < end, "{wanted} is not said:\n{}", dev.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn dev_loads_a_changed_app_again_and_keeps_the_last_good_one() {
    let temp = tempfile::tempdir().unwrap();
    let apps = temp.path().join("my-apps");
    let folder = app(&apps, "harbour", "hostile-traps");
    let config = temp.path().join("keyport.toml");
    std::fs::write(&config, format!("apps = [{:?}]\n", text(&apps))).unwrap();
    let dev = Dev::start(&["--config", &text(&config)]);
    let key = std::fs::read_to_string(dev.folder().join("platform.key")).unwrap();
    let platform = Platform::new(dev.keyport.clone(), key.trim().to_owned());
    let manifest = folder.join("manifest.yaml");
    let named = |name: &'static str| {
        move |answer: &keyport_tests::http::Answer| {
            answer.status == 200 && answer.json()["name"] == name
        }
    };
    until(&dev, &platform, "/v1/apps/harbour", named("Crashing app"));

    change(&manifest, "name: Crashing app", "name: Quay");
    until(&dev, &platform, "/v1/apps/harbour", named("Quay"));

    change(&manifest, "https://traps", "http://traps");
    until_said(&dev, "harbour stays as it was");
    until_said(&dev, "manifest.yaml:10:");
    until(&dev, &platform, "/v1/apps/harbour", named("Quay"));

    change(&manifest, "http://traps", "https://traps");
    std::fs::write(folder.join("component.wasm"), "no component").unwrap();
    until_said(&dev, "the component of harbour");
    until(&dev, &platform, "/v1/apps/harbour", named("Quay"));

    std::fs::copy(guest::build("hostile-quiet"), folder.join("component.wasm")).unwrap();
    change(&manifest, "name: Quay", "name: Pier");
    until(&dev, &platform, "/v1/apps/harbour", named("Pier"));

    // One that is new, one that is installed meanwhile, and one that goes.
    app(&apps, "beacon", "hostile-quiet");
    until(&dev, &platform, "/v1/apps/beacon", |answer| {
        answer.status == 200
    });
    let third = app(temp.path(), "tide", "hostile-quiet");
    let installed = install(&third, &dev.folder(), &["--yes"]);
    assert!(installed.status.success(), "{}", said(&installed));
    until(&dev, &platform, "/v1/apps/tide", |answer| {
        answer.status == 200
    });
    std::fs::remove_dir_all(&folder).unwrap();
    until(&dev, &platform, "/v1/apps/harbour", |answer| {
        answer.status == 404
    });
    until(&dev, &platform, "/v1/apps/github", |answer| {
        answer.status == 200
    });
}
