//! Recorded exchanges, played to a provider natively: the app's own `fixtures/`, as `keyport test` plays them to the component.
//!
//! It is quick and has a debugger; what the real host refuses, and that no secret is told, only `keyport test` sees.

use serde_json::{Map, Value, json};

use crate::failure::{Failure, Means};
use crate::http::Response;
use crate::provider::Provider;
use crate::testing::FakeHost;

/// When a poll or an action runs, unless its fixture says otherwise: 2026-01-02T03:04:05Z.
const NOW: u64 = 1_767_323_045;

/// The exchanges of a fixture file.
pub struct Recorded(Vec<Value>);

impl Recorded {
    /// Reads a fixture file.
    ///
    /// # Errors
    /// Where it is not a list of exchanges.
    pub fn read(yaml: &str) -> Result<Self, String> {
        serde_yaml::from_str(yaml)
            .map(Self)
            .map_err(|e| e.to_string())
    }

    /// Plays every exchange about the test, an action or a trigger; how many there were.
    ///
    /// # Errors
    /// Everything that was not as expected, a line each.
    pub fn play<P: Provider>(&self) -> Result<usize, String> {
        let mut wrong = Vec::new();
        let mut played = 0;
        for exchange in &self.0 {
            let name = exchange
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or("an exchange");
            if let Some(result) = one::<P>(exchange) {
                played += 1;
                wrong.extend(result.into_iter().map(|what| format!("{name}: {what}")));
            }
        }
        if wrong.is_empty() {
            Ok(played)
        } else {
            Err(wrong.join("\n"))
        }
    }
}

/// What is not as expected; `None` where no component has a part in the exchange.
fn one<P: Provider>(exchange: &Value) -> Option<Vec<String>> {
    let subject = exchange.get("for")?;
    let named = |kind: &str| subject.get(kind).and_then(Value::as_str);
    let host = host(exchange);
    let given = |key: &str| exchange.pointer(&format!("/given/{key}")).cloned();
    let input = given("input").unwrap_or_else(|| json!({}));
    let (key, outcome) = if subject == "test" || named("test").is_some() {
        let outcome =
            P::check(&host).map(|a| json!({ "account": { "id": a.id, "label": a.label } }));
        ("account", outcome)
    } else if let Some(action) = named("action") {
        let outcome = P::run(&host, action, input).map(|result| json!({ "result": result }));
        ("result", outcome)
    } else if let Some(trigger) = named("trigger") {
        let outcome = P::poll(&host, trigger, input, given("cursor"));
        let page =
            outcome.map(|p| json!({ "events": p.events, "cursor": p.cursor, "more": p.more }));
        ("events", page)
    } else {
        return None;
    };
    let mut wrong = sent(exchange, &host);
    let empty = Map::new();
    let expect = exchange
        .get("expect")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    match outcome {
        Ok(got) if expect.contains_key("means") => wrong.push(format!("it succeeded: {got}")),
        Ok(got) => wrong.extend(
            expect
                .iter()
                .filter(|(key, wanted)| !got.get(key.as_str()).is_some_and(|got| same(got, wanted)))
                .map(|(key, wanted)| {
                    format!(
                        "{key} is {}, not {wanted}",
                        got.get(key).unwrap_or(&Value::Null)
                    )
                }),
        ),
        Err(failure) if expect.get("means").and_then(Value::as_str) == Some(means(&failure)) => {}
        Err(failure) => wrong.push(format!(
            "no {key}, but {}: {}",
            means(&failure),
            failure.say
        )),
    }
    Some(wrong)
}

/// A host that answers what was recorded.
fn host(exchange: &Value) -> FakeHost {
    let now = exchange
        .pointer("/given/now")
        .and_then(Value::as_u64)
        .unwrap_or(NOW);
    let mut host =
        FakeHost::new(&json!({ "api": { "base_url": "https://api.example.com" } })).at(now);
    // As `keyport test` has them.
    host = host
        .with_value("account.id", "account-id")
        .with_value("account.label", "Account");
    for group in ["fields", "credentials", "capture"] {
        let values = exchange
            .pointer(&format!("/given/{group}"))
            .and_then(Value::as_object);
        for (name, value) in values.into_iter().flatten() {
            host = host.with_value(name, &text(value));
        }
    }
    for (_, response) in steps(exchange) {
        host = host.response(answer(response));
    }
    host
}

/// Each request that is expected, as far as it is said, and its answer.
fn steps(exchange: &Value) -> Vec<(Option<&Value>, &Value)> {
    let then = exchange.get("then").and_then(Value::as_array);
    std::iter::once(exchange)
        .chain(then.into_iter().flatten())
        .filter_map(|step| Some((step.get("request"), step.get("response")?)))
        .collect()
}

/// A text as it is, anything else as JSON writes it.
fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn answer(response: &Value) -> Response {
    let headers = response.get("headers").and_then(Value::as_object);
    Response {
        status: response
            .get("status")
            .and_then(Value::as_u64)
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or(200),
        headers: headers
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        body: match response.get("body") {
            None | Some(Value::Null) => Vec::new(),
            Some(body) => text(body).into_bytes(),
        },
    }
}

fn sent(exchange: &Value, host: &FakeHost) -> Vec<String> {
    let mut wrong = Vec::new();
    let sent = host.sent();
    let steps = steps(exchange);
    if sent.len() != steps.len() {
        wrong.push(format!(
            "{} requests were sent, not {}",
            sent.len(),
            steps.len()
        ));
    }
    for (request, (wanted, _)) in sent.iter().zip(steps) {
        let Some(wanted) = wanted else { continue };
        let said = |key: &str| wanted.get(key).and_then(Value::as_str);
        if said("method").is_some_and(|it| it != request.method)
            || said("url").is_some_and(|it| it != request.url)
        {
            wrong.push(format!(
                "{} {} was sent, not {wanted}",
                request.method, request.url
            ));
        }
        let body = request.body.as_deref().unwrap_or_default();
        let same = match wanted.get("body") {
            None => true,
            Some(Value::String(text)) => text.as_bytes() == body,
            Some(tree) => serde_json::from_slice::<Value>(body).is_ok_and(|got| same(&got, tree)),
        };
        if !same {
            wrong.push(format!("the body was {}", String::from_utf8_lossy(body)));
        }
    }
    wrong
}

/// The same JSON. A number is one however it is written: languages differ in whether 1.0 is 1.
fn same(got: &Value, wanted: &Value) -> bool {
    match (got, wanted) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || ((a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64())
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => got == wanted,
    }
}

fn means(failure: &Failure) -> &'static str {
    match failure.means {
        Means::NeedsReconnect => "needs_reconnect",
        Means::MissingScope => "missing_scope",
        Means::RateLimited => "rate_limited",
        Means::ProviderDown => "provider_down",
        Means::NotFound => "not_found",
        Means::InvalidInput => "invalid_input",
        Means::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Account, Host, Request};

    struct App;

    impl Provider for App {
        fn check(host: &dyn Host) -> Result<Account, Failure> {
            let me: Value = host.send(&Request::get("/me"))?.success()?.json()?;
            Ok(Account::new(me["id"].to_string(), "Ann"))
        }
    }

    /// Says what it was given.
    struct Echo;

    impl Provider for Echo {
        fn check(host: &dyn Host) -> Result<Account, Failure> {
            let port = host.value("port").unwrap_or_default();
            Ok(Account::new(port, host.value("safe").unwrap_or_default()))
        }

        fn run(_: &dyn Host, _: &str, input: Value) -> Result<Value, Failure> {
            Ok(input)
        }
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written_and_a_text_is_no_number() {
        let play = |result: &str| {
            let yaml = format!(
                "[{{ name: n, for: {{ action: a }}, given: {{ input: {{ n: [1, 2.0] }} }}, expect: {{ result: {{ n: {result} }} }} }}]"
            );
            Recorded::read(&yaml).unwrap().play::<Echo>()
        };
        // No request was made, and no answer is there.
        assert_eq!(play("[1.0, 2]"), Ok(1));
        for wrong in ["['1', 2]", "[1, 2.5]", "[1]"] {
            let told = play(wrong).unwrap_err();
            assert!(told.contains("result is"), "{told}");
        }
    }

    #[test]
    fn what_is_given_is_what_is_written_whatever_yaml_makes_of_it() {
        let yaml = "[{ name: n, for: test, given: { fields: { port: 8080, safe: true } }, expect: { account: { id: '8080', label: 'true' } } }]";
        assert_eq!(Recorded::read(yaml).unwrap().play::<Echo>(), Ok(1));
    }

    const FIXTURES: &str = "
- name: the account
  for: test
  request: { method: GET, url: /me }
  response: { status: 200, body: { id: 7 } }
  expect: { account: { id: '7', label: Ann } }
- name: a key that was deleted
  for: test
  response: { status: 401 }
  expect: { means: needs_reconnect }
- name: tokens are the host's
  for: { token: oauth }
  response: { status: 200, body: {} }
  expect: { token: {} }
";

    #[test]
    fn what_was_recorded_is_played_and_what_differs_is_told() {
        let good = Recorded::read(FIXTURES).unwrap();
        assert_eq!(good.play::<App>(), Ok(2));
        let other = FIXTURES
            .replace("url: /me", "url: /you")
            .replace("id: '7'", "id: '8'");
        let told = Recorded::read(&other).unwrap().play::<App>().unwrap_err();
        assert!(
            told.contains("GET /me was sent") && told.contains("account is"),
            "{told}"
        );
        assert!(Recorded::read("name: x").is_err());
    }
}
