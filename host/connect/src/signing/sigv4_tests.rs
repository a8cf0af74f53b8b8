//! Signatures held against AWS's published test suite (`aws-sig-v4-test-suite`) and the examples of the S3 reference.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use proptest::prelude::*;
use url::Url;

use super::*;
use crate::clock::Clock;

struct At(i64);
impl Clock for At {
    fn now_ms(&self) -> i64 {
        self.0 * 1000
    }
}

fn signer(service: &str, secret: &str, unix: i64) -> Sigv4 {
    Sigv4 {
        keys: Keys {
            id: "AKIDEXAMPLE".into(),
            secret: Hidden::new(secret),
            session: None,
        },
        region: "us-east-1".into(),
        service: service.into(),
        time: HostTime::new(Arc::new(At(unix)), Arc::default(), "h"),
    }
}

/// 2015-08-30T12:36:00Z.
const SUITE: i64 = 1_440_938_160;
const SUITE_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2013-05-24T00:00:00Z.
const S3: i64 = 1_369_353_600;
const S3_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn signed(
    signer: &Sigv4,
    method: &Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Vec<(String, String)> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect();
    let url = Url::parse(url).unwrap();
    let request = Unsigned {
        method,
        url: &url,
        headers: &headers,
        body,
    };
    let signed = signer.sign(&request).unwrap();
    signed
        .parts
        .iter()
        .map(|part| (part.name.clone(), part.value.expose().to_owned()))
        .collect()
}

fn signature(parts: &[(String, String)]) -> &str {
    let (_, value) = parts
        .iter()
        .find(|(name, _)| name == "Authorization")
        .unwrap();
    value.rsplit_once("Signature=").unwrap().1
}

/// R64, with the vectors of the suite: name, request, signature.
#[test]
fn requests_are_signed_as_in_the_published_suite() {
    let post = Method::POST;
    let form = "application/x-www-form-urlencoded";
    for (name, method, url, headers, body, wanted) in [
        (
            "get-vanilla",
            &Method::GET,
            "https://example.amazonaws.com/",
            &[][..],
            &b""[..],
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-vanilla-query-order-key-case",
            &Method::GET,
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            &[],
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "post-vanilla",
            &post,
            "https://example.amazonaws.com/",
            &[],
            b"",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-x-www-form-urlencoded",
            &post,
            "https://example.amazonaws.com/",
            &[("content-type", form)],
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "get-relative (the URL's parser takes the dots out)",
            &Method::GET,
            "https://example.amazonaws.com/example/..",
            &[],
            b"",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
    ] {
        let parts = signed(
            &signer("service", SUITE_KEY, SUITE),
            method,
            url,
            headers,
            Some(body),
        );
        assert_eq!(signature(&parts), wanted, "{name}");
    }
}

/// The suite writes paths that are not encoded yet; what our URLs hold is encoded once already.
#[test]
fn paths_are_encoded_as_in_the_published_suite() {
    for (name, path, wanted) in [
        (
            "get-utf8",
            "/ሴ",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            "get-space",
            "/example space/",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
    ] {
        let url = Url::parse(&format!("https://example.amazonaws.com{path}")).unwrap();
        let headers = [
            ("host".to_owned(), "example.amazonaws.com".to_owned()),
            ("x-amz-date".to_owned(), "20150830T123600Z".to_owned()),
        ];
        let nothing = hex(&Sha256::digest(b""));
        let canonical = canonical_request(
            "GET",
            &canonical_path(url.path(), false),
            "",
            &headers,
            &nothing,
        );
        let line = signer("service", SUITE_KEY, SUITE)
            .authorization("20150830T123600Z", &canonical)
            .unwrap();
        assert_eq!(line.rsplit_once("Signature=").unwrap().1, wanted, "{name}");
    }
    assert_eq!(canonical_path("/a%20b/%2F", true), "/a%2520b/%252F");
    assert_eq!(canonical_path("", true), "/");
}

#[test]
fn s3_is_signed_as_in_its_reference() {
    let s3 = Sigv4 {
        keys: Keys {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: Hidden::new(S3_KEY),
            session: None,
        },
        ..signer("s3", S3_KEY, S3)
    };
    // "GET Bucket Lifecycle" and "GET Bucket (List Objects)".
    for (query, wanted) in [
        (
            "lifecycle",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "max-keys=2&prefix=J",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ] {
        let url = format!("https://examplebucket.s3.amazonaws.com/?{query}");
        let parts = signed(&s3, &Method::GET, &url, &[], Some(b""));
        assert_eq!(signature(&parts), wanted, "{query}");
    }
    // A body that is not at hand is not hashed, and says so.
    let parts = signed(
        &s3,
        &Method::PUT,
        "https://examplebucket.s3.amazonaws.com/k",
        &[],
        None,
    );
    assert!(parts.contains(&("X-Amz-Content-Sha256".into(), UNSIGNED.into())));
}

#[test]
fn headers_are_folded_as_in_the_published_suite() {
    // get-header-key-duplicate and get-header-value-trim.
    for (headers, wanted) in [
        (
            &[
                ("My-Header1", "value2"),
                ("My-Header1", "value2"),
                ("My-Header1", "value1"),
            ][..],
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
    ] {
        let mut all = vec![
            ("Host".to_owned(), "example.amazonaws.com".to_owned()),
            ("X-Amz-Date".to_owned(), "20150830T123600Z".to_owned()),
        ];
        all.extend(
            headers
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
        );
        let canonical = canonical_request("GET", "/", "", &all, &hex(&Sha256::digest(b"")));
        let line = signer("service", SUITE_KEY, SUITE)
            .authorization("20150830T123600Z", &canonical)
            .unwrap();
        assert_eq!(line.rsplit_once("Signature=").unwrap().1, wanted);
    }
}

#[test]
fn a_session_token_is_sent_and_signed() {
    let mut with = signer("service", SUITE_KEY, SUITE);
    with.keys.session = Some(Hidden::new("session-token"));
    let url = "https://example.amazonaws.com/";
    let parts = signed(&with, &Method::GET, url, &[], Some(b""));
    assert!(parts.contains(&("X-Amz-Security-Token".into(), "session-token".into())));
    assert!(
        parts
            .iter()
            .any(|(_, v)| v.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"))
    );
    let without = signed(
        &signer("service", SUITE_KEY, SUITE),
        &Method::GET,
        url,
        &[],
        Some(b""),
    );
    assert_ne!(signature(&parts), signature(&without));
}

#[test]
fn a_caller_cannot_sign_beside_the_host() {
    let own = signer("s3", "k", S3);
    for name in [
        "X-Amz-Signature",
        "x-amz-credential",
        "X-AMZ-SECURITY-TOKEN",
    ] {
        assert!(own.fills_in(Place::Query, name), "{name}");
    }
    assert!(!own.fills_in(Place::Query, "x-amz-acl"));
}

proptest! {
    /// Whatever a path or query holds, the canonical form has reserved characters in their encoded form only, and does not
    /// depend on which of two ways of writing was chosen.
    #[test]
    fn a_canonical_query_does_not_depend_on_the_order_of_parameters(
        mut pairs in proptest::collection::vec(("[a-z&= %+]{0,5}", ".{0,6}"), 0..6),
    ) {
        let write = |pairs: &[(String, String)]| {
            let mut out = url::form_urlencoded::Serializer::new(String::new());
            out.extend_pairs(pairs);
            out.finish()
        };
        let one = canonical_query(&write(&pairs));
        pairs.reverse();
        let other = canonical_query(&write(&pairs));
        prop_assert_eq!(&one, &other);
        prop_assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%=&".contains(&b)));
    }

    #[test]
    fn a_path_that_was_encoded_is_encoded_back_to_itself(path in "(/[a-z %é~*]{0,6}){1,3}") {
        let encoded: Vec<String> = path.split('/').map(|s| percent(s.as_bytes())).collect();
        let encoded = encoded.join("/");
        prop_assert_eq!(canonical_path(&encoded, false), encoded);
    }
}
