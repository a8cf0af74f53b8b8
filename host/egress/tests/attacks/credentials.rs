//! Credentials go where they belong and do not come back.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use keyport_egress::{Body, EgressError, Injection, Place, Purpose, Secret};

use crate::upstream::{TOKEN, Upstream, egress, get, pass, pieces, read, text};

#[tokio::test]
async fn the_credential_reaches_its_audience_and_no_other_allowed_host() {
    let (api, cdn) = (
        Upstream::start(|_| text("")).await,
        Upstream::start(|_| text("")).await,
    );
    let egress = egress(&[("api", &api.url()), ("cdn", &cdn.url())]);
    let mut pass = pass(Purpose::Guest);
    pass.credential.as_mut().unwrap().parts.push(Injection {
        place: Place::Query,
        name: "key".to_owned(),
        value: Secret::new(TOKEN),
    });
    egress
        .send(&pass, get("https://api.example.com/a"))
        .await
        .unwrap();
    egress
        .send(&pass, get("https://cdn.example.com/b"))
        .await
        .unwrap();
    assert_eq!(api.seen()[0].line, "GET /a?key=tok_very%2Fsecret%2Bvalue");
    assert!(api.seen()[0].header("authorization").is_some());
    assert_eq!(cdn.seen()[0].line, "GET /b");
    assert!(cdn.seen()[0].header("authorization").is_none());
}

#[tokio::test]
async fn a_guest_cannot_repeat_the_parameter_that_carries_the_credential() {
    let api = Upstream::start(|_| text("")).await;
    let mut pass = pass(Purpose::Guest);
    pass.credential.as_mut().unwrap().parts[0].place = Place::Query;
    let request = get("https://api.example.com/?AUTHORIZATION=mine");
    let refused = egress(&[("api", &api.url())])
        .send(&pass, request)
        .await
        .err();
    assert_eq!(
        refused,
        Some(EgressError::ForbiddenParameter("Authorization".to_owned()))
    );
    assert!(api.seen().is_empty());
}

#[tokio::test]
async fn a_secret_with_a_line_break_is_refused_and_not_shown() {
    let api = Upstream::start(|_| text("")).await;
    let egress = egress(&[("api", &api.url())]);
    for value in ["tok\r\nx-evil: 1", "tok\nx", "tok\0"] {
        let mut pass = pass(Purpose::Guest);
        pass.credential.as_mut().unwrap().parts[0].value = Secret::new(value);
        let refused = egress
            .send(&pass, get("https://api.example.com/"))
            .await
            .err()
            .unwrap();
        assert_eq!(refused, EgressError::Unsendable("Authorization".to_owned()));
        assert!(!format!("{refused} {refused:?}").contains("tok"));
    }
    assert!(api.seen().is_empty());
}

/// An upstream that sends back the token in every listed form, cut into pieces of `cut` bytes, and in a
/// header.
async fn echo(cut: usize) -> Upstream {
    Upstream::start(move |_| {
        let body = format!(
            "{{\"plain\":\"{TOKEN}\",\"json\":\"tok_very\\/secret+value\",\"url\":\"tok_very%2Fsecret%2Bvalue\",\
             \"lower\":\"tok_very%2fsecret%2bvalue\",\"b64\":\"{}\",\"basic\":\"{}\",\"kept\":\"tok_very\"}}",
            STANDARD.encode(TOKEN),
            STANDARD.encode(format!("me@example.com:{TOKEN}")),
        );
        let parts = body.as_bytes().chunks(cut).map(<[u8]>::to_vec).collect();
        Response::builder()
            .header("x-echo", format!("Bearer {TOKEN}"))
            .body(pieces(parts))
            .unwrap()
    })
    .await
}

#[tokio::test]
async fn an_upstream_that_echoes_the_credential_gives_it_to_nobody_wherever_the_chunks_are_cut() {
    for cut in [1, 2, 3, 7, 16, 1000] {
        let api = echo(cut).await;
        let egress = egress(&[("api", &api.url())]);
        for purpose in [Purpose::Guest, Purpose::Proxy] {
            let answer = egress
                .send(&pass(purpose), get("https://api.example.com/"))
                .await
                .unwrap();
            assert_eq!(answer.headers()["x-echo"], "Bearer [redacted]");
            let body = read(answer).await.unwrap();
            // Of the base64 forms only what the secret alone decides is replaced.
            for form in [
                TOKEN,
                "tok_very\\/secret",
                "%2Fsecret",
                "%2fsecret",
                &STANDARD.encode(TOKEN)[..20],
            ] {
                assert!(!body.contains(form), "{cut}: {form} in {body}");
            }
            assert!(body.contains("\"kept\":\"tok_very\""));
            assert_eq!(body.matches("[redacted]").count(), 6, "{body}");
        }
    }
}

/// An author who looks on is shown what a component gets, and never an answer that was not scrubbed: it is a token.
#[tokio::test]
async fn a_witness_is_shown_scrubbed_answers_and_no_others() {
    let api = echo(5).await;
    let egress = egress(&[("api", &api.url())]);
    for (purpose, raw_answer, seen) in [
        (Purpose::Guest, false, 1),
        (Purpose::Guest, true, 0),
        (Purpose::Proxy, true, 0),
        (Purpose::Flow, false, 0),
    ] {
        let shown: Arc<Mutex<Vec<String>>> = Arc::default();
        let sees = Arc::clone(&shown);
        let mut pass = pass(purpose);
        pass.raw_answer = raw_answer;
        pass.witness = Some(Arc::new(move |one| {
            let answer = one.answer.unwrap();
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            sees.lock()
                .unwrap()
                .push(format!("{:?} {body}", answer.headers));
        }));
        let answer = egress.send(&pass, get("https://api.example.com/")).await;
        let body = read(answer.unwrap()).await.unwrap();
        assert_eq!(body.contains(TOKEN), seen == 0, "{purpose:?}");
        let shown = shown.lock().unwrap();
        assert_eq!(shown.len(), seen, "{purpose:?} {raw_answer}");
        assert!(shown.iter().all(|text| !text.contains(TOKEN)));
    }
}

#[tokio::test]
async fn the_hosts_own_flow_reads_the_token_that_it_asked_for() {
    let api = echo(5).await;
    let answer = egress(&[("api", &api.url())])
        .send(&pass(Purpose::Flow), get("https://api.example.com/"))
        .await;
    assert!(read(answer.unwrap()).await.unwrap().contains(TOKEN));
}

#[tokio::test]
async fn an_event_stream_is_passed_on_piece_by_piece() {
    use futures_util::StreamExt;
    let (send, receive) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
    let receive = std::sync::Mutex::new(Some(receive));
    let api = Upstream::start(move |_| {
        let receive = receive.lock().unwrap().take().unwrap();
        Response::new(Body::from_stream(futures_util::stream::unfold(
            receive,
            |mut receive| async {
                let piece = receive.recv().await?;
                Some((Ok::<_, EgressError>(piece.into()), receive))
            },
        )))
    })
    .await;
    send.send("data: first\n\n").unwrap();
    let answer = egress(&[("api", &api.url())])
        .send(&pass(Purpose::Proxy), get("https://api.example.com/"))
        .await;
    let mut body = Box::pin(answer.unwrap().into_body().into_stream());
    // The second is sent only after the first has arrived.
    assert_eq!(body.next().await.unwrap().unwrap(), "data: first\n\n");
    send.send("data: second\n\n").unwrap();
    assert_eq!(body.next().await.unwrap().unwrap(), "data: second\n\n");
    drop(send);
    assert!(body.next().await.is_none());
}
