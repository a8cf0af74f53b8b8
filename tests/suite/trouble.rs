//! A provider whose sign-in service is in trouble, as a running host sees it: it answers 500, sends ten megabytes, hangs up,
//! hangs, talks nonsense, or takes half a minute. A connection that works goes on working, and nobody is told to sign in again.
//!
//! The app refuses a good token once, as apps do now and then; the host asks for a new one and meets the trouble. That the old
//! token is used while it lives, and how far apart attempts come, is tried with a clock that can be turned in
//! `host/connect/src/tests/`. What takes as long as it says is part of `KEYPORT_PROOF=full` alone.

use std::time::{Duration, Instant};

use keyport_tests::binary::repository;
use keyport_tests::host::{Host, Setup};
use keyport_tests::platform::Platform;
use keyport_tests::script::Provider;
use serde_json::{Value, json};

/// What the token endpoint does, and whether a token comes of it in the end.
struct Trouble {
    name: &'static str,
    answer: Value,
    renews: bool,
    /// Takes as long as it says.
    long: bool,
}

fn troubles() -> Vec<Trouble> {
    let trouble = |name, answer, renews, long| Trouble {
        name,
        answer,
        renews,
        long,
    };
    let slow = |name: &str, ms: u64| {
        let mut answer = token(name);
        answer["hang_ms"] = json!(ms);
        answer
    };
    vec![
        trouble(
            "fails",
            json!({ "status": 500, "json": { "error": "server_error" } }),
            false,
            false,
        ),
        trouble("floods", json!({ "large": 10 << 20 }), false, false),
        trouble("hangs-up", json!({ "close": true }), false, false),
        trouble(
            "babbles",
            json!({ "status": 200, "body": "<html>Service unavailable</html>" }),
            false,
            false,
        ),
        trouble(
            "limits",
            json!({ "status": 429, "headers": { "retry-after": "1" } }),
            false,
            false,
        ),
        trouble(
            "sends-away",
            json!({ "status": 302, "headers": { "location": "https://elsewhere.example/token" } }),
            false,
            false,
        ),
        trouble("takes-its-time", slow("takes-its-time", 1500), true, false),
        trouble(
            "takes-half-a-minute",
            slow("takes-half-a-minute", 28_000),
            true,
            true,
        ),
        trouble("hangs", slow("hangs", 90_000), false, true),
    ]
}

fn token(name: &str) -> Value {
    json!({ "json": {
        "access_token": format!("new-at-{name}"), "token_type": "Bearer", "expires_in": 3600,
        "refresh_token": format!("new-rt-{name}"),
    } })
}

fn exchange(request: Value, answer: Value) -> Value {
    json!({ "request": request, "answer": answer })
}

/// Each trouble has an app of its own, so that one does not close the way for another: five failures in a row do.
fn app(name: &str) -> String {
    format!("trouble-{name}")
}

fn login(name: &str) -> String {
    format!("https://login.{}.example", app(name))
}

fn api(name: &str) -> String {
    format!("https://api.{}.example", app(name))
}

/// A request to the app with its old token, or the new one.
fn used(name: &str, path: &str, new: bool, status: u16) -> Value {
    let token = format!("{}at-{name}", if new { "new-" } else { "" });
    exchange(
        json!({ "method": "GET", "url": format!("{}{path}", api(name)), "headers": { "authorization": format!("Bearer {token}") } }),
        json!({ "status": status, "json": { "id": "u1", "name": "Ada", "with": if new { "new" } else { "old" } } }),
    )
}

fn refresh(name: &str, answer: Value) -> Value {
    exchange(
        json!({ "url": format!("{}/token", login(name)), "form": { "grant_type": "refresh_token", "refresh_token": format!("rt-{name}") } }),
        answer,
    )
}

#[test]
fn a_provider_in_trouble_changes_no_healthy_state() {
    let full = std::env::var("KEYPORT_PROOF").is_ok_and(|form| form == "full");
    let troubles: Vec<Trouble> = troubles()
        .into_iter()
        .filter(|trouble| full || !trouble.long)
        .collect();
    let origins = troubles
        .iter()
        .flat_map(|trouble| [login(trouble.name), api(trouble.name)]);
    let provider = Provider::start(origins);
    let folder = tempfile::tempdir().unwrap();
    let manifest =
        std::fs::read_to_string(repository().join("tests/apps/rotating/manifest.yaml")).unwrap();
    let apps = troubles.iter().map(|trouble| {
        let at = folder.path().join(trouble.name);
        std::fs::create_dir(&at).unwrap();
        let own = manifest.replace("rotating", &app(trouble.name));
        std::fs::write(at.join("manifest.yaml"), own).unwrap();
        at
    });
    let mut host = Host::start(Setup {
        origins: provider.overrides(),
        apps: apps.collect(),
        ..Setup::default()
    });
    let platform = host.platform();
    let client = json!({ "client_id": "the-client", "client_secret": "the-secret-value" });
    let mut allowed = Vec::new();
    for trouble in &troubles {
        let name = trouble.name;
        platform.configure(&app(name), &client);
        allowed.push(used(name, "/me", false, 200));
        // What one path refuses, another takes.
        allowed.push(used(name, "/refused", false, 401));
        allowed.push(used(name, "/good", false, 200));
        allowed.push(refresh(name, trouble.answer.clone()));
        for path in ["/me", "/refused", "/good"] {
            allowed.push(used(name, path, true, 200));
        }
    }
    provider.allow(&allowed);
    std::thread::scope(|scope| {
        for trouble in &troubles {
            let platform = &platform;
            scope.spawn(move || suffer(platform, trouble));
        }
    });
    // The host itself has come to no harm: nothing that came from the provider is kept in memory or logged.
    assert!(!host.log().contains(&"x".repeat(1000)), "a body was logged");
    platform.get("/v1/apps");

    if full {
        recover(&platform, &provider, &troubles);
    }
}

fn suffer(platform: &Platform, trouble: &Trouble) {
    let name = trouble.name;
    let import = json!({
        "owner": "owner-1", "app": app(name), "method": "oauth", "title": name,
        "token": { "access_token": format!("at-{name}"), "refresh_token": format!("rt-{name}") },
    });
    let made = platform.post("/v1/connections", &import).expect(201).json();
    let id = made["id"].as_str().unwrap().to_owned();
    let call =
        |path: &str| platform.call("GET", &format!("/v1/connections/{id}/proxy{path}"), None);
    let begun = Instant::now();
    let answer = call("/refused");
    if trouble.renews {
        assert_eq!(
            answer.expect(200).json()["with"],
            "new",
            "{name}: it is waited for"
        );
    } else {
        assert_ne!(answer.status, 200, "{name}");
        assert!(
            begun.elapsed() < Duration::from_secs(55),
            "{name}: a caller was kept for {:?}",
            begun.elapsed()
        );
    }
    // What works goes on working: with the old token, which the app takes elsewhere.
    let working = if trouble.renews { "new" } else { "old" };
    assert_eq!(call("/good").expect(200).json()["with"], working, "{name}");
    let connection = platform.get(&format!("/v1/connections/{id}"));
    assert_eq!(connection["state"], "connected", "{name}: {connection}");
    assert_eq!(connection["enabled"], true, "{name}");
    // And the provider is not asked again at once, however often the app refuses.
    if !trouble.renews {
        for _ in 0..3 {
            assert_ne!(call("/refused").status, 200, "{name}");
        }
    }
    let tested = platform
        .post(&format!("/v1/connections/{id}/test"), &json!({}))
        .expect(200)
        .json();
    assert_eq!(tested["ok"], true, "{name}: {tested}");
}

/// The service is well again: those that could not be renewed are, by themselves.
fn recover(platform: &Platform, provider: &Provider, troubles: &[Trouble]) {
    let (complaints, seen) = provider.finish();
    assert!(complaints.is_empty(), "{complaints:?}");
    let mut allowed = Vec::new();
    for trouble in troubles {
        let name = trouble.name;
        let asked = seen.iter().filter(|seen| seen.origin == login(name));
        assert_eq!(asked.count(), 1, "{name}: it was left alone");
        allowed.push(used(name, "/me", false, 200));
        allowed.push(used(name, "/refused", false, 401));
        allowed.push(refresh(name, token(name)));
        for path in ["/me", "/refused"] {
            allowed.push(used(name, path, true, 200));
        }
    }
    provider.allow(&allowed);
    let listed = platform.get("/v1/connections?owner=owner-1");
    for connection in listed["items"].as_array().unwrap() {
        let id = connection["id"].as_str().unwrap();
        let path = format!("/v1/connections/{id}/proxy/refused");
        let end = Instant::now() + Duration::from_secs(180);
        loop {
            let answer = platform.call("GET", &path, None);
            if answer.status == 200 {
                break;
            }
            assert!(
                Instant::now() < end,
                "{}: {}",
                connection["title"],
                answer.text()
            );
            std::thread::sleep(Duration::from_millis(500));
        }
        let now = platform.get(&format!("/v1/connections/{id}"));
        assert_eq!(now["state"], "connected", "{now}");
    }
}
