//! An app with code of its own that behaves: notes of the pretend vendor, page by page, with errors in words, and a trigger that
//! looks back a little, as one has to where a list is by time.
//!
//! Two actions do not keep what their manifest promises, for the tests of that.

use keyport_sdk::{Account, Failure, Host, Page, Provider, Request, Value, json};

/// The guest.
pub struct Notes;

keyport_sdk::export!(Notes, actions, triggers);

/// Notes on a page.
const PAGE: u64 = 2;

impl Provider for Notes {
    fn check(host: &dyn Host) -> Result<Account, Failure> {
        let me = get(host, Request::get("/me"))?;
        Ok(Account::new(text(&me, "id"), text(&me, "name")))
    }

    fn run(host: &dyn Host, action: &str, input: Value) -> Result<Value, Failure> {
        match action {
            "list_notes" => {
                let limit = input.get("limit").and_then(Value::as_u64).unwrap_or(PAGE);
                page(host, &text(&input, "after"), limit)
            }
            "all_notes" => {
                let (mut all, mut after) = (Vec::new(), String::new());
                loop {
                    let found = page(host, &after, PAGE)?;
                    all.extend(items(&found));
                    match all.last() {
                        Some(last) if more(&found) => after = text(last, "id"),
                        _ => return Ok(Value::Array(all)),
                    }
                }
            }
            "get_note" => {
                let answer = host.send(&Request::get(format!("/notes/{}", text(&input, "id"))))?;
                if answer.status == 404 {
                    let say = "there is no such note; choose one of those that are listed";
                    return Err(Failure::not_found(say).code("no_such_note"));
                }
                answer.success()?.json()
            }
            "create_note" => {
                let note = json!({ "title": text(&input, "title"), "body": text(&input, "body") });
                let answer = host.send(&Request::post("/notes").json(&note)?)?;
                if answer.status == 422 {
                    let say = "the vendor wants a title of 1 to 200 characters";
                    return Err(Failure::invalid_input(say).code("title_refused"));
                }
                answer.success()?.json()
            }
            "misreport" => get(host, Request::get("/me")).map(|_| json!({ "id": 7 })),
            "write_and_misreport" => {
                let note = json!({ "title": "written all the same", "body": "" });
                host.send(&Request::post("/notes").json(&note)?)?
                    .success()?;
                Ok(json!({ "id": 7 }))
            }
            "write_in_secret" => {
                let note = json!({ "title": "an action that only reads", "body": "" });
                let answer = host.send(&Request::post("/notes").json(&note)?);
                Ok(json!({ "refused": answer.err().map(|refusal| refusal.code) }))
            }
            other => Err(Failure::not_found(format!(
                "this app has no action {other}"
            ))),
        }
    }

    fn poll(
        host: &dyn Host,
        _trigger: &str,
        _input: Value,
        cursor: Option<Value>,
    ) -> Result<Page, Failure> {
        // From before the last page on: what is found again is known by its key.
        let cursor = cursor.unwrap_or(Value::Null);
        let found = page(host, &text(&cursor, "from"), PAGE * 2)?;
        let events = items(&found);
        let last = events
            .last()
            .map_or(text(&cursor, "last"), |note| text(note, "id"));
        let before = events.iter().rev().nth(1).map(|note| text(note, "id"));
        let from = before.unwrap_or_else(|| text(&cursor, "from"));
        Ok(Page {
            events,
            cursor: json!({ "from": from, "last": last }),
            more: more(&found),
        })
    }
}

fn page(host: &dyn Host, after: &str, limit: u64) -> Result<Value, Failure> {
    let mut request = Request::get("/notes").query("limit", &limit.to_string());
    if !after.is_empty() {
        request = request.query("after", after);
    }
    get(host, request)
}

fn get(host: &dyn Host, request: Request) -> Result<Value, Failure> {
    host.send(&request)?.success()?.json()
}

fn items(page: &Value) -> Vec<Value> {
    let notes = page.get("notes").and_then(Value::as_array);
    notes.cloned().unwrap_or_default()
}

fn more(page: &Value) -> bool {
    page.get("more").and_then(Value::as_bool).unwrap_or(false)
}

fn text(value: &Value, name: &str) -> String {
    let text = value.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}
