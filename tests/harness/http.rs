//! A small blocking HTTP client: keeps cookies per origin, follows redirects only when told to, never fails on a status.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}: not JSON: {}", self.status, self.text()))
    }

    /// The first header of a name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Itself, if the status is the expected one.
    ///
    /// # Panics
    /// If it isn't, with the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The `code` of a problem document.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A client with a cookie jar of its own, as one browser profile.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    /// origin → name → value
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client without cookies; a request may take 60 s.
    pub fn new() -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Self {
            agent,
            cookies: BTreeMap::new(),
        }
    }

    /// `GET`.
    pub fn get(&mut self, url: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", url, headers, None)
    }

    /// A request with a JSON body.
    pub fn json(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/json"));
        self.send(method, url, &headers, Some(body.to_string().into_bytes()))
    }

    /// A form, as a browser sends it.
    pub fn form(&mut self, url: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Answer {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/x-www-form-urlencoded"));
        let body = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        self.send(
            "POST",
            url,
            &headers,
            Some(body.collect::<Vec<_>>().join("&").into_bytes()),
        )
    }

    /// Any request.
    ///
    /// # Panics
    /// If the other side does not speak HTTP at all.
    #[track_caller]
    pub fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        self.try_send(method, url, headers, body)
            .unwrap_or_else(|error| panic!("{method} {url}: {error}"))
    }

    /// Any request; the error of a connection that fails.
    pub fn try_send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, String> {
        let origin = origin(url);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let jar = self.cookies.entry(origin).or_default();
        if !jar.is_empty() {
            let line = jar
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join("; ");
            request = request.header("cookie", line);
        }
        let request = request
            .body(body.unwrap_or_default())
            .map_err(|error| error.to_string())?;
        let agent = &self.agent;
        let request = agent
            .configure_request(request)
            .allow_non_standard_methods(true)
            .build();
        let mut response = agent.run(request).map_err(|error| error.to_string())?;
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| {
                    (
                        name.as_str().to_owned(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect(),
            body: response
                .body_mut()
                .with_config()
                .limit(64 << 20)
                .read_to_vec()
                .map_err(|error| error.to_string())?,
        };
        for (_, line) in answer
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
        {
            let pair = line.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                if value.is_empty() || line.to_ascii_lowercase().contains("max-age=0") {
                    jar.remove(name.trim());
                } else {
                    jar.insert(name.trim().to_owned(), value.trim().to_owned());
                }
            }
        }
        Ok(answer)
    }

    /// The lines of an answer that does not end, as they come.
    ///
    /// # Panics
    /// If it is not answered with 200.
    #[track_caller]
    pub fn lines(&mut self, url: &str) -> impl Iterator<Item = String> + Send + use<> {
        let mut request = self.agent.get(url);
        if let Some(jar) = self.cookies.get(&origin(url)) {
            let pairs: Vec<_> = jar
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header("cookie", pairs.join("; "));
        }
        let answer = request.call().expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{url}");
        let reader = std::io::BufReader::new(answer.into_body().into_reader());
        std::io::BufRead::lines(reader).map_while(Result::ok)
    }

    /// Follows `Location` from an answer to `url` for as long as `go_on` says so; the last URL and its answer.
    pub fn follow(
        &mut self,
        url: &str,
        mut answer: Answer,
        go_on: impl Fn(&str) -> bool,
    ) -> (String, Answer) {
        let mut url = url.to_owned();
        for _ in 0..20 {
            let Some(location) = answer.header("location") else {
                break;
            };
            let next = join(&url, location);
            if !go_on(&next) {
                return (next, answer);
            }
            answer = self.get(&next, &[]);
            url = next;
        }
        (url, answer)
    }
}

/// `scheme://host:port` of a URL.
pub fn origin(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

/// A `Location` against the URL that it came from.
pub fn join(base: &str, location: &str) -> String {
    if location.contains("://") {
        location.to_owned()
    } else if location.starts_with('/') {
        format!("{}{location}", origin(base))
    } else {
        let folder = base
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .rsplit_once('/')
            .map_or(base, |(head, _)| head);
        format!("{folder}/{location}")
    }
}

/// Percent-encoding for a form or a query.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                (byte as char).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The value of a query parameter of a URL, decoded.
pub fn query(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1.split('#').next()?;
    let (_, value) = query_pairs(query)
        .into_iter()
        .find(|(known, _)| known == name)?;
    Some(value)
}

/// The pairs of a query or a form, decoded.
pub fn query_pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// Undoes the encoding of forms. What is not encoded well stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (first, hex) {
            (b'+', _) => bytes.push(b' '),
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
                continue;
            }
            (byte, _) => bytes.push(*byte),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
