//! The host is killed (SIGKILL) at each step between a provider's answer and the commit that keeps it, and started again. A
//! token that was acknowledged is never lost, nothing loops, and the connection works again or says why it needs its person.
//!
//! Most steps are places of the code that have a name in builds with debug assertions (`host/connect/src/fault.rs`); of a
//! release build nothing of it is left, which is looked at here as well. The others are the provider's: it holds the request
//! or its answer until the host is dead. `KEYPORT_PROOF=full` kills at moments that nobody chose, too.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use keyport_tests::binary::repository;
use keyport_tests::browser::Browser;
use keyport_tests::host::{Host, Setup};
use keyport_tests::http::{Client, join, query};
use keyport_tests::platform::Platform;
use keyport_tests::provider::Provider;
use keyport_tests::script;
use serde_json::{Value, json};

const HALT_AT: &str = "KEYPORT_TEST_HALT_AT";
const HALTED: &str = "halted for a test";
const PATIENCE: Duration = Duration::from_secs(60);
/// For so long a token that was just renewed is not renewed again, whatever the app says of it.
const COOLDOWN: Duration = Duration::from_secs(30);

/// Where the host dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// A place of the code.
    Named(&'static str),
    /// The provider has the request and has not looked at it.
    Sent,
    /// The provider has carried the request out, and its answer is on the way.
    Answering,
    /// The caller has its answer.
    Acknowledged,
}

/// A step, and what must be so after the host is back.
struct Step {
    at: At,
    /// Whether the provider has carried the request out, so that it knows the old token as spent.
    spent: bool,
    /// Whether the new token is safe.
    kept: bool,
}

const fn step(at: At, spent: bool, kept: bool) -> Step {
    Step { at, spent, kept }
}

/// All of them, in the order in which a refresh passes them.
const STEPS: [Step; 7] = [
    step(At::Named("refresh.intended"), false, false),
    step(At::Sent, false, false),
    step(At::Answering, true, false),
    step(At::Named("refresh.answered"), true, false),
    step(At::Named("refresh.sealed"), true, false),
    step(At::Named("refresh.committed"), true, true),
    step(At::Acknowledged, true, true),
];

fn full() -> bool {
    std::env::var("KEYPORT_PROOF").is_ok_and(|form| form == "full")
}

/// A host with the OpenID test app, and a provider of which every moment can be chosen.
struct Setting {
    provider: Provider,
    host: Host,
    platform: Platform,
    connection: String,
    /// Connections that went on well.
    working: Vec<String>,
}

impl Setting {
    /// `strict`: the provider takes a refresh token that comes a second time for theft, and ends the grant.
    fn new(strict: bool) -> Self {
        let provider = Provider::start(strict);
        let mut host = Host::start(Setup {
            origins: BTreeMap::from([("https://oidc.keyport.test".to_owned(), provider.origin())]),
            apps: vec![repository().join("tests/apps/oidc")],
            ..Setup::default()
        });
        let platform = host.platform();
        let client =
            json!({ "client_id": "keyport-tests", "client_secret": "client-secret-0123456789" });
        platform.configure("oidc", &client);
        Self {
            provider,
            host,
            platform,
            connection: String::new(),
            working: Vec::new(),
        }
    }

    /// A connection with a grant of its own.
    fn connect(&mut self) {
        let grant = self.provider.grant();
        let import = json!({
            "owner": "owner-1", "app": "oidc", "method": "oauth",
            "token": { "access_token": grant["access_token"], "refresh_token": grant["refresh_token"] },
        });
        let made = self.platform.post("/v1/connections", &import).expect(201);
        self.connection = made.json()["id"].as_str().unwrap().to_owned();
    }

    /// The status of a call that needs a good access token; `None`: the host went away under it.
    fn me(&self) -> Option<u16> {
        let url = format!(
            "{}/v1/connections/{}/proxy/me",
            self.platform.url(),
            self.connection
        );
        let authorization = format!("Bearer {}", self.platform.key());
        let headers = [("authorization", authorization.as_str())];
        let answer = Client::new().try_send("GET", &url, &headers, None);
        answer.ok().map(|answer| answer.status)
    }

    fn start_with(&mut self, env: &[(&str, &str)]) {
        self.host.set_env(env);
        self.host.start_again();
    }

    /// What was kept is the newest token of each: the next refresh is no reuse. Waits until one may be made again.
    fn all_go_on(&mut self) {
        std::thread::sleep(COOLDOWN + Duration::from_secs(1));
        for connection in std::mem::take(&mut self.working) {
            self.connection = connection;
            let reuses = self.provider.reuses();
            self.provider.expire();
            assert_eq!(self.me(), Some(200), "{}", self.connection);
            assert_eq!(
                self.provider.reuses(),
                reuses,
                "a spent token was kept over a newer one"
            );
        }
    }

    /// One that needs its person says so, and asks the provider nothing more.
    fn needs_its_person(&self, what: &str) {
        let asked = self.provider.refreshes();
        let connection = self
            .platform
            .get(&format!("/v1/connections/{}", self.connection));
        assert_eq!(connection["state"], "needs_reconnect", "{what}");
        assert_eq!(
            connection["reason"]["code"], "refresh_interrupted",
            "{what}: {connection}"
        );
        let said = connection["reason"]["say"].as_str().unwrap_or_default();
        assert!(said.contains("sign in again"), "{what}: {said}");
        for _ in 0..3 {
            assert_eq!(self.me(), Some(409), "{what}");
        }
        assert_eq!(self.provider.refreshes(), asked, "{what}: it loops");
    }

    /// One crash at a chosen step, and what comes of it.
    fn crash(&mut self, step: &Step, strict: bool) {
        let what = format!(
            "{:?}, a provider that is {}",
            step.at,
            if strict { "strict" } else { "lenient" }
        );
        if let At::Named(name) = step.at {
            self.host.stop();
            self.start_with(&[(HALT_AT, name)]);
        }
        self.connect();
        let (before, reuses) = (self.provider.refreshes(), self.provider.reuses());
        self.provider.expire();
        match step.at {
            At::Sent => self.provider.hold_requests(),
            At::Answering => self.provider.hold_answers(),
            At::Named(_) | At::Acknowledged => {}
        }
        let halts = self.host.log().matches(HALTED).count();
        std::thread::scope(|scope| {
            let caller = scope.spawn(|| self.me());
            match step.at {
                At::Named(_) => {
                    let end = Instant::now() + PATIENCE;
                    while self.host.log().matches(HALTED).count() == halts {
                        assert!(Instant::now() < end, "{what}: it was never reached");
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
                At::Sent | At::Answering => self.provider.wait_for(1),
                At::Acknowledged => assert_eq!(caller.join().unwrap(), Some(200), "{what}"),
            }
            self.host.kill_now();
        });
        self.host.kill();
        self.provider.release();
        self.start_with(&[]);
        let done = self.provider.refreshes() - before;
        assert_eq!(done, usize::from(step.spent), "{what}");

        if step.spent && !step.kept && strict {
            // The provider has rotated and nobody knows the new token. The old one is tried once.
            assert_ne!(self.me(), Some(200), "{what}");
            assert_eq!(self.provider.refreshes() - before, done + 1, "{what}");
            self.needs_its_person(&what);
        } else {
            assert_eq!(self.me(), Some(200), "{what}");
            let further = usize::from(!step.kept);
            assert_eq!(self.provider.refreshes() - before, done + further, "{what}");
            let again = usize::from(step.spent && !step.kept);
            assert_eq!(self.provider.reuses() - reuses, again, "{what}");
            self.working.push(self.connection.clone());
        }
    }

    /// A crash at a moment that nobody chose. `true`: the connection needs its person.
    fn crash_after(&mut self, pause: Duration) -> bool {
        let what = format!("killed after {pause:?}");
        self.connect();
        self.provider.expire();
        let before = self.provider.refreshes();
        let acknowledged = std::thread::scope(|scope| {
            let caller = scope.spawn(|| self.me());
            std::thread::sleep(pause);
            self.host.kill_now();
            caller.join().unwrap() == Some(200)
        });
        self.host.kill();
        self.host.start_again();
        let died = self.provider.refreshes();
        let answered = self.me();
        let after = self.provider.refreshes();
        assert!(died - before <= 1 && after - died <= 1, "{what}: it loops");
        if acknowledged {
            assert_eq!(
                (answered, after),
                (Some(200), died),
                "{what}: an acknowledged token was lost"
            );
        }
        if answered == Some(200) {
            self.working.push(self.connection.clone());
            return false;
        }
        assert_eq!(after - died, 1, "{what}: {answered:?}");
        self.needs_its_person(&what);
        true
    }
}

fn all_steps(strict: bool) {
    let rounds = if full() { 8 } else { 1 };
    // Whether a provider forgives matters where it knows the old token as spent and the new one is lost.
    let steps: Vec<_> = STEPS
        .iter()
        .filter(|step| strict || full() || (step.spent && !step.kept))
        .collect();
    let mut setting = Setting::new(strict);
    for _ in 0..rounds {
        for step in &steps {
            setting.crash(step, strict);
        }
    }
    if full() {
        setting.all_go_on();
    }
    println!(
        "{} kills at chosen steps of a refresh, strict: {strict}",
        rounds * steps.len()
    );
}

/// A28: a provider that forgives a second use; whatever happens, the connection works again by itself.
#[test]
fn a_crash_at_any_step_of_a_refresh_ends_in_a_working_connection_where_the_provider_forgives() {
    all_steps(false);
}

/// A28: a provider that takes a second use for theft; the old token is tried once, and the person is told.
#[test]
fn a_crash_at_any_step_of_a_refresh_ends_in_a_working_connection_or_says_why_not() {
    all_steps(true);
}

#[test]
fn a_crash_at_a_moment_that_nobody_chose_loses_nothing_that_was_acknowledged() {
    let rounds = if full() { 120 } else { 2 };
    let mut setting = Setting::new(true);
    // How long a refresh takes here, so that most kills fall into one.
    let begun = Instant::now();
    for _ in 0..5 {
        setting.connect();
        setting.provider.expire();
        assert_eq!(setting.me(), Some(200));
    }
    let usual = u64::try_from(begun.elapsed().as_micros()).unwrap() / 5;
    let (mut dice, mut lost) = (0x2545_f491_4f6c_dd1d_u64, 0);
    for _ in 0..rounds {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        if setting.crash_after(Duration::from_micros(dice % (usual * 3 / 2))) {
            lost += 1;
        }
    }
    if full() {
        setting.all_go_on();
    }
    println!(
        "{rounds} kills within 1.5 times the {usual} µs of a refresh; {lost} ended as refresh_interrupted"
    );
}

// A sign-in.

const LOGIN: &str = "https://login.rotating.example";
const API: &str = "https://api.rotating.example";

fn exchange(request: Value, answer: Value) -> Value {
    json!({ "request": request, "answer": answer })
}

/// The code is being redeemed when the host dies.
fn crash_in_a_sign_in(place: &'static str, kept: bool) {
    let provider = script::Provider::start([LOGIN.to_owned(), API.to_owned()]);
    let mut host = Host::start(Setup {
        origins: provider.overrides(),
        apps: vec![repository().join("tests/apps/rotating")],
        env: vec![(HALT_AT.to_owned(), place.to_owned())],
        ..Setup::default()
    });
    let platform = host.platform();
    let client = json!({ "client_id": "the-client", "client_secret": "the-secret-value" });
    let config = platform.configure("rotating", &client);
    provider.play(&[exchange(
        json!({ "url": format!("{LOGIN}/token"), "form": { "code": "code-1" } }),
        json!({ "json": {
            "access_token": "at-1", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rt-1",
        } }),
    )]);
    let more = json!({ "apps": ["rotating"], "return_url": "http://127.0.0.1:9/done" });
    let (session, link) = platform.session("owner-1", "connect", &more);
    let mut browser = Browser::open(&link);
    let wanted =
        json!({ "app": "rotating", "method": "oauth", "config": config, "mode": "redirect" });
    let started = browser
        .call("POST", "/page/flows", Some(&wanted))
        .expect(200)
        .json();
    let flow = started["flow"]["id"].as_str().unwrap().to_owned();
    let go = join(&host.url(), started["go_url"].as_str().unwrap());
    let leaving = browser.client.get(&go, &[]);
    let state = query(leaving.header("location").unwrap(), "state").unwrap();
    let back = format!(
        "{}/oauth/callback/{config}?code=code-1&state={state}",
        host.url()
    );
    let mut leaving = browser.clone();
    std::thread::scope(|scope| {
        // The host is killed under it.
        scope.spawn(|| leaving.client.try_send("GET", &back, &[], None).is_err());
        let end = Instant::now() + PATIENCE;
        while !host.log().contains(HALTED) {
            assert!(Instant::now() < end, "{place} was never reached");
            std::thread::sleep(Duration::from_millis(5));
        }
        host.kill_now();
    });
    host.kill();
    let (complaints, _) = provider.finish();
    assert!(complaints.is_empty(), "{complaints:?}");
    provider.allow(&[exchange(
        json!({ "method": "GET", "url": format!("{API}/me"), "headers": { "authorization": "Bearer at-1" } }),
        json!({ "json": { "id": "u1", "name": "Ada" } }),
    )]);
    host.set_env(&[]);
    host.start_again();

    // A code is redeemed once: coming back with it again changes nothing, and asks the app nothing.
    browser.client.get(&back, &[]);
    let view = browser.settled(&flow);
    if kept {
        assert_eq!(view["status"], "awaiting_completion", "{view}");
        let code = view["completion"]["code"].as_str().unwrap();
        let done = platform.complete(&session, code, "owner-1").expect(200);
        assert_eq!(done.json()["connection"]["state"], "connected");
    } else {
        assert_eq!(
            (&view["status"], &view["error"]["code"]),
            (&json!("failed"), &json!("interrupted")),
            "{view}"
        );
        let listed = platform.get("/v1/connections?owner=owner-1");
        assert_eq!(listed["items"], json!([]), "{listed}");
    }
    let (complaints, _) = provider.finish();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn a_crash_while_a_code_is_redeemed_is_told_to_the_person_at_once() {
    crash_in_a_sign_in("exchange.answered", false);
}

#[test]
fn a_crash_after_a_sign_in_was_kept_costs_its_person_nothing() {
    crash_in_a_sign_in("exchange.kept", true);
}

#[test]
fn a_release_build_has_no_place_to_stop_it() {
    let Ok(path) = std::env::var("KEYPORT_TEST_RELEASE") else {
        assert!(
            std::env::var_os("KEYPORT_TEST_NO_SKIP").is_none(),
            "may not be skipped: KEYPORT_TEST_RELEASE names no release build"
        );
        eprintln!("SKIPPED: KEYPORT_TEST_RELEASE names no release build");
        return;
    };
    let binary = std::fs::read(&path).unwrap();
    for words in [HALT_AT, HALTED] {
        let found = binary.windows(words.len()).any(|at| at == words.as_bytes());
        assert!(!found, "{words} is in {path}");
    }
}
