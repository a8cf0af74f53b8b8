//! Misbehaves in the way that the action's name says, and tells what came of it.

#![expect(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "that is what this guest is for"
)]

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use keyport_sdk::{
    Account, Failure, Host, Level, Page, Provider, Refusal, Request, Response, Value, json,
};

/// The guest.
pub struct Acts;

keyport_sdk::export!(Acts, actions, triggers);

static CALLS: AtomicU32 = AtomicU32::new(0);

impl Provider for Acts {
    fn check(_host: &dyn Host) -> Result<Account, Failure> {
        Err(Failure::needs_reconnect("the app said no").code("said_no"))
    }

    fn run(host: &dyn Host, action: &str, input: Value) -> Result<Value, Failure> {
        Ok(match action {
            "echo" => input,
            "trap" => panic!("on purpose"),
            "loop" => loop {
                black_box(());
            },
            "grow" => {
                let mut all = Vec::new();
                loop {
                    all.push(vec![1_u8; 1 << 20]);
                    black_box(&all);
                }
            }
            "recurse" => json!(deeper(1)),
            "large_answer" => json!("x".repeat(6 << 20)),
            "remember" => json!(CALLS.fetch_add(1, Ordering::Relaxed)),
            "print" => {
                println!("printed");
                eprintln!("and an error");
                host.log(
                    Level::Warn,
                    "a line\nwith\u{1b}[31m colour",
                    &json!({ "n": 1 }),
                );
                Value::Null
            }
            "look_around" => json!({
                "env": std::env::vars().count(),
                "args": std::env::args().count(),
                "root": std::fs::read_dir("/").is_ok(),
                "file": std::fs::read("/etc/hostname").is_ok(),
                "tcp": std::net::TcpStream::connect("127.0.0.1:80").is_ok(),
                "lookup": std::net::ToSocketAddrs::to_socket_addrs("example.com:80").is_ok(),
                "clock": host.unix_time() > 1_600_000_000,
            }),
            "get" => told(host.send(&Request::get("/me"))),
            "post" => told(host.send(&Request::post("/me"))),
            "elsewhere" => told(host.send(&Request::get("https://elsewhere.test/steal"))),
            "authorization" => {
                told(host.send(&Request::get("/me").header("Authorization", "Bearer mine")))
            }
            "handle_in_slot" => {
                with_handle(host, |handle| Request::get("/me").header("x-key", handle))
            }
            "handle_in_path" => with_handle(host, |handle| Request::get(format!("/{handle}"))),
            "handle_in_query" => with_handle(host, |handle| Request::get("/me").query("q", handle)),
            "handle_in_header" => {
                with_handle(host, |handle| Request::get("/me").header("x-other", handle))
            }
            "handle_in_body" => with_handle(host, |handle| {
                let mut request = Request::post("/me");
                request.body = Some(format!("take this: {handle}").into_bytes());
                request
            }),
            "handle" => told_text(host.handle("key")),
            "undeclared_handle" => told_text(host.handle("other")),
            "derive" => match host.derive("sign", &[("message", "m")]) {
                Ok(signature) => {
                    told(host.send(&Request::get("/me").header("x-signature", signature)))
                }
                Err(refusal) => json!({ "refused": refusal.code }),
            },
            "verify" => {
                let given = input.as_str().unwrap_or_default();
                json!(host.verify("sign", &[], b"m", given).unwrap_or(false))
            }
            "flood_requests" => repeat(|| told(host.send(&Request::get("/me")))),
            "flood_secrets" => repeat(|| told_text(host.derive("sign", &[("message", "m")]))),
            "many_headers" => {
                let request = (0..40_000).fold(Request::get("/me"), |request, n| {
                    request.header(format!("x-{n}"), "1")
                });
                told(host.send(&request))
            }
            "context" => {
                json!({ "manifest": host.manifest_json(), "region": host.value("region"), "token": host.value("token") })
            }
            other => return Err(Failure::not_found(format!("no {other}"))),
        })
    }

    fn poll(
        _host: &dyn Host,
        _trigger: &str,
        input: Value,
        cursor: Option<Value>,
    ) -> Result<Page, Failure> {
        let next = cursor.as_ref().and_then(Value::as_u64).unwrap_or(0) + 1;
        Ok(Page {
            events: vec![input, json!(next)],
            cursor: json!(next),
            more: next < 3,
        })
    }
}

fn told(result: Result<Response, Refusal>) -> Value {
    match result {
        Ok(answer) => {
            json!({ "status": answer.status, "body": String::from_utf8_lossy(&answer.body), "headers": answer.headers })
        }
        Err(refusal) => {
            json!({ "refused": refusal.code, "say": refusal.say, "transient": refusal.transient })
        }
    }
}

fn told_text(result: Result<String, Refusal>) -> Value {
    result.map_or_else(|refusal| json!({ "refused": refusal.code }), Value::String)
}

fn with_handle(host: &dyn Host, request: impl FnOnce(&str) -> Request) -> Value {
    match host.handle("key") {
        Ok(handle) => told(host.send(&request(&handle))),
        Err(refusal) => json!({ "no_handle": refusal.code }),
    }
}

fn repeat(mut once: impl FnMut() -> Value) -> Value {
    for _ in 0..10_000 {
        black_box(once());
    }
    json!("never stopped")
}

#[expect(unconditional_recursion, reason = "that is the misbehaviour")]
fn deeper(n: u64) -> u64 {
    black_box(deeper(black_box(n + 1))) + 1
}
