//! What is attached, where, and where not.

use http::header::{AUTHORIZATION, HeaderName};

use super::*;
use crate::handles::Handles;
use crate::pass::Purpose;
use crate::secret::{Credential, Injection, Secret};

fn pass() -> Pass {
    let mut pass = Pass::new(
        "o",
        Purpose::Guest,
        "api.example.com, cdn.example.com".parse().unwrap(),
    );
    pass.credential = Some(Credential {
        parts: vec![
            Injection {
                place: Place::Header,
                name: "Authorization".to_owned(),
                value: Secret::new("Bearer tok"),
            },
            Injection {
                place: Place::Query,
                name: "key".to_owned(),
                value: Secret::new("a&b=c d"),
            },
        ],
        ..Credential::new("api.example.com".parse().unwrap())
    });
    pass
}

fn credential(pass: &Pass, url: &mut Url, map: &mut HeaderMap) -> Result<(), EgressError> {
    credentials(pass, url, map, None).map(drop)
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_credential_goes_to_its_audience_and_to_no_other_allowed_host() {
    let (mut to, mut headers) = (url("https://api.example.com/x?a=b"), HeaderMap::new());
    credential(&pass(), &mut to, &mut headers).unwrap();
    assert_eq!(headers[AUTHORIZATION], "Bearer tok");
    assert!(headers[AUTHORIZATION].is_sensitive());
    assert_eq!(to.query(), Some("a=b&key=a%26b%3Dc+d"));

    for other in [
        "https://cdn.example.com/x",
        "https://api.example.com:8443/x",
        "http://api.example.com/x",
    ] {
        let (mut to, mut headers) = (url(other), HeaderMap::new());
        credential(&pass(), &mut to, &mut headers).unwrap();
        assert!(headers.is_empty() && to.query().is_none(), "{other}");
    }
}

#[test]
fn the_credentials_parameter_is_replaced_and_not_doubled() {
    let mut to = url("https://api.example.com/x?key=old&a=b&k%65y=old&keys=1");
    credential(&pass(), &mut to, &mut HeaderMap::new()).unwrap();
    assert_eq!(to.query(), Some("a=b&keys=1&key=a%26b%3Dc+d"));
    let mut to = url("https://api.example.com/x?key=old");
    credential(&pass(), &mut to, &mut HeaderMap::new()).unwrap();
    assert_eq!(to.query(), Some("key=a%26b%3Dc+d"));
}

#[test]
fn a_credential_with_a_line_break_is_refused_and_not_shown() {
    let mut pass = pass();
    for part in &mut pass.credential.as_mut().unwrap().parts {
        part.value = Secret::new("tok\r\nx-evil: 1");
    }
    let refused = credential(
        &pass,
        &mut url("https://api.example.com/"),
        &mut HeaderMap::new(),
    );
    assert_eq!(
        refused,
        Err(EgressError::Unsendable("Authorization".to_owned()))
    );
}

#[test]
fn constants_fill_in_what_the_caller_left_open() {
    let mut pass = pass();
    pass.fixed_headers = vec![
        ("Accept".to_owned(), "application/json".to_owned()),
        ("x-v".to_owned(), "2".to_owned()),
    ];
    pass.fixed_query = vec![
        ("site".to_owned(), "so".to_owned()),
        ("v".to_owned(), "1".to_owned()),
    ];
    let (mut to, mut headers) = (
        url("https://api.example.com/?site=mine"),
        map(&[("accept", "text/csv")]),
    );
    constants(&pass, &mut to, &mut headers).unwrap();
    assert_eq!(to.query(), Some("site=mine&v=1"));
    assert_eq!(headers["accept"], "text/csv");
    assert_eq!(headers["x-v"], "2");
    assert_eq!(headers["accept-encoding"], "identity");
    assert!(
        headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("keyport/")
    );
}

#[test]
fn a_handle_becomes_its_value_in_its_slot_only() {
    let pass = pass();
    let handles = Handles::default();
    let handle = handles.issue(
        Secret::new("s&cret +value"),
        vec![
            Slot::Header("X-Signature".to_owned()),
            Slot::Query("sig".to_owned()),
        ],
    );
    let redeem = |to: &str, lines: &[(&str, &str)], body: &str| {
        let (mut to, mut headers) = (url(to), map(lines));
        redeem_handles(
            &pass,
            &handles.issued(),
            &mut to,
            &mut headers,
            body.as_bytes(),
        )
        .map(|_| (to, headers))
    };
    let api = "https://api.example.com/x";

    let (to, headers) = redeem(
        &format!("{api}?sig={handle}&a=b"),
        &[("x-signature", &format!("v1={handle}"))],
        "",
    )
    .unwrap();
    assert_eq!(to.query(), Some("sig=s%26cret+%2Bvalue&a=b"));
    assert_eq!(headers["x-signature"], "v1=s&cret +value");
    assert!(headers["x-signature"].is_sensitive());

    for (to, lines, body) in [
        (format!("{api}?other={handle}"), vec![], ""),
        (format!("{api}?{handle}=sig"), vec![], ""),
        (format!("{api}?sig=x;other={handle}"), vec![], ""),
        (format!("{api}?sig={handle}&other={handle}"), vec![], ""),
        (format!("{api}/{handle}"), vec![], ""),
        (api.to_owned(), vec![("x-other", handle.as_str())], ""),
        (api.to_owned(), vec![(handle.as_str(), "x")], ""),
        (api.to_owned(), vec![], handle.as_str()),
        (format!("https://cdn.example.com/?sig={handle}"), vec![], ""),
    ] {
        let refused = redeem(&to, &lines, body);
        assert!(
            matches!(refused, Err(EgressError::HandleOutOfSlot(_))),
            "{to} {lines:?} {body}"
        );
    }
}

#[test]
fn a_handle_may_have_an_audience_of_its_own() {
    let handles = Handles::default();
    let slots = vec![Slot::Header("x-s".to_owned())];
    let handle = handles.issue_for(
        Secret::new("value"),
        slots,
        "cdn.example.com".parse().unwrap(),
    );
    let redeem = |to: &str| {
        redeem_handles(
            &pass(),
            &handles.issued(),
            &mut url(to),
            &mut map(&[("x-s", &handle)]),
            b"",
        )
    };
    assert_eq!(redeem("https://cdn.example.com/"), Ok(None));
    assert!(redeem("https://api.example.com/").is_err());
}

#[test]
fn a_handle_whose_value_has_a_line_break_is_refused() {
    let handles = Handles::default();
    let handle = handles.issue(
        Secret::new("a\r\nb: c"),
        vec![Slot::Header("x-s".to_owned())],
    );
    let refused = redeem_handles(
        &pass(),
        &handles.issued(),
        &mut url("https://api.example.com/"),
        &mut map(&[("x-s", &handle)]),
        b"",
    );
    assert_eq!(refused, Err(EgressError::Unsendable("x-s".to_owned())));
}

fn cookies(values: &[(&str, &str)], given: &[(&str, &str)]) -> Result<HeaderMap, EgressError> {
    let mut pass = pass();
    pass.credential.as_mut().unwrap().parts = values
        .iter()
        .map(|(name, value)| Injection {
            place: Place::Cookie,
            name: (*name).to_owned(),
            value: Secret::new(*value),
        })
        .collect();
    let mut headers = map(given);
    credential(&pass, &mut url("https://api.example.com/"), &mut headers)?;
    Ok(headers)
}

#[test]
fn cookies_share_one_header_and_replace_one_of_their_name() {
    let made = cookies(&[("B1SESSION", "s-1"), ("ROUTEID", ".node0")], &[]).unwrap();
    assert_eq!(made["cookie"], "B1SESSION=s-1; ROUTEID=.node0");
    assert!(made["cookie"].is_sensitive());
    let given = [("cookie", "lang=en; sid=old"), ("cookie", "sid=older;")];
    let made = cookies(&[("sid", "new")], &given).unwrap();
    assert_eq!(made.get_all("cookie").iter().count(), 1);
    assert_eq!(made["cookie"], "lang=en; sid=new");
    let pass = {
        let mut pass = pass();
        pass.credential.as_mut().unwrap().parts[0].place = Place::Cookie;
        pass
    };
    let mut headers = HeaderMap::new();
    credential(&pass, &mut url("https://cdn.example.com/"), &mut headers).unwrap();
    assert!(headers.is_empty(), "another host than the audience's");
}

/// Without the look at separators, a session that an upstream chose could add a second cookie of its choosing.
#[test]
fn a_cookies_value_cannot_add_another_cookie_or_header() {
    for value in ["a; admin=1", "a;", "a\r\nx: y", "a\0", "é", " a", "a "] {
        let refused = cookies(&[("sid", value)], &[]);
        assert_eq!(
            refused,
            Err(EgressError::Unsendable("sid".to_owned())),
            "{value:?}"
        );
    }
    assert!(cookies(&[("s;id", "a")], &[]).is_err());
    assert!(cookies(&[("", "a")], &[]).is_err());
}

#[test]
fn what_came_to_be_known_after_an_answers_head_is_taken_out_of_it_too() {
    let pass = pass();
    let known = pass.handles.mark();
    let mut headers = map(&[("x-echo", "late-signature")]);
    let body = Bytes::from_static(b"late-handle, late-signature");
    // Nothing came: nothing is looked at again.
    assert_eq!(pass.scrubbed_since(known, &mut headers, body.clone()), body);
    // By the guest's own imports and by a request beside this one, both of which have a clone of the pass.
    let other = pass.clone();
    other.handles.issue(Secret::new("late-handle"), vec![]);
    other.handles.derived(vec![Secret::new("late-signature")]);
    let clean = pass.scrubbed_since(known, &mut headers, body.clone());
    assert_eq!(clean, "[redacted], [redacted]");
    assert_eq!(headers["x-echo"], "[redacted]");
    // Where the host reads the answer itself, it reads what was said.
    let raw = Pass {
        raw_answer: true,
        ..other
    };
    assert_eq!(raw.scrubbed_since(known, &mut headers, body.clone()), body);
}
