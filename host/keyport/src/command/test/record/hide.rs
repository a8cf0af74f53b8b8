//! Taking secrets out of a recording.
//!
//! Three kinds are known: the account's own (they were taken out of answers before a witness saw them; here they are taken out of
//! everything, in every form in which egress searches for them), values whose name says what they are, and texts of a form that
//! vendors give their keys (the forms of V19). A value that is replaced is replaced everywhere and always by the same text: a page
//! token that an answer gives and the next request sends is one token in the recording too, so that it plays.
//!
//! Left out: a secret of the vendor's that has neither a telling name nor a known form. Whoever records is told to look it through.

use keyport_egress::{MARK, MIN_SCRUBBED, Scrubber, Secret};
use keyport_manifest::yaml::secret_form;
use serde_json::{Map, Value};

/// What stands in the place of a secret; what was found in the recording itself is numbered.
const REPLACED: &str = "replaced-by-keyport";
/// Parts of names whose values are no one else's business, without what separates words.
const SECRET: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "credential",
    "signature",
    "cookie",
    "sessionid",
    "jwt",
];
/// Names that only sound so: a kind of token is no token, and an address is searched for what stands in it.
const HARMLESS: &[&str] = &["tokentype", "url", "uri"];
/// What parts names, values and words in addresses, forms and plain text.
const BETWEEN: &[char] = &[
    '?', '&', ';', '#', '"', '\'', '<', '>', ',', ' ', '\t', '\r', '\n',
];

/// What is taken out of a recording.
pub struct Hider {
    known: Scrubber,
    /// Secrets that are too short to be searched for in other text.
    short: Vec<Secret>,
    /// Further ones, found by name or form, the longest first: one may be a part of another.
    found: Vec<(Secret, Scrubber)>,
}

impl Hider {
    /// Knows the account's secrets, and looks for others in what was recorded.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a Secret> + Clone,
        recorded: &[Value],
    ) -> Self {
        let known = Scrubber::new(secrets.clone());
        let mut values = Vec::new();
        for one in recorded {
            look(one, false, &mut values);
        }
        // What is known already has its own mark.
        values.retain(|value| known.text(value) == *value && value.len() >= MIN_SCRUBBED);
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        let found = values.into_iter().map(|value| {
            let secret = Secret::new(value);
            let scrubber = Scrubber::new([&secret]);
            (secret, scrubber)
        });
        Self {
            known,
            short: secrets
                .into_iter()
                .filter(|secret| (1..MIN_SCRUBBED).contains(&secret.expose().len()))
                .cloned()
                .collect(),
            found: found.collect(),
        }
    }

    /// The same without secrets.
    pub fn value(&self, value: &Value) -> Value {
        self.within(value, false)
    }

    /// Whether a text still has one of the account's secrets.
    pub fn is_in(&self, text: &str) -> bool {
        self.known.text(text) != text
    }

    /// The same of any text in a tree.
    pub fn is_within(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is_in(text),
            Value::Array(list) => list.iter().any(|one| self.is_within(one)),
            Value::Object(object) => object
                .iter()
                .any(|(name, value)| self.is_in(name) || self.is_within(value)),
            _ => false,
        }
    }

    fn within(&self, value: &Value, named: bool) -> Value {
        match value {
            Value::String(text) => {
                let clean = self.text(text);
                Value::String(if named && clean == *text && !text.is_empty() {
                    REPLACED.to_owned()
                } else {
                    clean
                })
            }
            Value::Array(list) => {
                Value::Array(list.iter().map(|one| self.within(one, named)).collect())
            }
            Value::Object(object) => {
                let each = |(name, value): (&String, &Value)| {
                    let secret = inherits(name, named);
                    (self.text(name), self.within(value, secret))
                };
                Value::Object(object.iter().map(each).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    fn text(&self, text: &str) -> String {
        if self.short.iter().any(|secret| secret.expose() == text) {
            return REPLACED.to_owned();
        }
        let mut clean = self.known.text(text).replace(MARK, REPLACED);
        for (number, (_, scrubber)) in self.found.iter().enumerate() {
            let without = scrubber.text(&clean);
            if without != clean {
                clean = without.replace(MARK, &format!("{REPLACED}-{}", number + 1));
            }
        }
        clean
    }
}

/// Collects what looks like a secret. `named`: a name above says that it is one.
fn look(value: &Value, named: bool, found: &mut Vec<String>) {
    match value {
        Value::String(text) if named => found.push(text.clone()),
        Value::String(text) => look_in_text(text, found),
        Value::Array(list) => list.iter().for_each(|one| look(one, named, found)),
        Value::Object(object) => {
            for (name, value) in object {
                look_in_text(name, found);
                look(value, inherits(name, named), found);
            }
        }
        _ => {}
    }
}

/// Parameters of addresses and forms with a telling name, and keys of a known form.
fn look_in_text(text: &str, found: &mut Vec<String>) {
    for word in text.split(BETWEEN) {
        if let Some((name, value)) = word.split_once('=')
            && says_secret(name)
        {
            let pair = format!("x={value}");
            let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
            found.extend(decoded.map(|(_, value)| value.into_owned()));
        }
        for part in word.split('=') {
            if secret_form(part).is_some() {
                found.push(part.to_owned());
            }
        }
    }
    // A key of several lines.
    if secret_form(text).is_some() && !text.split(BETWEEN).any(|word| secret_form(word).is_some()) {
        found.push(text.to_owned());
    }
    // JSON in a text is JSON.
    if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
        look(&inner, false, found);
    }
}

/// Everything under a telling name is meant by it, but for what says of itself that it is not.
fn inherits(name: &str, above: bool) -> bool {
    says_secret(name) || (above && !is_harmless(&bare(name)))
}

fn says_secret(name: &str) -> bool {
    let bare = bare(name);
    !is_harmless(&bare) && SECRET.iter().any(|part| bare.contains(part))
}

fn is_harmless(bare: &str) -> bool {
    HARMLESS.iter().any(|end| bare.ends_with(end))
}

/// `X-Api_Key` and `apiKey` are one name.
fn bare(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    const KEY: &str = "p@ss/word+ ~é'(x)?>";

    /// Every way of writing it that egress searches for.
    fn forms() -> Vec<String> {
        let form: String = url::form_urlencoded::byte_serialize(KEY.as_bytes()).collect();
        vec![
            KEY.to_owned(),
            form.clone(),
            form.to_lowercase(),
            "p%40ss%2Fword%2B%20~%C3%A9%27%28x%29%3F%3E".to_owned(),
            "p%40ss%2Fword%2B%20~%C3%A9'(x)%3F%3E".to_owned(),
            KEY.replace('/', "\\/"),
            STANDARD.encode(KEY),
            STANDARD.encode(format!("api:{KEY}")),
            STANDARD.encode(format!("ada@acme.test:{KEY}")),
            STANDARD.encode(format!("{KEY}:x")),
            URL_SAFE_NO_PAD.encode(format!("a{KEY}")),
            URL_SAFE_NO_PAD.encode(format!("ab{KEY}:")),
        ]
    }

    #[test]
    fn the_accounts_secret_stays_nowhere_in_a_recording_however_it_is_written() {
        for form in forms() {
            let recorded = json!({
                "given": { "input": { "note": format!("mine is {form}") } },
                "request": { "method": "GET", "url": format!("/me?key={form}"), "body": { "deep": [{ "k": form }] } },
                "response": { "status": 200, "headers": { "link": format!("</x?k={form}>") }, "body": { form.clone(): form, "text": format!("<{form}>") } },
                "expect": { "result": format!("{form}{form}") },
            });
            let secret = Secret::new(KEY);
            let hider = Hider::new([&secret], std::slice::from_ref(&recorded));
            assert!(hider.is_in(&form) && hider.is_within(&recorded), "{form}");
            let clean = hider.value(&recorded);
            let yaml = serde_yaml::to_string(&clean).unwrap();
            let read: Value = serde_yaml::from_str(&yaml).unwrap();
            assert!(!hider.is_within(&read), "{form} is left in {yaml}");
            for text in [clean.to_string(), yaml] {
                assert!(!text.contains(&form), "{form} is left in {text}");
            }
        }
    }

    #[test]
    fn a_secret_that_is_too_short_to_search_for_is_replaced_where_it_stands_alone() {
        let secret = Secret::new("1234");
        let recorded = json!({ "pin": "1234", "year": "12345", "list": ["1234"] });
        let clean = Hider::new([&secret], &[]).value(&recorded);
        assert_eq!(
            clean,
            json!({ "pin": REPLACED, "year": "12345", "list": [REPLACED] })
        );
    }

    #[test]
    fn what_a_name_or_a_form_tells_is_replaced_everywhere_by_the_same_text() {
        let github = format!("ghp_{}", "a1B2".repeat(9));
        let recorded = json!([
            { "response": { "body": {
                "nextPageToken": "page/two==", "token_type": "bearer", "tokens": ["first-one-of-two", "second-of-two"],
                "max_tokens": 4096, "webhook": { "signing-secret": { "value": "deep-down-below" } },
                "avatar_url": "https://cdn.test/a.png?X-Amz-Signature=0123456789abcdef&w=64", "hint": format!("use {github}."),
                "key": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "pin_token": "7",
                "raw": "{\"client_secret\": \"in-a-text-of-its-own\"}",
            } } },
            { "request": { "url": "/list?pageToken=page%2Ftwo%3D%3D&limit=5" } },
        ]);
        let clean =
            Hider::new(&Vec::<Secret>::new(), std::slice::from_ref(&recorded)).value(&recorded);
        let text = clean.to_string();
        for gone in [
            "page/two",
            "page%2F",
            "first-one",
            "second-of",
            "deep-down",
            "0123456789abcdef",
            "ghp_",
            "MIIB",
            "\"7\"",
            "in-a-text",
        ] {
            assert!(!text.contains(gone), "{gone} is left in {text}");
        }
        for kept in [
            "bearer",
            "4096",
            "https://cdn.test/a.png?X-Amz-Signature=",
            "limit=5",
            "&w=64",
        ] {
            assert!(text.contains(kept), "{kept} is gone from {text}");
        }
        let token = clean
            .pointer("/0/response/body/nextPageToken")
            .and_then(Value::as_str)
            .unwrap();
        assert_eq!(
            clean
                .pointer("/1/request/url")
                .and_then(Value::as_str)
                .unwrap(),
            format!("/list?pageToken={token}&limit=5"),
            "the page token plays"
        );
    }

    #[test]
    fn innocent_text_stays_as_it_is() {
        let recorded = json!({ "title": "The secret of the token", "count": 7, "empty_token": "", "at": "2026-01-02T03:04:05Z" });
        let clean =
            Hider::new(&Vec::<Secret>::new(), std::slice::from_ref(&recorded)).value(&recorded);
        assert_eq!(clean, recorded);
    }
}
