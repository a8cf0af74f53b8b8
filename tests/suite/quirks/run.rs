//! One case, step by step.

use keyport_tests::browser::Browser;
use keyport_tests::host::Host;
use keyport_tests::http::{encode, join, query_pairs};
use keyport_tests::platform::Platform;
use keyport_tests::script::{Provider, text};
use serde_json::{Value, json};

use super::{Case, filled, seconds_from_now, yaml};

pub struct Run<'a> {
    pub case: &'a Case,
    pub host: &'a Host,
    pub platform: &'a Platform,
    pub provider: &'a Provider,
    /// Keys and certificates that were made for this run, by their placeholders.
    pub made: &'a [(&'static str, String)],
    pub config: Option<String>,
    pub connection: Option<String>,
}

impl Run<'_> {
    fn app(&self) -> String {
        let data = &self.case.data;
        match data["manifest"].as_str() {
            Some(shipped) => shipped.to_owned(),
            None => text(&yaml(&self.case.folder.join("manifest.yaml"))["id"]),
        }
    }

    pub fn all(&mut self) {
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
