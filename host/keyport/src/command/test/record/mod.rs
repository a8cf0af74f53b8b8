//! What a live account said, as fixtures. A witness saw it where no secret was attached yet and the known ones were taken out of
//! what came back; `hide` takes them out of everything else, and what looks like a further one. Before anything is written, the
//! text as a whole is searched once more, and not written if a secret is in it. Headers are left out but for the few that an
//! answer is read by.

mod hide;
mod markup;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use keyport_egress::{Secret, SeenAnswer};
use keyport_manifest::{Field, Manifest, Test};
use serde_json::{Map, Value, json};

use super::play::{Play, Played, What, paging};
use super::same::without;
use crate::command::Failure;
use hide::Hider;

/// Where recordings go.
const FILE: &str = "fixtures/recorded.yaml";
/// Headers that an answer is read by.
const HEADERS: &[&str] = &[
    "link",
    "retry-after",
    "x-next-page",
    "x-ratelimit-remaining",
    "x-total",
];

/// A recording that is being made.
#[derive(Default)]
pub struct Recording {
    exchanges: Vec<Value>,
    secrets: Vec<Secret>,
}

impl Recording {
    /// Where it would go, if there is none already: so that nobody is called for a recording that cannot be kept.
    pub fn free(folder: &Path) -> Result<PathBuf, Failure> {
        let path = folder.join(FILE);
        // A link that leads nowhere is there, too.
        match std::fs::symlink_metadata(&path) {
            Err(_) => Ok(path),
            Ok(_) => Err(Failure::Said(format!(
                "{} is there already; rename it, or remove it to record anew",
                path.display()
            ))),
        }
    }

    /// Adds a play that has no problems; another would be a fixture of a mistake.
    pub fn add(&mut self, play: &Play, played: &Played, problems: &[String], manifest: &Manifest) {
        if problems.is_empty() {
            self.secrets.extend(play.secrets.iter().cloned());
            self.exchanges.extend(exchange(play, played, manifest));
        }
    }

    /// How many exchanges it has.
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Writes it, without secrets, where nothing is yet.
    ///
    /// # Errors
    /// A file that is there or cannot be written, or a secret that is still in the text.
    pub fn write(self, path: &Path) -> Result<(), Failure> {
        let file = |source| Failure::File {
            path: path.to_owned(),
            source,
        };
        let text = self.text()?;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(file)?;
        }
        let mut new = std::fs::File::create_new(path).map_err(file)?;
        new.write_all(text.as_bytes()).map_err(file)
    }

    fn text(&self) -> Result<String, Failure> {
        let hider = Hider::new(&self.secrets, &self.exchanges);
        let clean = self.exchanges.iter().map(|one| hider.value(one)).collect();
        let text = serde_yaml::to_string(&Value::Array(clean))
            .map_err(|error| Failure::Said(error.to_string()))?;
        // As whoever reads the file will: YAML has ways of its own to write a text.
        let read: Value =
            serde_yaml::from_str(&text).map_err(|error| Failure::Said(error.to_string()))?;
        if hider.is_in(&text) || hider.is_within(&read) {
            return Err(Failure::Said(
                "nothing was recorded: a secret of the account is left in what would be written, which is a bug of keyport"
                    .to_owned(),
            ));
        }
        Ok(format!(
            "# Recorded by `keyport test --live --record`, secrets replaced.\n{text}"
        ))
    }
}

fn exchange(play: &Play, played: &Played, manifest: &Manifest) -> Option<Value> {
    let outcome = played.outcome.as_ref().ok()?.clone();
    let paging = paging(manifest, &play.what);
    let steps: Vec<(Value, Value)> = played
        .seen
        .iter()
        .filter_map(|seen| {
            let url = without(&seen.url, &paging);
            let mut request = json!({ "method": seen.method, "url": url });
            if let (false, Some(object)) = (seen.body.is_empty(), request.as_object_mut()) {
                object.insert("body".to_owned(), body(&seen.body));
            }
            Some((request, answer(seen.answer.as_ref().ok()?)))
        })
        .collect();
    let (first, rest) = steps.split_first()?;
    // What a manifest declares is held to one page by its fixtures; pages are the host's own business.
    if !rest.is_empty() && !by_code(play, manifest) {
        return None;
    }
    let method = &play.trial.method;
    let (subject, expect) = match &play.what {
        What::Check if manifest.auth.keys().next() != Some(method) => {
            (json!({ "test": method }), json!({ "account": outcome }))
        }
        What::Check => (json!("test"), json!({ "account": outcome })),
        What::Action(id) => (json!({ "action": id }), json!({ "result": outcome })),
        What::Trigger(id) => (json!({ "trigger": id }), outcome),
    };
    let mut one = json!({ "name": format!("recorded: {}", play.what.text()), "origin": "recorded", "for": subject });
    let object = one.as_object_mut()?;
    let given = given(play, manifest);
    if !given.is_empty() {
        object.insert("given".to_owned(), Value::Object(given));
    }
    object.insert("request".to_owned(), first.0.clone());
    object.insert("response".to_owned(), first.1.clone());
    if !rest.is_empty() {
        let then: Vec<Value> = rest
            .iter()
            .map(|(request, response)| json!({ "request": request, "response": response }))
            .collect();
        object.insert("then".to_owned(), Value::Array(then));
    }
    object.insert("expect".to_owned(), expect);
    Some(one)
}

fn by_code(play: &Play, manifest: &Manifest) -> bool {
    match &play.what {
        What::Check => matches!(manifest.test_for(&play.trial.method), Test::Code),
        What::Action(id) => manifest.actions.get(id).is_some_and(|it| it.code),
        What::Trigger(id) => manifest.triggers.get(id).is_some_and(|it| it.code),
    }
}

/// What the exchange needs to be the same again: the input, and fields that no one must hide, such as the account's own host.
fn given(play: &Play, manifest: &Manifest) -> Map<String, Value> {
    let mut given = Map::new();
    let public = |field: &&Field| !field.secret;
    for (group, values) in [
        ("fields", &play.trial.fields),
        ("credentials", &play.trial.credentials),
    ] {
        let shown: Map<String, Value> = manifest
            .fields_for(&play.trial.method)
            .filter(public)
            .filter_map(|field| {
                let value = values.get(&field.id)?;
                (field.default.as_ref() != Some(value)).then(|| (field.id.clone(), json!(value)))
            })
            .collect();
        if !shown.is_empty() {
            given.insert(group.to_owned(), Value::Object(shown));
        }
    }
    if play.what != What::Check {
        given.insert("input".to_owned(), play.input.clone());
    }
    given
}

fn answer(answer: &SeenAnswer) -> Value {
    let mut one = json!({ "status": answer.status });
    let headers: Map<String, Value> = answer
        .headers
        .iter()
        .filter(|(name, _)| HEADERS.contains(&name.as_str()))
        .map(|(name, value)| {
            (
                name.to_string(),
                json!(String::from_utf8_lossy(value.as_bytes())),
            )
        })
        .collect();
    if let Some(object) = one.as_object_mut() {
        if !headers.is_empty() {
            object.insert("headers".to_owned(), Value::Object(headers));
        }
        if !answer.body.is_empty() {
            object.insert("body".to_owned(), body(&answer.body));
        }
    }
    one
}

fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use keyport_egress::Seen;

    use super::*;

    #[test]
    fn what_has_a_problem_is_no_fixture() {
        let manifest: Manifest = serde_json::from_value(json!({
            "manifest": 1, "id": "a", "name": "A", "version": "1.0.0", "summary": "S.", "component": "component.wasm",
            "api": {"base_url": "https://api.acme.test"}, "auth": {"key": {"type": "bearer", "label": "Key"}},
            "test": {"code": true}
        }))
        .unwrap();
        let play = Play {
            name: "test".to_owned(),
            what: What::Check,
            trial: keyport_connect::Trial {
                method: "key".to_owned(),
                ..keyport_connect::Trial::default()
            },
            secrets: Vec::new(),
            input: Value::Null,
            cursor: None,
            read_only: true,
            script: Vec::new(),
            expect: None,
        };
        let played = Played {
            outcome: Ok(json!({ "id": "1", "label": "Ada" })),
            seen: vec![Seen {
                method: "GET".to_owned(),
                url: "/me".to_owned(),
                headers: http::HeaderMap::new(),
                body: bytes::Bytes::new(),
                answer: Ok(SeenAnswer {
                    status: 200,
                    headers: http::HeaderMap::new(),
                    body: "{}".into(),
                }),
            }],
            received: Vec::new(),
            lines: Vec::new(),
            remarks: Vec::new(),
        };
        let mut recording = Recording::default();
        recording.add(&play, &played, &["error[V81]".to_owned()], &manifest);
        assert_eq!(recording.len(), 0);
        recording.add(&play, &played, &[], &manifest);
        assert_eq!(recording.len(), 1);
    }

    #[test]
    fn a_recording_is_written_where_nothing_is_and_through_no_link() {
        let temp = tempfile::tempdir().unwrap();
        let path = Recording::free(temp.path()).unwrap();
        Recording::default().write(&path).unwrap();
        assert!(Recording::free(temp.path()).is_err());
        std::fs::write(&path, "the author's own").unwrap();
        // Somebody was quicker than the last look.
        assert!(Recording::default().write(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "the author's own");
        #[cfg(unix)]
        {
            let elsewhere = temp.path().join("elsewhere");
            std::fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
            assert!(Recording::free(temp.path()).is_err());
            assert!(Recording::default().write(&path).is_err());
            assert!(!elsewhere.exists());
        }
    }
}
