//! One call of the component: what is given, what is expected, and what came of it.

use std::borrow::Cow;

use keyport_connect::Trial;
use keyport_egress::{Scrubber, Secret, Seen};
use keyport_manifest::yaml::fixtures::exchange::{Sent, same_json};
use keyport_manifest::{Manifest, NextPage, Place, PlainResponse, SecretSlot};
use keyport_plugin::CallError;
use serde_json::{Map, Value};

use super::mock::Received;
use super::same::{same_body, same_url};

/// The longest body that is shown.
const SHOWN: usize = 2000;

/// Codes of egress for what a component may not do: with them it left its grants (V81).
const BEYOND: &[&str] = &[
    "host_not_allowed",
    "forbidden_header",
    "forbidden_parameter",
    "method_not_allowed",
    "handle_out_of_slot",
    "bad_url",
    "address_blocked",
];

/// What is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The test call.
    Check,
    /// An action.
    Action(String),
    /// A poll of a trigger.
    Trigger(String),
}

impl What {
    /// For people.
    pub fn text(&self) -> String {
        match self {
            Self::Check => "test".to_owned(),
            Self::Action(id) => format!("action {id}"),
            Self::Trigger(id) => format!("trigger {id}"),
        }
    }
}

/// A request that is expected, and its answer.
pub struct Expected {
    /// What must be sent, if the fixture says it.
    pub request: Option<Sent>,
    /// What the vendor answers.
    pub answer: PlainResponse,
}

/// One call.
pub struct Play {
    /// What it shows.
    pub name: String,
    /// What is called.
    pub what: What,
    /// The connection that nobody made.
    pub trial: Trial,
    /// Every secret of it.
    pub secrets: Vec<Secret>,
    /// The input of an action or a trigger.
    pub input: Value,
    /// Where a poll goes on.
    pub cursor: Option<Value>,
    /// Whether it may only read.
    pub read_only: bool,
    /// What is expected to be sent; none where the vendor's document or the vendor answers.
    pub script: Vec<Expected>,
    /// What must come out; none where any success is one.
    pub expect: Option<Map<String, Value>>,
}

/// What came of it.
pub struct Played {
    /// What the component gave back.
    pub outcome: Result<Value, CallError>,
    /// Its requests, as it made them, and what it got.
    pub seen: Vec<Seen>,
    /// What the stand-in of the vendor received.
    pub received: Vec<Received>,
    /// What it logged.
    pub lines: Vec<String>,
    /// What the stand-in had to say.
    pub remarks: Vec<String>,
}

impl Played {
    /// Everything that is not as it should be; nothing if all is.
    pub fn problems(&self, play: &Play, manifest: &Manifest) -> Vec<String> {
        let mut found = self.remarks.clone();
        self.sent(play, &paging(manifest, &play.what), &mut found);
        self.came(play, &mut found);
        self.beyond(&mut found);
        self.leaks(play, manifest, &mut found);
        found
    }

    fn sent(&self, play: &Play, paging: &[&str], found: &mut Vec<String>) {
        let expects = play.script.len();
        if play.expect.is_some() && self.seen.len() < expects {
            found.push(format!(
                "it sent {} of the {expects} requests that the fixture has",
                self.seen.len()
            ));
        }
        for (seen, expected) in self.seen.iter().zip(&play.script) {
            let Some(wanted) = &expected.request else {
                continue;
            };
            if seen.method != wanted.method || !same_url(&seen.url, &wanted.url, paging) {
                found.push(format!(
                    "it sent {} {}, not {} {}",
                    seen.method, seen.url, wanted.method, wanted.url
                ));
            }
            if let Some(body) = &wanted.body
                && !same_body(&seen.body, body)
            {
                found.push(format!("it sent the body {}", text(&seen.body)));
            }
        }
    }

    fn came(&self, play: &Play, found: &mut Vec<String>) {
        match (&self.outcome, &play.expect) {
            (Ok(_), None) => {}
            (Ok(got), Some(expect)) => {
                if let Some(means) = expect.get("means") {
                    found.push(format!(
                        "it succeeded; expected was a failure that means {means}"
                    ));
                }
                for (key, wanted) in expect.iter().filter(|(key, _)| *key != "means") {
                    let got = match (&play.what, key.as_str()) {
                        (What::Check, "account") | (What::Action(_), "result") => Some(got),
                        _ => got.get(key),
                    };
                    if !got.is_some_and(|got| same_json(got, wanted)) {
                        let got = got.unwrap_or(&Value::Null);
                        found.push(format!("{key} is {got}, not {wanted}"));
                    }
                }
            }
            (Err(CallError::Failure(failure)), Some(expect)) => {
                let means = failure.means.as_str();
                if expect.get("means").and_then(Value::as_str) != Some(means) {
                    found.push(format!("it failed ({means}): {}", failure.say));
                }
            }
            (Err(CallError::Failure(failure)), None) => {
                found.push(format!(
                    "it failed ({}): {}",
                    failure.means.as_str(),
                    failure.say
                ));
            }
            (Err(error), _) => found.push(error.to_string()),
        }
    }

    /// V81: it asked for what it may not.
    fn beyond(&self, found: &mut Vec<String>) {
        for seen in &self.seen {
            if let Err(error) = &seen.answer
                && BEYOND.contains(&error.code)
            {
                found.push(format!(
                    "error[V81]: {} {} was refused ({}): {}",
                    seen.method, seen.url, error.code, error.say
                ));
            }
        }
    }

    /// V81: a secret in what the component says or sends, or in what reached the vendor where nobody declared it.
    fn leaks(&self, play: &Play, manifest: &Manifest, found: &mut Vec<String>) {
        let scrubber = Scrubber::new(&play.secrets);
        let has = |text: &str| scrubber.text(text) != text;
        let mut told = |wrong: bool, place: &str| {
            if wrong {
                found.push(format!("error[V81]: there is a secret in {place}"));
            }
        };
        let outcome = match &self.outcome {
            Ok(value) => value.to_string(),
            Err(CallError::Failure(failure)) => {
                format!("{} {} {}", failure.code, failure.say, failure.data)
            }
            Err(error) => error.to_string(),
        };
        told(has(&outcome), "what it answered");
        told(self.lines.iter().any(|line| has(line)), "what it logged");
        for seen in &self.seen {
            let mut headers = seen.headers.iter();
            let own = has(&seen.url)
                || headers.any(|(name, value)| has(name.as_str()) || has(&whole(value.as_bytes())))
                || has(&whole(&seen.body));
            told(
                own,
                &format!(
                    "its own request {} {}",
                    seen.method,
                    text(scrubber.text(&seen.url).as_bytes())
                ),
            );
        }
        let (headers, query, in_body) = declared(manifest, &play.trial.method);
        for one in &self.received {
            for (name, value) in &one.headers {
                let stray =
                    has(value) && !headers.iter().any(|known| known.eq_ignore_ascii_case(name));
                told(
                    stray,
                    &format!("the header {name}, which the manifest does not fill in"),
                );
            }
            let (path, pairs) = one.target.split_once('?').unwrap_or((&one.target, ""));
            told(has(path), "the path of a request");
            for pair in pairs.split('&') {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                told(
                    has(value) && !query.iter().any(|known| known == name),
                    &format!("the query parameter {name}, which the manifest does not fill in"),
                );
            }
            told(has(&whole(&one.body)) && !in_body, "the body of a request");
        }
    }

    /// The requests and answers, as the component has them: without what the host attaches and takes out.
    pub fn shown(&self, whole: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for seen in &self.seen {
            let came = match &seen.answer {
                Ok(answer) => answer.status.to_string(),
                Err(error) => format!("no answer ({}): {}", error.code, error.say),
            };
            lines.push(format!("{} {} → {came}", seen.method, seen.url));
            if !whole {
                continue;
            }
            for (name, value) in &seen.headers {
                lines.push(format!(
                    "  > {name}: {}",
                    String::from_utf8_lossy(value.as_bytes())
                ));
            }
            if !seen.body.is_empty() {
                lines.push(format!("  > {}", text(&seen.body)));
            }
            if let Ok(answer) = &seen.answer
                && !answer.body.is_empty()
            {
                lines.push(format!("  < {}", text(&answer.body)));
            }
        }
        lines.extend(self.lines.iter().map(|line| format!("log {line}")));
        lines
    }
}

/// Where the manifest lets secrets be: headers, query parameters, and whether in bodies.
pub fn declared(manifest: &Manifest, method: &str) -> (Vec<String>, Vec<String>, bool) {
    let mut headers = manifest.reserved_headers(method);
    let mut query = Vec::new();
    let mut body = false;
    for inject in manifest
        .auth
        .get(method)
        .map(|it| it.injections())
        .unwrap_or_default()
    {
        match inject.place {
            Place::Header => headers.push(inject.name.clone()),
            Place::Query => query.push(inject.name.clone()),
            Place::Cookie => headers.push("cookie".to_owned()),
            Place::Body => body = true,
        }
    }
    let slots = manifest
        .handles
        .values()
        .flat_map(|it| &it.slots)
        .chain(manifest.recipes.values().flat_map(|it| it.slots()));
    for slot in slots {
        match slot {
            SecretSlot::Header(name) => headers.push(name.clone()),
            SecretSlot::Query(name) => query.push(name.clone()),
            SecretSlot::Body(_) => body = true,
            SecretSlot::Recipe(_) => {}
        }
    }
    (headers, query, body)
}

/// Parameters that a declared pagination adds to what the request says: a fixture of one page need not have them.
pub fn paging<'m>(manifest: &'m Manifest, what: &What) -> Vec<&'m str> {
    let pagination = match what {
        What::Check => None,
        What::Action(id) => manifest
            .actions
            .get(id)
            .and_then(|it| it.pagination.as_ref()),
        What::Trigger(id) => manifest
            .triggers
            .get(id)
            .and_then(|it| it.pagination.as_ref()),
    };
    let Some(pagination) = pagination else {
        return Vec::new();
    };
    let size = pagination.size.as_ref().map(|size| size.query.as_str());
    let page = match &pagination.next {
        NextPage::Page { query, .. } | NextPage::Offset { query } => Some(query.as_str()),
        _ => None,
    };
    size.into_iter().chain(page).collect()
}

fn whole(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// What is shown of it.
fn text(bytes: &[u8]) -> String {
    let text = whole(bytes);
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use keyport_egress::SeenError;
    use serde_json::json;

    use super::*;

    fn manifest() -> Manifest {
        serde_json::from_value(json!({
            "manifest": 1, "id": "a", "name": "A", "version": "1.0.0", "summary": "S.", "component": "component.wasm",
            "api": {"base_url": "https://api.acme.test"}, "auth": {"key": {"type": "bearer", "label": "Key"}},
            "test": {"code": true}
        }))
        .unwrap()
    }

    /// A play of the test with one secret.
    fn play(secret: &str) -> Play {
        Play {
            name: "test".to_owned(),
            what: What::Check,
            trial: Trial {
                method: "key".to_owned(),
                ..Trial::default()
            },
            secrets: vec![Secret::new(secret)],
            input: Value::Null,
            cursor: None,
            read_only: true,
            script: Vec::new(),
            expect: None,
        }
    }

    fn played() -> Played {
        Played {
            outcome: Ok(json!({})),
            seen: Vec::new(),
            received: Vec::new(),
            lines: Vec::new(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn a_secret_is_found_wherever_in_a_request_it_is() {
        let secret = "a-\"quoted\"-secret";
        let (play, manifest) = (play(secret), manifest());
        let far = format!("{}{secret}", "x".repeat(10 * SHOWN));
        let seen = |url: &str, header: &str, body: &str| {
            let value = HeaderValue::from_str(header).unwrap();
            let one = Seen {
                method: "POST".to_owned(),
                url: url.to_owned(),
                headers: HeaderMap::from_iter([(http::header::ACCEPT, value)]),
                body: body.to_owned().into(),
                answer: Err(SeenError {
                    code: "timeout",
                    say: String::new(),
                    before_sending: true,
                }),
            };
            Played {
                seen: vec![one],
                ..played()
            }
        };
        let received = |body: &str| Played {
            received: vec![Received {
                target: "/".to_owned(),
                headers: Vec::new(),
                body: body.into(),
            }],
            ..played()
        };
        for found in [
            seen(&far, "", ""),
            seen("/", &far, ""),
            seen("/", "", &far),
            received(&far),
        ] {
            let problems = found.problems(&play, &manifest);
            let [problem] = problems.as_slice() else {
                panic!("{problems:?}");
            };
            assert!(
                problem.starts_with("error[V81]: there is a secret in "),
                "{problem}"
            );
            assert!(!problem.contains(secret), "{problem}");
        }
        for clean in [seen("/", "x", "y"), received("y")] {
            assert_eq!(clean.problems(&play, &manifest), Vec::<String>::new());
        }
    }
}
