//! A provider whose token endpoint can be stopped in the middle: before it looks at a request, or after, before it answers.
//!
//! It rotates refresh tokens and counts. What happens to a token that comes a second time can be chosen: taken (many providers
//! allow it for a while) or the end of the grant (RFC 9700). It stands in for the app in `tests/apps/oidc`; the real server for the
//! same manifest is `tests/peers/oidc.mjs`, which cannot be stopped at a chosen moment.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(120);

/// A running provider. It ends when dropped.
pub struct Provider {
    shared: Arc<Shared>,
    port: u16,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    strict: bool,
    hold_requests: bool,
    hold_answers: bool,
    waiting: u32,
    next: u32,
    /// Access tokens that are good.
    good: Vec<String>,
    /// Refresh tokens, and how often each was presented.
    refresh: HashMap<String, u32>,
    presented: Vec<String>,
    revoked: bool,
    ended: bool,
}

impl Provider {
    /// Starts one. `strict`: a refresh token that comes a second time ends the grant.
    pub fn start(strict: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        shared.state().strict = strict;
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.state().ended {
                    return;
                }
                let shared = Arc::clone(&accepting);
                // Whoever hangs up ends its own thread only.
                std::thread::spawn(move || shared.serve(client));
            }
        });
        Self { shared, port }
    }

    /// Where it listens.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A new grant, as a customer brings it along: access and refresh token. What ended an earlier one does not touch it.
    pub fn grant(&self) -> Value {
        let mut state = self.shared.state();
        state.revoked = false;
        state.issue()
    }

    /// All access tokens end now.
    pub fn expire(&self) {
        self.shared.state().good.clear();
    }

    /// Refreshes wait before they are looked at; who has gone by then is not looked at.
    pub fn hold_requests(&self) {
        self.shared.state().hold_requests = true;
    }

    /// Refreshes are carried out and wait before they are answered.
    pub fn hold_answers(&self) {
        self.shared.state().hold_answers = true;
    }

    /// What waits goes on, and nothing waits any more.
    pub fn release(&self) {
        let mut state = self.shared.state();
        state.hold_requests = false;
        state.hold_answers = false;
        drop(state);
        self.shared.moved.notify_all();
    }

    /// New refreshes do not wait; those that do go on waiting.
    pub fn let_others_through(&self) {
        let mut state = self.shared.state();
        state.hold_requests = false;
        state.hold_answers = false;
    }

    /// Waits until so many refreshes wait.
    pub fn wait_for(&self, waiting: u32) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.shared.state().waiting < waiting {
            assert!(Instant::now() < end, "no refresh came");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many refreshes were carried out.
    pub fn refreshes(&self) -> usize {
        self.shared.state().presented.len()
    }

    /// How many of them with a token that had come before.
    pub fn reuses(&self) -> usize {
        let state = self.shared.state();
        state
            .refresh
            .values()
            .map(|times| usize::try_from(times.saturating_sub(1)).unwrap_or(0))
            .sum()
    }

    /// The refresh token that was presented last.
    pub fn last_presented(&self) -> String {
        self.shared
            .state()
            .presented
            .last()
            .cloned()
            .unwrap_or_default()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.release();
        let own = SocketAddr::from(([127, 0, 0, 1], self.port));
        let _ = TcpStream::connect_timeout(&own, Duration::from_secs(1));
    }
}

impl State {
    fn issue(&mut self) -> Value {
        self.next += 1;
        let (access, refresh) = (
            format!("access-token-{:04}", self.next),
            format!("refresh-token-{:04}", self.next),
        );
        self.good.push(access.clone());
        self.refresh.insert(refresh.clone(), 0);
        json!({ "access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600 })
    }

    fn refresh(&mut self, token: &str) -> (u16, Value) {
        let refused = (400, json!({ "error": "invalid_grant" }));
        self.presented.push(token.to_owned());
        let Some(times) = self.refresh.get_mut(token) else {
            return refused;
        };
        *times += 1;
        if *times > 1 && self.strict {
            self.revoked = true;
            self.good.clear();
        }
        if self.revoked {
            return refused;
        }
        (200, self.issue())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }

    /// Waits for as long as `held` says; false when the client has gone meanwhile. `let_others_through` does not wake.
    fn wait(&self, client: &TcpStream, held: impl Fn(&State) -> bool) -> bool {
        let mut state = self.state();
        if held(&state) {
            state.waiting += 1;
            let (mut after, _) = self
                .moved
                .wait_timeout(state, LONG)
                .expect("no panic while it is held");
            after.waiting -= 1;
        }
        let mut byte = [0];
        let gone = client.set_nonblocking(true).is_err() || matches!(client.peek(&mut byte), Ok(0));
        client.set_nonblocking(false).is_ok() && !gone
    }

    fn serve(&self, client: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(client.try_clone().ok()?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut length, mut bearer) = (0, String::new());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "authorization" => bearer = value.trim().trim_start_matches("Bearer ").to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = format!("?{}", String::from_utf8(body).ok()?);
        let (status, answer) = match (method.as_str(), path.as_str()) {
            ("POST", "/token") => {
                let token = crate::http::query(&body, "refresh_token")?;
                if !self.wait(&client, |state| state.hold_requests) {
                    return None;
                }
                let answer = self.state().refresh(&token);
                self.wait(&client, |state| state.hold_answers);
                answer
            }
            ("GET", "/me") if self.state().good.contains(&bearer) => (
                200,
                json!({ "sub": "ada", "email": "ada@oidc.keyport.test" }),
            ),
            ("GET", "/me") => (401, json!({ "error": "invalid_token" })),
            ("POST", "/token/revocation") => (200, json!({})),
            _ => (404, json!({})),
        };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncache-control: no-store\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        (&client)
            .write_all(format!("{head}{answer}").as_bytes())
            .ok()
    }
}
