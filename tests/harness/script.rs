//! A provider that says what a case tells it to say, and looks at what it is asked.
//!
//! Each origin of a case has a listener of its own on loopback, so that a request that goes to the wrong host is seen. The
//! exchanges of a step are played in order: the next request must be the one that is written next, with what it must and
//! must not contain; then comes the written answer. What is not as written is kept as a complaint, and the request answered
//! 500: nothing goes on by luck. An exchange with `until` is played as often as it is asked for, and is over once a request for
//! that address has come: whoever tests says when, and no clock does.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::authority::Authority;
use crate::http::{encode, query_pairs};

/// How long a listener waits for a request that has begun.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Whether the client showed a certificate of ours.
    pub certified: bool,
    /// The origin that it was meant for, before overrides.
    pub origin: String,
    /// `GET`, `POST` …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query as it was sent.
    pub query: String,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Seen {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The parameters of an OAuth 1.0a header (RFC 5849, 3.5.1), decoded.
    pub fn oauth1(&self) -> Vec<(String, String)> {
        let header = self.header("authorization").unwrap_or_default();
        let Some(params) = header.strip_prefix("OAuth ") else {
            return Vec::new();
        };
        let pairs = params.split(',').filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            let decoded = query_pairs(&format!(
                "x={}",
                value.trim_matches('"').replace('+', "%2B")
            ));
            Some((name.to_owned(), decoded.first()?.1.clone()))
        });
        pairs.collect()
    }
}

#[derive(Default)]
struct State {
    script: std::collections::VecDeque<Value>,
    allowed: Vec<Value>,
    complaints: Vec<String>,
    seen: Vec<Seen>,
}

impl State {
    /// The exchange that is written next.
    fn next(&mut self) -> Option<Value> {
        while let Some(until) = self.script.front()?["until"].as_str() {
            let came = |seen: &Seen| format!("{}{}", seen.origin, seen.path) == until;
            if !self.seen.iter().any(came) {
                return self.script.front().cloned();
            }
            self.script.pop_front();
        }
        self.script.pop_front()
    }
}

/// The listeners of all origins.
pub struct Provider {
    state: Arc<Mutex<State>>,
    overrides: BTreeMap<String, String>,
}

impl Provider {
    /// A listener for each of these origins. They end with the process.
    pub fn start(origins: impl IntoIterator<Item = String>) -> Self {
        Self::start_certified(origins, &[], &Authority::default())
    }

    /// [`Provider::start`], where those that `certified` names speak TLS and turn away whoever shows no certificate of
    /// `authority`.
    pub fn start_certified(
        origins: impl IntoIterator<Item = String>,
        certified: &[String],
        authority: &Authority,
    ) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let mut overrides = BTreeMap::new();
        for origin in origins {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let at = listener.local_addr().expect("bound");
            let tls = certified.contains(&origin).then(|| authority.server());
            let scheme = if tls.is_some() { "https" } else { "http" };
            overrides.insert(origin.clone(), format!("{scheme}://{at}"));
            let state = Arc::clone(&state);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (state, origin, tls) = (Arc::clone(&state), origin.clone(), tls.clone());
                    std::thread::spawn(move || {
                        // Whoever sends nothing for so long has gone.
                        if stream.set_read_timeout(Some(PATIENCE)).is_err() {
                            return;
                        }
                        match tls {
                            None => serve(stream, &origin, &state, false),
                            // The verifier lets nobody past the handshake without a certificate.
                            Some(tls) => {
                                if let Some(stream) = tls.accept(stream) {
                                    serve(stream, &origin, &state, true);
                                }
                            }
                        }
                    });
                }
            });
        }
        Self { state, overrides }
    }

    /// Origin overrides for the host that is tested.
    pub fn overrides(&self) -> BTreeMap<String, String> {
        self.overrides.clone()
    }

    /// An address on loopback as the one that it stands for.
    pub fn real(&self, url: &str) -> String {
        for (origin, local) in &self.overrides {
            if let Some(rest) = url.strip_prefix(local.as_str()) {
                return format!("{origin}{rest}");
            }
        }
        url.to_owned()
    }

    /// What is to happen next, in this order.
    pub fn play(&self, exchanges: &[Value]) {
        self.state
            .lock()
            .expect("no listener panics")
            .script
            .extend(exchanges.iter().cloned());
    }

    /// What may happen besides, at any time and as often as it likes, until the step is over.
    pub fn allow(&self, exchanges: &[Value]) {
        let mut state = self.state.lock().expect("no listener panics");
        state.allowed.extend(exchanges.iter().cloned());
    }

    /// The address that the last request for temporary credentials wanted the person sent back to.
    pub fn oauth1_callback(&self) -> Option<String> {
        let state = self.state.lock().expect("no listener panics");
        let mut all = state.seen.iter().rev().flat_map(Seen::oauth1);
        let found = all.find(|(name, _)| name == "oauth_callback");
        found.map(|(_, value)| value)
    }

    /// What was not as written since the last time, what was written and did not happen, and what came in.
    pub fn finish(&self) -> (Vec<String>, Vec<Seen>) {
        let mut state = self.state.lock().expect("no listener panics");
        let mut complaints = std::mem::take(&mut state.complaints);
        state.allowed.clear();
        let as_often_as_asked = |exchange: &Value| exchange["until"].is_string();
        state.script.retain(|left| !as_often_as_asked(left));
        for left in state.script.drain(..) {
            complaints.push(format!("this request never came: {}", left["request"]));
        }
        (complaints, std::mem::take(&mut state.seen))
    }
}

fn serve(mut stream: impl Read + Write, origin: &str, state: &Mutex<State>, certified: bool) {
    let Some(seen) = read(&mut stream, origin, certified) else {
        return;
    };
    let (answer, wait) = {
        let mut state = state.lock().expect("no listener panics");
        let allowed = state
            .allowed
            .iter()
            .find(|exchange| differences(&exchange["request"], &seen).is_empty())
            .map(|exchange| exchange["answer"].clone());
        let next = if allowed.is_some() {
            None
        } else {
            state.next()
        };
        let answer = match next {
            _ if allowed.is_some() => allowed,
            None => {
                state.complaints.push(format!(
                    "nothing was expected, and this came: {} {origin}{}",
                    seen.method, seen.path
                ));
                None
            }
            Some(exchange) => {
                let wrong = differences(&exchange["request"], &seen);
                if wrong.is_empty() {
                    Some(exchange["answer"].clone())
                } else {
                    state.complaints.push(format!(
                        "{} {origin}{}: {}",
                        seen.method,
                        seen.path,
                        wrong.join("; ")
                    ));
                    None
                }
            }
        };
        state.seen.push(seen);
        let wait = answer
            .as_ref()
            .and_then(|answer| answer["hang_ms"].as_u64())
            .unwrap_or(0);
        (answer, wait)
    };
    std::thread::sleep(Duration::from_millis(wait));
    write(stream, answer.as_ref());
}

fn read(stream: &mut impl Read, origin: &str, certified: bool) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let header = |name: &str| {
        headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    let mut body = Vec::new();
    if header("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            chunk.truncate(size);
            body.extend(chunk);
        }
    } else if let Some(length) = header("content-length") {
        body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Seen {
        certified,
        origin: origin.to_owned(),
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn write(mut stream: impl Write, answer: Option<&Value>) {
    let broken = serde_json::json!({ "status": 500, "body": "not as written" });
    let answer = answer.unwrap_or(&broken);
    if answer["close"] == true {
        return;
    }
    let (body, kind) = if let Some(text) = answer["body"].as_str() {
        (text.to_owned(), "text/plain")
    } else if let Some(bytes) = answer["large"].as_u64() {
        let length = usize::try_from(bytes).expect("a size that fits");
        ("x".repeat(length), "application/json")
    } else if let Some(pairs) = answer["form"].as_object() {
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(&text(value))))
            .collect();
        (pairs.join("&"), "application/x-www-form-urlencoded")
    } else if answer["json"].is_null() {
        (String::new(), "text/plain")
    } else {
        (answer["json"].to_string(), "application/json")
    };
    let status = answer["status"].as_u64().unwrap_or(200);
    let mut head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\n");
    let own = answer["headers"].as_object();
    for (name, value) in own.into_iter().flatten() {
        for value in value.as_array().unwrap_or(&vec![value.clone()]) {
            head.push_str(&format!("{name}: {}\r\n", text(value)));
        }
    }
    let has_type =
        own.is_some_and(|own| own.keys().any(|k| k.eq_ignore_ascii_case("content-type")));
    if !has_type && !body.is_empty() {
        head.push_str(&format!("content-type: {kind}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    // Whoever went away has not read it.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body.as_bytes());
    let _ = stream.flush();
}

/// A scalar as text.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is not as written about a request. `wanted`: `{method?, url, query?, form?, json?, body?, headers?, basic?, oauth1?,
/// jwt?, certificate?, without?}`; `*` stands for anything that is not empty.
pub fn differences(wanted: &Value, seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    let method = wanted["method"].as_str().unwrap_or("POST");
    if method != seen.method {
        wrong.push(format!("{method} was expected"));
    }
    let url = wanted["url"].as_str().unwrap_or_default();
    let (url, _) = url.split_once('?').unwrap_or((url, ""));
    let real = format!("{}{}", seen.origin, seen.path);
    if url != real {
        wrong.push(format!("the request for {url} was expected"));
    }
    pairs(
        &wanted["query"],
        &query_pairs(&seen.query),
        "query",
        &mut wrong,
    );
    pairs(
        &wanted["form"],
        &query_pairs(&seen.body),
        "form",
        &mut wrong,
    );
    let headers: Vec<(String, String)> = seen.headers.clone();
    for (name, value) in wanted["headers"].as_object().into_iter().flatten() {
        let found = headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        one(
            name,
            value,
            found.map(|(_, v)| v.as_str()),
            "header",
            &mut wrong,
        );
    }
    if let Some(basic) = wanted["basic"].as_str() {
        let expected = format!("Basic {}", STANDARD.encode(basic));
        if seen.header("authorization") != Some(expected.as_str()) {
            wrong.push(format!(
                "Basic of {basic:?} was expected, not {:?}",
                seen.header("authorization")
            ));
        }
    }
    pairs(&wanted["oauth1"], &seen.oauth1(), "oauth1", &mut wrong);
    for (name, wanted) in wanted["jwt"].as_object().into_iter().flatten() {
        let form = query_pairs(&seen.body);
        let token = form.iter().find(|(known, _)| known == name);
        match token.and_then(|(_, token)| jwt(token)) {
            Some(parts) => members(wanted, &parts, name, &mut wrong),
            None => wrong.push(format!("form `{name}` should be a JWT, not {token:?}")),
        }
    }
    if wanted["certificate"] == true && !seen.certified {
        wrong.push("a client certificate was expected".to_owned());
    }
    if wanted["json"].is_object() {
        match serde_json::from_str::<Value>(&seen.body) {
            Ok(body) => members(&wanted["json"], &body, "json", &mut wrong),
            Err(_) => wrong.push(format!("a JSON body was expected, not {:?}", seen.body)),
        }
    }
    if let Some(body) = wanted["body"].as_str()
        && body != seen.body
    {
        wrong.push(format!(
            "the body {body:?} was expected, not {:?}",
            seen.body
        ));
    }
    for name in wanted["without"].as_array().into_iter().flatten() {
        let name = text(name);
        let json = serde_json::from_str::<Value>(&seen.body).unwrap_or_default();
        let there = query_pairs(&seen.query).iter().any(|(k, _)| *k == name)
            || query_pairs(&seen.body).iter().any(|(k, _)| *k == name)
            || json.get(&name).is_some()
            || seen.oauth1().iter().any(|(k, _)| *k == name)
            || seen.header(&name).is_some();
        if there {
            wrong.push(format!("`{name}` should not be there"));
        }
    }
    wrong
}

/// Header and claims of a JWT that is signed with something; whether the signature is right is shown where keys are at hand.
fn jwt(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let mut decoded = || -> Option<Value> {
        let bytes = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    let (header, claims) = (decoded()?, decoded()?);
    let signature = parts.next()?;
    (!signature.is_empty() && parts.next().is_none())
        .then(|| serde_json::json!({ "header": header, "claims": claims }))
}

/// Compares what is written of an object, at any depth.
fn members(wanted: &Value, found: &Value, what: &str, wrong: &mut Vec<String>) {
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let found = found.get(name);
        if value.is_object() {
            members(
                value,
                found.unwrap_or(&Value::Null),
                &format!("{what}.{name}"),
                wrong,
            );
        } else {
            one(name, value, found.map(text).as_deref(), what, wrong);
        }
    }
}

fn pairs(wanted: &Value, found: &[(String, String)], what: &str, wrong: &mut Vec<String>) {
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let same: Vec<&str> = found
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, v)| v.as_str())
            .collect();
        if same.len() > 1 {
            wrong.push(format!("{what} `{name}` is there {} times", same.len()));
        }
        one(name, value, same.first().copied(), what, wrong);
    }
}

fn one(name: &str, wanted: &Value, found: Option<&str>, what: &str, wrong: &mut Vec<String>) {
    let wanted = text(wanted);
    let good = match found {
        Some(found) if wanted == "*" => !found.is_empty(),
        found => found == Some(wanted.as_str()),
    };
    if !good {
        wrong.push(format!(
            "{what} `{name}` should be {wanted:?}, not {found:?}"
        ));
    }
}
