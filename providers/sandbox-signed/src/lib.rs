//! An app with code of its own: the sandbox vendor's signed API.
//!
//! Each request carries a signature over its time, method, path and body, which no manifest could say field by field. The
//! component builds the text that is signed and never sees the key: it asks the host for the signature by the manifest's
//! recipe `request-signature`, and gets a placeholder that the host replaces in `X-Vendor-Signature` and nowhere else.

mod signed;

use keyport_sdk::{Account, Failure, Host, Level, Page, Provider, Request, Value, json};
use serde::Deserialize;

use crate::signed::send;

/// The app.
pub struct SandboxSigned;

keyport_sdk::export!(SandboxSigned, actions, triggers);

/// Messages per poll; the vendor's own maximum is 100.
const PAGE: u32 = 50;

#[derive(Deserialize)]
struct Whoami {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Message {
    id: String,
    text: String,
    at: String,
}

impl Message {
    /// As the manifest's schemas describe it.
    fn value(&self) -> Value {
        json!({ "id": self.id, "text": self.text, "at": self.at })
    }
}

#[derive(Deserialize)]
struct Messages {
    messages: Vec<Message>,
    more: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListInput {
    after: Option<String>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendInput {
    text: String,
}

impl Provider for SandboxSigned {
    fn check(host: &dyn Host) -> Result<Account, Failure> {
        let me: Whoami = send(host, Request::get("/whoami"))?.success()?.json()?;
        Ok(Account::new(me.id, me.name))
    }

    fn run(host: &dyn Host, action: &str, input: Value) -> Result<Value, Failure> {
        match action {
            "list_messages" => {
                let input: ListInput = Self::input(input)?;
                let list = list(host, input.after.as_deref(), input.limit)?;
                let messages: Vec<Value> = list.messages.iter().map(Message::value).collect();
                Ok(json!({ "messages": messages, "more": list.more }))
            }
            "send_message" => {
                let input: SendInput = Self::input(input)?;
                let request = Request::post("/messages").json(&json!({ "text": input.text }))?;
                let message: Message = send(host, request)?.success()?.json()?;
                Ok(message.value())
            }
            other => Err(
                Failure::not_found(format!("this app has no action {other}"))
                    .code("no_such_action"),
            ),
        }
    }

    fn poll(
        host: &dyn Host,
        trigger: &str,
        _input: Value,
        cursor: Option<Value>,
    ) -> Result<Page, Failure> {
        if trigger != "message_received" {
            return Err(
                Failure::not_found(format!("this app has no trigger {trigger}"))
                    .code("no_such_trigger"),
            );
        }
        let after = cursor.as_ref().and_then(Value::as_str);
        let list = list(host, after, Some(PAGE))?;
        let last = list
            .messages
            .last()
            .map(|message| Value::from(message.id.as_str()));
        let moved = last.is_some();
        if list.more && !moved {
            let text = "the vendor promises more messages and sends none";
            host.log(Level::Warn, text, &json!({ "trigger": trigger }));
        }
        Ok(Page {
            events: list.messages.iter().map(Message::value).collect(),
            cursor: last.or(cursor).unwrap_or(Value::Null),
            // A page that promises more but does not move on would be asked for again without end.
            more: list.more && moved,
        })
    }
}

fn list(host: &dyn Host, after: Option<&str>, limit: Option<u32>) -> Result<Messages, Failure> {
    let mut request = Request::get("/messages");
    if let Some(after) = after {
        request = request.query("after", after);
    }
    if let Some(limit) = limit {
        request = request.query("limit", &limit.to_string());
    }
    send(host, request)?.success()?.json()
}

#[cfg(test)]
mod tests;
