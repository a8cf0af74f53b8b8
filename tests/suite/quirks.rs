//! What providers do beside the standards, row by row: the catalogue of `tests/cases/quirks/README.md`, each row a case.
//!
//! A case is data: the app's manifest (the one that ships, where there is one), what the provider is asked and answers, and
//! what must come out. One host serves them all; it is the built binary, and reaches the provider by origin overrides.
//! `KEYPORT_TEST_CASE=<folder>` runs one of them. `rows.yaml` has all rows, and each of them is run by some case.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use keyport_tests::authority::{Authority, rsa_key};
use keyport_tests::binary::repository;
use keyport_tests::browser::Browser;
use keyport_tests::host::{Host, Setup};
use keyport_tests::http::{encode, join, origin, query_pairs};
use keyport_tests::platform::Platform;
use keyport_tests::script::{Provider, text};
use serde_json::{Value, json};

/// Rows of the catalogue.
const ROWS: std::ops::RangeInclusive<u64> = 1..=64;

struct Case {
    name: String,
    folder: PathBuf,
    data: Value,
}

fn folder() -> PathBuf {
    repository().join("tests/cases/quirks")
}

fn yaml(path: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn cases() -> Vec<Case> {
    let mut found: Vec<Case> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("case.yaml").is_file())
        .map(|folder| Case {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            data: yaml(&folder.join("case.yaml")),
            folder,
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Every origin that a case's requests and redirects name.
fn origins(case: &Value, found: &mut BTreeSet<String>) {
    match case {
        Value::Object(map) => {
            for (key, value) in map {
                if key == "url"
                    && let Some(url) = value.as_str()
                {
                    found.insert(origin(url));
                }
                origins(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| origins(item, found)),
        _ => {}
    }
}

/// Every row is run, or says where else it is shown; what it says is there for whoever looks for it.
#[test]
fn each_row_of_the_catalogue_has_a_case() {
    let rows = yaml(&folder().join("rows.yaml"));
    let rows = rows.as_object().expect("rows by their number");
    let mut by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in cases() {
        for row in case.data["rows"].as_array().expect("a case names its rows") {
            by.entry(text(row)).or_default().push(case.name.clone());
        }
    }
    let mut wrong = Vec::new();
    for row in ROWS.map(|row| row.to_string()) {
        let Some(said) = rows.get(&row) else {
            wrong.push(format!("rows.yaml lacks row {row}"));
            continue;
        };
        for key in ["provider", "fact"] {
            if said[key].as_str().is_none_or(str::is_empty) {
                wrong.push(format!("row {row} says no `{key}`"));
            }
        }
        match (by.get(&row), said["elsewhere"].as_str()) {
            (None, None) => wrong.push(format!("row {row} has no case")),
            (Some(by), Some(_)) => wrong.push(format!("row {row} is run here: {by:?}")),
            (None, Some(reason)) if reason.len() < 20 => {
                wrong.push(format!("row {row} does not say where it is shown"));
            }
            _ => {}
        }
    }
    for unknown in rows.keys().chain(by.keys()) {
        let known = unknown.parse().is_ok_and(|row: u64| ROWS.contains(&row));
        if !known {
            wrong.push(format!("there is no row {unknown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A case shows an app that people can use; only where none shows the quirk it has a manifest of its own, and says why.
#[test]
fn a_case_says_where_its_answers_come_from_and_why_it_has_an_app_of_its_own() {
    let mut wrong = Vec::new();
    for case in cases() {
        let says = |key: &str| case.data[key].as_str().is_some_and(|text| text.len() > 20);
        let own = case.folder.join("manifest.yaml").is_file();
        if !says("origin") {
            wrong.push(format!("{}: `origin` is missing", case.name));
        }
        if own != says("own") {
            wrong.push(format!(
                "{}: `own` goes with a manifest of its own",
                case.name
            ));
        }
        if own == case.data["manifest"].is_string() {
            wrong.push(format!("{}: one manifest, not two and not none", case.name));
        }
        let known = [
            "rows",
            "quirk",
            "origin",
            "own",
            "manifest",
            "guest",
            "method",
            "configuration",
            "certificates",
            "script",
        ];
        for key in case.data.as_object().expect("keys").keys() {
            if !known.contains(&key.as_str()) {
                wrong.push(format!("{}: there is no key `{key}`", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_quirk_comes_out_as_it_should() {
    let only = std::env::var("KEYPORT_TEST_CASE").ok();
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| only.as_ref().is_none_or(|only| *only == case.name))
        .collect();
    assert!(!cases.is_empty(), "there is no such case");
    let (mut all, mut certified) = (BTreeSet::new(), BTreeSet::new());
    for case in &cases {
        origins(&case.data, &mut all);
        if case.data["certificates"] == true {
            origins(&case.data, &mut certified);
        }
    }
    let authority = Authority::default();
    let certified: Vec<String> = certified.into_iter().collect();
    let provider = Provider::start_certified(all, &certified, &authority);
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), authority.pem()).unwrap();
    let (certificate, certificate_key) = authority.client();
    let made = [
        ("{certificate}", certificate),
        ("{certificate_key}", certificate_key),
        ("{rsa_key}", rsa_key()),
        ("{in_an_hour}", (unix_now() + 3600).to_string()),
    ];
    let built = tempfile::tempdir().unwrap();
    let mut host = Host::start(Setup {
        origins: provider.overrides(),
        apps: cases
            .iter()
            .filter(|case| case.folder.join("manifest.yaml").is_file())
            .map(|case| with_guest(case, built.path()))
            .collect(),
        more: format!("egress.extra_roots = [{:?}]", roots.path()),
        ..Setup::default()
    });
    let platform = host.platform();
    let mut wrong = Vec::new();
    for case in &cases {
        let mut run = Run {
            case,
            host: &host,
            platform: &platform,
            provider: &provider,
            made: &made,
            config: None,
            connection: None,
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.all()));
        if let Err(reason) = result {
            // What is left of it must not disturb the next one.
            let (complaints, _) = provider.finish();
            let said = reason
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| reason.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_default();
            wrong.push(format!(
                "{}: {said}\n    {}",
                case.name,
                complaints.join("\n    ")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}\n--- the host said:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n"),
        if only.is_some() {
            host.log()
        } else {
            "(run one case to see it)".to_owned()
        }
    );
}

/// The app's folder; a copy of it with its component, where the case names a guest.
fn with_guest(case: &Case, built: &std::path::Path) -> PathBuf {
    let Some(guest) = case.data["guest"].as_str() else {
        return case.folder.clone();
    };
    let folder = built.join(&case.name);
    std::fs::create_dir(&folder).unwrap();
    for (from, to) in [
        (case.folder.join("manifest.yaml"), "manifest.yaml"),
        (keyport_tests::guest::build(guest), "component.wasm"),
    ] {
        std::fs::copy(from, folder.join(to)).unwrap();
    }
    folder
}

struct Run<'a> {
    case: &'a Case,
    host: &'a Host,
    platform: &'a Platform,
    provider: &'a Provider,
    /// Keys and certificates that were made for this run, by their placeholders.
    made: &'a [(&'static str, String)],
    config: Option<String>,
    connection: Option<String>,
}

impl Run<'_> {
    fn app(&self) -> String {
        let data = &self.case.data;
        match data["manifest"].as_str() {
            Some(shipped) => shipped.to_owned(),
            None => text(&yaml(&self.case.folder.join("manifest.yaml"))["id"]),
        }
    }

    fn all(&mut self) {
        let data = &self.case.data;
        if data["configuration"].is_object() {
            self.config = Some(self.platform.configure(&self.app(), &data["configuration"]));
        }
        for step in data["script"].as_array().expect("a script") {
            if name_of(step) != "connect" {
                self.play(&step["provider"], "");
            }
            let allowed = step["allow"].as_array().cloned().unwrap_or_default();
            self.provider.allow(&allowed);
            let name = name_of(step);
            match name.as_str() {
                "connect" => self.connect(step),
                "call" => self.call(step),
                "test" => self.test(step),
                "disconnect" => self.disconnect(step),
                other => panic!("there is no step `{other}`"),
            }
            let (complaints, _) = self.provider.finish();
            assert!(
                complaints.is_empty(),
                "in `{name}`: {}",
                complaints.join("; ")
            );
        }
    }

    /// What the provider is asked from now on; `{state}` is the state that the browser was sent off with.
    fn play(&self, exchanges: &Value, state: &str) {
        let exchanges = exchanges.as_array().cloned().unwrap_or_default();
        let exchanges: Vec<Value> = exchanges
            .iter()
            .map(|exchange| {
                filled(
                    &filled(exchange, self.made),
                    &[("{state}", state.to_owned())],
                )
            })
            .collect();
        self.provider.play(&exchanges);
    }

    fn connect(&mut self, step: &Value) {
        let app = self.app();
        let method = text(&self.case.data["method"]);
        let owner = format!("owner-{}", self.case.name);
        let more = json!({ "apps": [app], "return_url": "http://127.0.0.1:9/done" });
        let (session, link) = self.platform.session(&owner, "connect", &more);
        let mut browser = Browser::open(&link);
        let mut wanted = json!({ "app": app, "method": method });
        if let Some(config) = &self.config {
            wanted["config"] = json!(config);
        }
        if step["fields"].is_object() {
            wanted["fields"] = filled(&step["fields"], self.made);
        }
        let flow = if step["authorize"].is_null() {
            self.play(&step["provider"], "");
            let answer = browser.call("POST", "/page/connections", Some(&wanted));
            answer.expect(200).json()["id"].as_str().unwrap().to_owned()
        } else {
            wanted["mode"] = json!("redirect");
            self.play(&step["provider_first"], "");
            let started = browser
                .call("POST", "/page/flows", Some(&wanted))
                .expect(200)
                .json();
            let go = join(&self.host.url(), started["go_url"].as_str().unwrap());
            let leaving = browser.client.get(&go, &[]);
            let to = leaving
                .header("location")
                .unwrap_or_else(|| panic!("{}", leaving.text()))
                .to_owned();
            let state = self.authorized(&step["authorize"], &self.provider.real(&to));
            self.play(&step["provider"], &state);
            self.come_back(&mut browser, &step["callback"], &state);
            started["flow"]["id"].as_str().unwrap().to_owned()
        };
        let mut view = browser.settled(&flow);
        if let Some(choice) = step["choose"].as_str() {
            assert_eq!(view["status"], "choosing", "{view}");
            let options = view["choose"]["options"].as_array().unwrap().clone();
            let chosen = options.iter().find(|option| option["label"] == choice);
            let chosen = chosen.unwrap_or_else(|| panic!("no {choice:?} among {options:?}"));
            let body = json!({ "step": view["choose"]["step"], "value": chosen["value"] });
            let path = format!("/page/flows/{flow}/choose");
            browser.call("POST", &path, Some(&body)).expect(200);
            view = browser.settled(&flow);
        }
        let expected = &step["expect"];
        if let Some(code) = expected["error"].as_str() {
            assert_eq!(view["status"], "failed", "{view}");
            assert_eq!(view["error"]["code"], code, "{view}");
            return;
        }
        assert_eq!(view["status"], "awaiting_completion", "{view}");
        let code = view["completion"]["code"].as_str().unwrap();
        let done = self.platform.complete(&session, code, &owner).expect(200);
        let connection = done.json()["connection"].clone();
        self.connection = Some(connection["id"].as_str().unwrap().to_owned());
        self.compare(expected, &connection);
    }

    /// Looks at where the browser is sent; the state that it carries.
    fn authorized(&self, wanted: &Value, to: &str) -> String {
        let url = wanted["url"].as_str().expect("an address");
        let (base, query) = to.split_once('?').unwrap_or((to, ""));
        // WeChat wants a word behind the parameters, Apollo the parameters behind a route.
        let query = query.split('#').next().unwrap_or_default();
        assert_eq!(base, url, "where the browser is sent");
        for part in wanted["contains"].as_array().into_iter().flatten() {
            assert!(to.contains(&text(part)), "{part} is not in {to}");
        }
        let pairs = query_pairs(query);
        for (name, value) in wanted["query"].as_object().into_iter().flatten() {
            let found: Vec<&str> = pairs
                .iter()
                .filter(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
                .collect();
            let value = text(value);
            let good = match found.as_slice() {
                [found] => *found == value || (value == "*" && !found.is_empty()),
                _ => false,
            };
            assert!(
                good,
                "authorize: `{name}` should be {value:?} once, not {found:?}"
            );
        }
        for name in wanted["without"].as_array().into_iter().flatten() {
            let name = text(name);
            assert!(
                !pairs.iter().any(|(known, _)| *known == name),
                "authorize: `{name}` should not be there"
            );
        }
        let param = wanted["state"].as_str().unwrap_or("state");
        let state = pairs.iter().find(|(known, _)| known == param);
        state.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn come_back(&self, browser: &mut Browser, callback: &Value, state: &str) {
        let config = self
            .config
            .as_deref()
            .expect("a sign-in has a configuration");
        let base = self
            .provider
            .oauth1_callback()
            .unwrap_or_else(|| format!("{}/oauth/callback/{config}", self.host.url()));
        let fill = |pairs: &Value| -> Vec<(String, String)> {
            let pairs = pairs.as_object().expect("parameters");
            pairs
                .iter()
                .map(|(name, value)| (name.clone(), text(value).replace("{state}", state)))
                .collect()
        };
        if callback["form"].is_object() {
            // As a browser does for a form of another site: no cookie goes along.
            let fields = fill(&callback["form"]);
            let fields: Vec<(&str, &str)> = fields
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            let mut stranger = keyport_tests::http::Client::new();
            let answer = stranger.form(&base, &[("origin", "https://elsewhere.example")], &fields);
            assert_eq!(answer.status, 303, "{}", answer.text());
            let next = join(&base, answer.header("location").unwrap());
            browser.client.get(&next, &[]);
            return;
        }
        let query: Vec<String> = fill(&callback["query"])
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let joint = if base.contains('?') { '&' } else { '?' };
        browser
            .client
            .get(&format!("{base}{joint}{}", query.join("&")), &[]);
    }

    fn id(&self) -> &str {
        self.connection.as_deref().expect("it was connected before")
    }

    fn call(&self, step: &Value) {
        let method = step["method"].as_str().unwrap_or("GET");
        let path = step["path"].as_str().expect("a path");
        let path = format!("/v1/connections/{}/proxy{path}", self.id());
        let answer = self.platform.call(method, &path, None);
        let status = step["expect"]["status"].as_u64().unwrap_or(200);
        assert_eq!(u64::from(answer.status), status, "{}", answer.text());
        if step["expect"]["connection"].is_object() {
            let now = self.platform.get(&format!("/v1/connections/{}", self.id()));
            self.compare(&step["expect"]["connection"], &now);
        }
    }

    fn test(&self, step: &Value) {
        let path = format!("/v1/connections/{}/test", self.id());
        let report = self.platform.post(&path, &json!({})).expect(200).json();
        self.compare(&step["expect"], &report["connection"]);
        if let Some(ok) = step["expect"]["ok"].as_bool() {
            assert_eq!(report["ok"], ok, "{report}");
        }
    }

    fn disconnect(&self, step: &Value) {
        let path = format!("/v1/connections/{}/disconnect", self.id());
        let answer = self.platform.post(&path, &json!({})).expect(200).json();
        assert_eq!(answer["revoked"], step["expect"]["revoked"], "{answer}");
    }

    /// `expected`: {account?, state?, reason?, scopes?, expires?}.
    fn compare(&self, expected: &Value, connection: &Value) {
        if let Some(account) = expected["account"].as_object() {
            for (name, value) in account {
                assert_eq!(
                    text(&connection["account"][name]),
                    text(value),
                    "{connection}"
                );
            }
        }
        if let Some(state) = expected["state"].as_str() {
            assert_eq!(connection["state"], state, "{connection}");
        }
        if let Some(reason) = expected["reason"].as_str() {
            assert_eq!(connection["reason"]["code"], reason, "{connection}");
        }
        if expected["scopes"].is_array() {
            assert_eq!(connection["scopes"], expected["scopes"], "{connection}");
        }
        if expected["missing_scopes"].is_array() {
            let found = &connection["missing_scopes"];
            assert_eq!(found, &expected["missing_scopes"], "{connection}");
        }
        if let Some(within) = expected["expires_within"].as_array() {
            let (from, to) = (within[0].as_i64().unwrap(), within[1].as_i64().unwrap());
            let at = connection["expires_at"].as_str().unwrap_or_else(|| {
                panic!("an end was expected: {connection}");
            });
            let left = seconds_from_now(at);
            assert!(
                (from..=to).contains(&left),
                "it ends in {left} s: {connection}"
            );
        }
        if expected["expires"] == false {
            assert!(connection["expires_at"].is_null(), "{connection}");
        }
    }
}

fn name_of(step: &Value) -> String {
    step["step"].as_str().expect("a step has a name").to_owned()
}

/// The same with values in place of placeholders, in texts at any depth.
fn filled(value: &Value, with: &[(&str, String)]) -> Value {
    match value {
        Value::String(text) => {
            Value::String(with.iter().fold(text.clone(), |text, (name, value)| {
                text.replace(name, value)
            }))
        }
        Value::Array(items) => items.iter().map(|item| filled(item, with)).collect(),
        Value::Object(map) => {
            let all = map.iter();
            all.map(|(name, value)| (name.clone(), filled(value, with)))
                .collect()
        }
        other => other.clone(),
    }
}

/// Seconds until a time such as `2026-01-31T12:00:00Z`.
pub fn seconds_from_now(at: &str) -> i64 {
    let number = |from: usize, to: usize| at[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    // Days since 1970 by the civil calendar (Howard Hinnant's algorithm).
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19);
    seconds - unix_now()
}

fn unix_now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_secs()).unwrap()
}
