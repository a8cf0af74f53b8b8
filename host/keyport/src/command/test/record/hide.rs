//! Taking secrets out of a recording.
//!
//! Three kinds are known: the account's own (they were taken out of answers before a witness saw them; here they are taken out of
//! everything, in every form in which egress searches for them), values whose name says what they are, and texts of a form that
//! vendors give their keys (the forms of V19). A value that is replaced is replaced everywhere and always by the same text: a page
//! token that an answer gives and the next request sends is one token in the recording too, so that it plays. Names are those of
//! JSON, of lines of JSON, of XML and HTML, and of parameters in addresses and forms.
//!
//! Left out: a secret of the vendor's that has neither a telling name nor a known form. Whoever records is told to look it through.

use keyport_egress::{MARK, MIN_SCRUBBED, Scrubber, Secret};
use keyport_manifest::yaml::secret_form;
use serde_json::{Map, Value};

use super::markup;

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
    /// Further ones, found by name or form, the longest first: one may be a part of another. Known ones in them are replaced.
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
        for value in &mut values {
            *value = without(&known, value);
        }
        values.retain(|value| value != REPLACED && value.len() >= MIN_SCRUBBED);
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
            Value::String(text) if named => Value::String(self.whole(text)),
            Value::String(text) => Value::String(self.text(text)),
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
        let mut clean = without(&self.known, &self.structured(text));
        for (number, (_, scrubber)) in self.found.iter().enumerate() {
            let without = scrubber.text(&clean);
            if without != clean {
                clean = without.replace(MARK, &numbered(number));
            }
        }
        clean
    }

    /// What stands for a value under a telling name: all of it goes, whatever else was replaced in it.
    fn whole(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let clean = without(&self.known, text);
        let mut found = self.found.iter();
        found
            .position(|(secret, _)| secret.expose() == clean)
            .map_or_else(|| REPLACED.to_owned(), numbered)
    }

    /// What names tell in JSON and markup that stand in a text; a search would leave short values.
    fn structured(&self, text: &str) -> String {
        let line = |line: &str| match json(line) {
            Some(inner) => match self.within(&inner, false) {
                clean if clean == inner => line.to_owned(),
                clean => clean.to_string(),
            },
            None => line.to_owned(),
        };
        if json(text).is_some() {
            return line(text);
        }
        if text.lines().any(|one| json(one).is_some()) {
            return text.split('\n').map(line).collect::<Vec<_>>().join("\n");
        }
        let mut clean = text.to_owned();
        // From the end, so that places stay where they are.
        for range in markup::telling(text, inherits).into_iter().rev() {
            if let Some(value) = text.get(range.clone()) {
                clean.replace_range(range, &self.whole(&markup::decoded(value)));
            }
        }
        clean
    }
}

/// A text with the mark of a recording for every secret that is known.
fn without(known: &Scrubber, text: &str) -> String {
    known.text(text).replace(MARK, REPLACED)
}

fn numbered(found: usize) -> String {
    format!("{REPLACED}-{}", found + 1)
}

/// The JSON that a text is, if it has names.
fn json(text: &str) -> Option<Value> {
    let is_json = text.trim_start().starts_with(['{', '[']);
    let read = || serde_json::from_str(text).ok();
    is_json.then(read).flatten()
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
    // JSON in a text is JSON, and so is each line of one.
    match json(text) {
        Some(inner) => look(&inner, false, found),
        None => text
            .lines()
            .filter_map(json)
            .for_each(|inner| look(&inner, false, found)),
    }
    let values = markup::telling(text, inherits);
    found.extend(
        values
            .into_iter()
            .filter_map(|range| text.get(range))
            .map(markup::decoded),
    );
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
    fn what_a_name_tells_goes_whole_although_a_known_secret_in_it_has_a_mark_already() {
        let secret = Secret::new(KEY);
        let recorded = json!([
            { "cookie": format!("sid={MARK}; csrf=0123456789abcdef"), "authorization": format!("Digest {KEY} n=1") },
            { "copy": format!("it was sid={MARK}; csrf=0123456789abcdef."), "short_token": format!("{MARK} 1") },
        ]);
        let clean = Hider::new([&secret], std::slice::from_ref(&recorded)).value(&recorded);
        let text = clean.to_string();
        for gone in [
            "csrf",
            "0123456789abcdef",
            "Digest",
            "n=1",
            KEY,
            MARK,
            " 1\"",
        ] {
            assert!(!text.contains(gone), "{gone} is left in {text}");
        }
        let cookie = clean.pointer("/0/cookie").and_then(Value::as_str).unwrap();
        assert_eq!(
            clean.pointer("/1/copy").and_then(Value::as_str),
            Some(format!("it was {cookie}.").as_str())
        );
    }

    #[test]
    fn lines_of_json_and_markup_have_names_too() {
        let xml = "<?xml version=\"1.0\"?><r xmlns:a='urn:x' page='2'><a:AccessToken>in-an&amp;element</a:AccessToken>\
                   <Credentials><id>7</id><Key><![CDATA[in-cdata]]></Key></Credentials><user apiKey='as an attribute'/>\
                   <entry key=\"client_secret\">by its key</entry><name>Ada &amp; Grace</name></r>";
        let lines =
            "{\"id\": 1,  \"refresh_token\":\"r7\"}\n{\"id\": 2,  \"name\":\"Ada\"}\n\nno json";
        let recorded = json!([
            { "response": { "body": xml } },
            { "response": { "body": lines } },
            { "request": { "url": "/me?hint=in-an%26element", "body": "{\"pin_token\":\"7\"}" } },
        ]);
        let clean =
            Hider::new(&Vec::<Secret>::new(), std::slice::from_ref(&recorded)).value(&recorded);
        let body = |at: &str| {
            clean
                .pointer(at)
                .and_then(Value::as_str)
                .unwrap()
                .to_owned()
        };
        let text = clean.to_string();
        for gone in [
            "in-an",
            "in-cdata",
            "as an",
            "by its key",
            ">7<",
            "r7",
            "\\\"7",
        ] {
            assert!(!text.contains(gone), "{gone} is left in {text}");
        }
        let xml = body("/0/response/body");
        for kept in [
            "<a:AccessToken>",
            "page='2'",
            "Ada &amp; Grace",
            "xmlns:a='urn:x'",
        ] {
            assert!(xml.contains(kept), "{kept} is gone from {xml}");
        }
        let kept = "\n{\"id\": 2,  \"name\":\"Ada\"}\n\nno json";
        assert!(body("/1/response/body").ends_with(kept), "{text}");
    }

    #[test]
    fn innocent_text_stays_as_it_is() {
        let recorded = json!({ "title": "The secret of the token", "count": 7, "empty_token": "", "at": "2026-01-02T03:04:05Z",
            "xml": "<a><name>token</name></a>", "less": "a < b token=", "lines": "{\"a\":  1}\n{\"b\":  2}", "text": "{\"a\":  [1]}" });
        let clean =
            Hider::new(&Vec::<Secret>::new(), std::slice::from_ref(&recorded)).value(&recorded);
        assert_eq!(clean, recorded);
    }
}
