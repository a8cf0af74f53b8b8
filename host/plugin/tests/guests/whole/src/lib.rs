//! A guest that exports the whole contract and uses all of it, well behaved: what a component built against a released
//! version of the contract must be able to do on every later host. `tests/fixtures` keeps it as it was built then.

use keyport_sdk::{Account, Failure, Host, Level, Page, Provider, Request, Value, json};

/// The guest.
pub struct Whole;

keyport_sdk::export!(Whole, actions, triggers, lifecycle, exchange);

impl Provider for Whole {
    fn check(host: &dyn Host) -> Result<Account, Failure> {
        let me: Value = host.send(&Request::get("/me"))?.success()?.json()?;
        let name = me.get("name").and_then(Value::as_str).unwrap_or_default();
        Ok(Account {
            extra: json!({ "region": host.value("region") }),
            ..Account::new("1", name)
        })
    }

    fn run(host: &dyn Host, action: &str, input: Value) -> Result<Value, Failure> {
        host.log(Level::Info, "an action runs", &json!({ "action": action }));
        match action {
            "echo" => Ok(input),
            "context" => Ok(json!({
                "manifest": host.manifest_json(),
                "region": host.value("region"),
                "workspace": host.value("workspace"),
                "raw": host.value("credentials.token"),
            })),
            "send" => {
                let mut request =
                    Request::post("/items").header("content-type", "application/json");
                request.body = Some(input.to_string().into_bytes());
                host.send(&request)?.success()?.json()
            }
            "place" => {
                let (key, signature) = (
                    host.handle("key")?,
                    host.derive("sign", &[("message", "m")])?,
                );
                let request = Request::get("/me")
                    .header("x-key", key)
                    .header("x-signature", signature);
                host.send(&request)?.success()?.json()
            }
            "verify" => {
                let given = input.as_str().unwrap_or_default();
                Ok(json!(host.verify("sign", &[], b"m", given)?))
            }
            other => {
                Err(Failure::not_found(format!("there is no action {other}"))
                    .code("no_such_action"))
            }
        }
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

    fn connected(host: &dyn Host) -> Result<Value, Failure> {
        let me: Value = host.send(&Request::get("/workspace"))?.success()?.json()?;
        Ok(json!({ "workspace": me.get("line"), "beside": "what the manifest does not name" }))
    }

    fn disconnecting(host: &dyn Host) -> Result<Value, Failure> {
        host.send(&Request::post("/goodbye"))?.success()?;
        Ok(json!({}))
    }

    /// Signs the body and the time, as Shopline wants it; a second step takes the refresh token for another token.
    /// A connection with the field `audience` gets two tokens of one grant.
    fn exchange(host: &dyn Host, step: &str, input: Value) -> Result<Value, Failure> {
        if let Some(audience) = host.value("audience") {
            return two_tokens(host, step, &input, &audience);
        }
        let text = |name: &str| {
            input
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (url, time) = (text("url"), host.unix_time().to_string());
        let body = match step {
            "code" => json!({ "code": text("code") }),
            "refresh" => json!({ "refreshToken": text("refresh_token") }),
            other => return Err(Failure::not_found(format!("there is no step {other}"))),
        }
        .to_string();
        let signature = host.derive("token_request", &[("message", &format!("{body}{time}"))])?;
        let mut request = Request::post(url)
            .header("content-type", "application/json")
            .header("appkey", text("client_id"))
            .header("timestamp", time)
            .header("sign", signature);
        request.body = Some(body.into_bytes());
        let answer = host.send(&request)?;
        if answer.status == 400 {
            return Err(Failure::needs_reconnect("the app refuses the code").code("invalid_grant"));
        }
        answer.success()?.json()
    }
}

/// One token for the app itself, and one for `audience`, each request with a nonce of its own.
fn two_tokens(
    host: &dyn Host,
    step: &str,
    input: &Value,
    audience: &str,
) -> Result<Value, Failure> {
    let text = |of: &Value, name: &str| {
        of.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let client = format!(
        "client_id={}&client_secret={}",
        text(input, "client_id"),
        text(input, "client_secret")
    );
    let ask = |nonce: &str, what: String| -> Result<Value, Failure> {
        let mut request = Request::post(text(input, "url"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-nonce", format!("{nonce}-{}", host.unix_time()));
        request.body = Some(format!("{what}&{client}").into_bytes());
        host.send(&request)?.success()?.json()
    };
    let own = match step {
        "code" => ask(
            "own",
            format!(
                "grant_type=authorization_code&code={}&code_verifier={}",
                text(input, "code"),
                text(input, "code_verifier")
            ),
        )?,
        "refresh" => ask(
            "own",
            format!(
                "grant_type=refresh_token&refresh_token={}",
                text(input, "refresh_token")
            ),
        )?,
        other => return Err(Failure::not_found(format!("there is no step {other}"))),
    };
    let refresh = text(&own, "refresh_token");
    let second = ask(
        "second",
        format!("grant_type=refresh_token&refresh_token={refresh}&audience={audience}"),
    )?;
    Ok(json!({
        "access_token": own.get("access_token"),
        "refresh_token": own.get("refresh_token"),
        "expires_in": own.get("expires_in"),
        "second": { "access_token": second.get("access_token") },
    }))
}
