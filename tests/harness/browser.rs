//! The calls of the pages, for tests that need no real browser: one cookie jar, and the page's own origin.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Answer, Client, origin};

/// A browser that has opened a session's link.
#[derive(Clone)]
pub struct Browser {
    /// Its requests and cookies.
    pub client: Client,
    keyport: String,
}

impl Browser {
    /// Opens the link of a session.
    #[track_caller]
    pub fn open(link: &str) -> Self {
        let (browser, answer) = Self::try_open(link);
        answer.expect(200);
        browser
    }

    /// Opens the link of a session; whatever the answer.
    pub fn try_open(link: &str) -> (Self, Answer) {
        let (page, token) = link.split_once('#').expect("the token is in the fragment");
        let token = token.strip_prefix("token=").unwrap_or(token);
        let mut browser = Self {
            client: Client::new(),
            keyport: origin(page),
        };
        let answer = browser.call(
            "POST",
            "/page/open",
            Some(&serde_json::json!({ "token": token })),
        );
        (browser, answer)
    }

    /// A call of the page, from the page's origin.
    #[track_caller]
    pub fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let url = format!("{}{path}", self.keyport);
        let keyport = self.keyport.clone();
        let headers = [("origin", keyport.as_str())];
        match body {
            Some(body) => self.client.json(method, &url, &headers, body),
            None => self.client.send(method, &url, &headers, None),
        }
    }

    /// Waits until a flow has left the states in which something is still going on.
    #[track_caller]
    pub fn settled(&mut self, flow: &str) -> Value {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let view = self
                .call("GET", &format!("/page/flows/{flow}"), None)
                .expect(200)
                .json();
            let status = view["status"].as_str().unwrap_or_default();
            if !matches!(status, "started" | "authorizing" | "exchanging" | "testing") {
                return view;
            }
            assert!(Instant::now() < end, "the flow does not end: {view}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
