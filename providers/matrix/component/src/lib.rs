//! What Matrix can do (https://spec.matrix.org/latest/client-server-api/). The host attaches the token; there is none in here.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};

use keyport_sdk::{
    Account, Failure, Host, Level, Means, Page, Provider, Request, Value, json, segment,
};
use serde::Deserialize;

/// The app.
pub struct App;

keyport_sdk::export!(App, actions, triggers);

/// Rooms that are named in one answer: each costs a request, and a call has fifty.
const ROOMS: usize = 40;
/// What a sync brings: messages and nothing else, so that it stays small.
const FILTER: &str = r#"{"presence":{"types":[]},"account_data":{"types":[]},"room":{"ephemeral":{"types":[]},"account_data":{"types":[]},"state":{"types":[]},"timeline":{"types":["m.room.message"],"limit":50}}}"#;
/// Messages that are read of one busy room beside those of a sync.
const FURTHER: &str = "100";

#[derive(Deserialize)]
struct Sync {
    next_batch: String,
    #[serde(default)]
    rooms: Rooms,
}

#[derive(Deserialize, Default)]
struct Rooms {
    #[serde(default)]
    join: BTreeMap<String, Joined>,
}

#[derive(Deserialize)]
struct Joined {
    #[serde(default)]
    timeline: Timeline,
}

#[derive(Deserialize, Default)]
struct Timeline {
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    limited: bool,
    prev_batch: Option<String>,
}

#[derive(Deserialize)]
struct Messages {
    #[serde(default)]
    chunk: Vec<Event>,
    /// Where older ones begin; nothing if these are all.
    end: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    event_id: String,
    #[serde(rename = "type")]
    kind: String,
    sender: String,
    #[serde(default)]
    origin_server_ts: u64,
    #[serde(default)]
    content: Value,
}

impl Event {
    /// As it starts an automation, if it is a text of somebody else.
    fn told(&self, room: &str, own: Option<&str>) -> Option<Value> {
        let text = self.content.get("body")?.as_str()?;
        let is_text = self.content.get("msgtype").and_then(Value::as_str) == Some("m.text");
        (self.kind == "m.room.message" && is_text && own != Some(self.sender.as_str())).then(|| {
            json!({ "id": self.event_id, "room_id": room, "sender": self.sender, "text": text, "sent_at": self.origin_server_ts })
        })
    }
}

#[derive(Deserialize)]
struct Message {
    room: String,
    text: String,
    key: Option<String>,
}

impl Provider for App {
    fn check(host: &dyn Host) -> Result<Account, Failure> {
        #[derive(Deserialize)]
        struct Me {
            user_id: String,
        }
        let me: Me = host
            .send(&Request::get("/account/whoami"))?
            .success()?
            .json()?;
        Ok(Account::new(me.user_id.as_str(), me.user_id.as_str()))
    }

    fn run(host: &dyn Host, action: &str, input: Value) -> Result<Value, Failure> {
        match action {
            "send_message" => send(host, &Self::input(input)?),
            "list_rooms" => rooms(host),
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
        let since = cursor.as_ref().and_then(Value::as_str);
        let request = Request::get("/sync")
            .query("timeout", "0")
            .query("filter", FILTER);
        let request = match since {
            Some(since) => request.query("since", since),
            None => request,
        };
        let sync: Sync = host.send(&request)?.success()?.json()?;
        let mut events = Vec::new();
        if let Some(since) = since {
            let own = host.value("account.id");
            for (room, joined) in &sync.rooms.join {
                let further = left_out(host, room, &joined.timeline, since)?;
                let all = further.iter().chain(&joined.timeline.events);
                events.extend(all.filter_map(|event| event.told(room, own.as_deref())));
            }
            events.sort_by_key(|event| event["sent_at"].as_u64());
        }
        Ok(Page {
            events,
            cursor: json!(sync.next_batch),
            more: false,
        })
    }
}

/// What came into a busy room since the last sync and is not in this one, oldest first.
fn left_out(
    host: &dyn Host,
    room: &str,
    timeline: &Timeline,
    since: &str,
) -> Result<Vec<Event>, Failure> {
    let (true, Some(from)) = (timeline.limited, &timeline.prev_batch) else {
        return Ok(Vec::new());
    };
    let request = Request::get(format!("/rooms/{}/messages", segment(room)))
        .query("dir", "b")
        .query("from", from)
        .query("to", since)
        .query("limit", FURTHER);
    let mut messages: Messages = host.send(&request)?.success()?.json()?;
    if messages.end.is_some() && !messages.chunk.is_empty() {
        host.log(
            Level::Warn,
            "a room has more new messages than are read at once",
            &json!({ "room": room }),
        );
    }
    messages.chunk.reverse();
    Ok(messages.chunk)
}

fn send(host: &dyn Host, message: &Message) -> Result<Value, Failure> {
    let room = match message.room.chars().next() {
        Some('!') => message.room.clone(),
        Some('#') => {
            let path = format!("/directory/room/{}", segment(&message.room));
            let found: Value = host.send(&Request::get(path))?.success()?.json()?;
            let id = found.get("room_id").and_then(Value::as_str);
            id.ok_or_else(|| {
                Failure::provider_down("the homeserver did not say which room that is")
            })?
            .to_owned()
        }
        _ => {
            return Err(Failure::invalid_input(
                "a room is an ID such as !abc:example.org, or an alias such as #lounge:example.org",
            ));
        }
    };
    // A homeserver takes a transaction once: one that is tried again with the same key sends nothing new.
    let transaction = match &message.key {
        Some(key) => format!("keyport-{key}"),
        None => format!(
            "keyport-{:016x}",
            std::hash::RandomState::new().build_hasher().finish()
        ),
    };
    let path = format!(
        "/rooms/{}/send/m.room.message/{}",
        segment(&room),
        segment(&transaction)
    );
    let request =
        Request::new("PUT", path).json(&json!({ "msgtype": "m.text", "body": message.text }))?;
    let sent: Value = host.send(&request)?.success()?.json()?;
    Ok(json!({ "room_id": room, "event_id": sent["event_id"] }))
}

fn rooms(host: &dyn Host) -> Result<Value, Failure> {
    #[derive(Deserialize)]
    struct All {
        joined_rooms: Vec<String>,
    }
    let all: All = host
        .send(&Request::get("/joined_rooms"))?
        .success()?
        .json()?;
    let mut rooms = Vec::new();
    for id in all.joined_rooms.iter().take(ROOMS) {
        let path = format!("/rooms/{}/state/m.room.name", segment(id));
        let name = match host.send(&Request::get(path))?.success() {
            Ok(answer) => answer.json::<Value>()?["name"]
                .as_str()
                .unwrap_or(id)
                .to_owned(),
            // A room without a name is known by its ID.
            Err(failure) if failure.means == Means::NotFound => id.clone(),
            Err(failure) => return Err(failure),
        };
        rooms.push(json!({ "id": id, "name": name }));
    }
    Ok(json!({ "rooms": rooms, "more": all.joined_rooms.len() > ROOMS }))
}

#[cfg(test)]
mod tests {
    use keyport_sdk::recorded::Recorded;
    use keyport_sdk::testing::FakeHost;

    use super::*;

    #[test]
    fn the_fixtures_are_played() {
        let fixtures = Recorded::read(include_str!("../../fixtures/all.yaml")).unwrap();
        assert!(fixtures.play::<App>().unwrap() > 0);
    }

    #[test]
    fn two_messages_without_a_key_are_two() {
        let sent = || {
            let host = FakeHost::new(&json!({})).answer(200, &json!({ "event_id": "$1" }));
            App::run(
                &host,
                "send_message",
                json!({ "room": "!a:b", "text": "x" }),
            )
            .unwrap();
            host.sent()[0].url.clone()
        };
        assert_ne!(sent(), sent());
    }

    #[test]
    fn what_is_no_room_is_not_asked_for() {
        let host = FakeHost::new(&json!({}));
        let refused = App::run(
            &host,
            "send_message",
            json!({ "room": "../../admin", "text": "x" }),
        )
        .unwrap_err();
        assert_eq!((refused.means, host.sent().len()), (Means::InvalidInput, 0));
    }

    #[test]
    fn an_alias_that_tries_to_be_a_path_stays_one_segment() {
        let host = FakeHost::new(&json!({})).answer(404, &json!({}));
        let input = json!({ "room": "#x/../../account/deactivate?y", "text": "x" });
        App::run(&host, "send_message", input).unwrap_err();
        assert_eq!(
            host.sent()[0].url,
            "/directory/room/%23x%2F..%2F..%2Faccount%2Fdeactivate%3Fy"
        );
    }
}
