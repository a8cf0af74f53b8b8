//! Signatures held against the examples of RFC 5849 and of its predecessor, and attacks on what is signed.

use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::clock::{Clock, OsEntropy};
use crate::signing::clocks::Clocks;

struct At(i64);
impl Clock for At {
    fn now_ms(&self) -> i64 {
        self.0 * 1000
    }
}

fn keys(token: Option<(&str, &str)>) -> Keys {
    Keys {
        consumer_key: "dpf43f3p2l4k3l03".into(),
        consumer_secret: Hidden::new("kd94hf93k423kf44"),
        token: token.map(|(token, secret)| (token.to_owned(), Hidden::new(secret))),
    }
}

fn signer(method: Oauth1Signature, place: Oauth1Place) -> Oauth1Signer {
    Oauth1Signer {
        keys: keys(Some(("nnch734d00sl2jdk", "pfkkdhi9sl3r4s00"))),
        method,
        place,
        realm: Some("Photos".into()),
        further: Vec::new(),
        time: HostTime::new(Arc::new(At(137_131_202)), Arc::<Clocks>::default(), "h"),
        entropy: Arc::new(OsEntropy),
    }
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// R53: the example of RFC 5849, 3.4.1.1, with duplicate names, an empty value, encoded spaces and both kinds of plus.
#[test]
fn the_base_string_is_that_of_the_rfc() {
    let url = Url::parse("http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b").unwrap();
    let mut params: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    params.extend(url::form_urlencoded::parse(b"c2&a3=2+q").into_owned());
    params.extend(owned(&[
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
    ]));
    assert_eq!(
        *base_string("POST", &url, &params),
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D\
         %26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1\
         %26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    );
}

/// R53 and R54: the three requests of RFC 5849, 1.2, with its signatures.
#[test]
fn the_signatures_are_those_of_the_rfc() {
    for (method, url, further, token, wanted) in [
        (
            "POST",
            "https://photos.example.net/initiate",
            &[
                ("oauth_callback", "http://printer.example.com/ready"),
                ("oauth_nonce", "wIjqoS"),
                ("oauth_timestamp", "137131200"),
            ][..],
            None,
            "74KNZJeDHnMBp0EMJ9ZHt/XKycU=",
        ),
        (
            "POST",
            "https://photos.example.net/token",
            &[
                ("oauth_token", "hh5s93j4hdidpola"),
                ("oauth_verifier", "hfdp7dh39dks9884"),
                ("oauth_nonce", "walatlh"),
                ("oauth_timestamp", "137131201"),
            ],
            Some("hdhd0244k9j7ao03"),
            "gKgrFCywp7rO0OXSjdot/IHF7IU=",
        ),
        (
            "GET",
            "http://photos.example.net/photos?file=vacation.jpg&size=original",
            &[
                ("oauth_token", "nnch734d00sl2jdk"),
                ("oauth_nonce", "chapoH"),
                ("oauth_timestamp", "137131202"),
            ],
            Some("pfkkdhi9sl3r4s00"),
            "MdpQcU8iPSUjWoN/UDMsK2sui9I=",
        ),
    ] {
        let url = Url::parse(url).unwrap();
        let mut params: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        params.extend(owned(further));
        params.extend(owned(&[
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_signature_method", "HMAC-SHA1"),
        ]));
        let base = base_string(method, &url, &params);
        let secret = token.map(Hidden::new);
        let made = sign(
            Oauth1Signature::HmacSha1,
            &base,
            &Hidden::new("kd94hf93k423kf44"),
            secret.as_ref(),
            &OsEntropy,
        )
        .unwrap();
        assert_eq!(made.expose(), wanted, "{url}");
    }
}

/// R54: PLAINTEXT is both secrets, each encoded (OAuth Core 1.0, 9.4.1).
#[test]
fn plaintext_is_both_secrets_encoded() {
    let of = |consumer: &str, token: Option<&str>| {
        let token = token.map(Hidden::new);
        let made = sign(
            Oauth1Signature::Plaintext,
            "",
            &Hidden::new(consumer),
            token.as_ref(),
            &OsEntropy,
        );
        made.unwrap().expose().to_owned()
    };
    assert_eq!(
        of("djr9rjt0jd78jf88", Some("jjd999tj88uiths3")),
        "djr9rjt0jd78jf88&jjd999tj88uiths3"
    );
    assert_eq!(
        of("djr9rjt0jd78jf88", Some("jjd99$tj88uiths3")),
        "djr9rjt0jd78jf88&jjd99%24tj88uiths3"
    );
    assert_eq!(of("djr9rjt0jd78jf88", None), "djr9rjt0jd78jf88&");
}

fn signed(
    signer: &Oauth1Signer,
    url: &str,
    form: Option<&str>,
) -> Result<Vec<Injection>, NotSigned> {
    let url = Url::parse(url).unwrap();
    let mut headers = HeaderMap::new();
    if form.is_some() {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        headers.insert(CONTENT_TYPE, kind);
    }
    let request = Unsigned {
        method: &Method::POST,
        url: &url,
        headers: &headers,
        body: form.map(str::as_bytes),
    };
    signer.sign(&request).map(|signed| signed.parts)
}

#[test]
fn the_signature_goes_into_the_header_the_query_or_the_form() {
    let url = "https://photos.example.net/photos";
    let of = |place, form| {
        let parts = signed(&signer(Oauth1Signature::HmacSha1, place), url, form).unwrap();
        let places: Vec<Place> = parts.iter().map(|part| part.place).collect();
        (places.len(), places[0], parts[0].value.expose().to_owned())
    };
    let (count, place, value) = of(Oauth1Place::Header, Some("a=b"));
    assert!(count == 1 && place == Place::Header);
    assert!(value.starts_with("OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", "));
    assert_eq!(of(Oauth1Place::Query, None).1, Place::Query);
    assert_eq!(of(Oauth1Place::Body, Some("")).1, Place::Body);
    // RFC 5849, 3.5.2: without a form there is no room in the body.
    assert_eq!(of(Oauth1Place::Body, None).1, Place::Header);
}

/// R57: no two requests have the same nonce.
#[test]
fn a_nonce_is_used_once() {
    let signer = signer(Oauth1Signature::HmacSha256, Oauth1Place::Query);
    let nonce = || {
        let parts = signed(&signer, "https://a.example/", None).unwrap();
        let at = parts
            .iter()
            .position(|part| part.name == "oauth_nonce")
            .unwrap();
        parts[at].value.expose().to_owned()
    };
    let all: std::collections::HashSet<String> = (0..100).map(|_| nonce()).collect();
    assert_eq!(all.len(), 100);
}

/// Without the check in `callers`, the app might read the caller's parameter and not the one that was signed.
#[test]
fn a_caller_cannot_bring_protocol_parameters() {
    let signer = signer(Oauth1Signature::HmacSha1, Oauth1Place::Header);
    for (url, form) in [
        ("https://a.example/?oauth_token=mine", None),
        ("https://a.example/?a=b&OAuth_token=mine", None),
        ("https://a.example/", Some("a=b&oauth%5Ftoken=mine")),
    ] {
        assert!(signed(&signer, url, form).is_err(), "{url} {form:?}");
    }
    assert!(
        signer.fills_in(Place::Query, "oauth_token") && signer.fills_in(Place::Body, "OAUTH_x")
    );
    assert!(!signer.fills_in(Place::Query, "token"));
}

/// A24: without the check of the realm, a quote in it would write further parameters.
#[test]
fn a_realm_cannot_end_its_quotes() {
    for realm in ["a\", oauth_token=\"x", "a\\", "a\r\nx: y"] {
        let mut signer = signer(Oauth1Signature::HmacSha1, Oauth1Place::Header);
        signer.realm = Some(realm.into());
        assert!(
            signed(&signer, "https://a.example/", None).is_err(),
            "{realm}"
        );
    }
}

proptest! {
    /// R53: the base string is the same whatever the order of parameters, and has exactly two ampersands of its own.
    #[test]
    fn the_base_string_does_not_depend_on_the_order_of_parameters(
        mut pairs in proptest::collection::vec((".{0,5}", ".{0,5}"), 0..6),
    ) {
        let url = Url::parse("https://a.example/x").unwrap();
        let one = base_string("get", &url, &pairs);
        pairs.reverse();
        prop_assert_eq!(&*one, &*base_string("GET", &url, &pairs));
        prop_assert_eq!(one.matches('&').count(), 2);
    }
}
