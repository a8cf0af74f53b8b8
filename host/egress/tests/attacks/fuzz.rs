//! Fuzz targets as plain functions: whatever addresses, host names and answers strangers make up, the filter and the scrubber
//! hold.
//!
//! Each runs for about a second, and for ten minutes with `KEYPORT_PROOF=full`. Inputs come from a generator with a seed
//! (`KEYPORT_SEED`, else fixed); a failure prints the seed and the input. The allowed-host grammar has its target in
//! `keyport-manifest`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use keyport_egress::{AddressFilter, MARK, Scrubber, Secret, blocked_reason};
use keyport_manifest::AllowedHosts;
use url::Url;

/// xorshift64*: small, quick, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % (n.max(1) as u64)).unwrap_or(0)
    }

    fn text(&mut self, alphabet: &[&str], most: usize) -> String {
        let count = self.below(most + 1);
        (0..count)
            .map(|_| alphabet[self.below(alphabet.len())])
            .collect()
    }
}

/// Runs a target on made-up inputs until its time is over.
fn fuzz(mut target: impl FnMut(&mut Dice) -> String) {
    let full = std::env::var("KEYPORT_PROOF").is_ok_and(|proof| proof == "full");
    let time = Duration::from_secs(if full { 600 } else { 1 });
    let seed = std::env::var("KEYPORT_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(0x9e37_79b9_7f4a_7c15);
    let (mut dice, begun, mut runs) = (Dice(seed), Instant::now(), 0_u64);
    // A slow machine still tries a good many.
    while begun.elapsed() < time || runs < 200 {
        let state = dice.0;
        let mut input = String::new();
        let result = catch_unwind(AssertUnwindSafe(|| input = target(&mut dice)));
        if let Err(reason) = result {
            eprintln!("seed {state} (KEYPORT_SEED={state} begins with it), run {runs}");
            std::panic::resume_unwind(reason);
        }
        runs += 1;
    }
    eprintln!("{runs} inputs");
}

/// The ranges that nothing is sent to, written down a second time and in another way: by what an address *is*.
fn is_special_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    a == 0
        || a == 10
        || a == 127
        || a >= 224
        || (a, b) == (169, 254)
        || (a, b) == (192, 168)
        || (a == 172 && (16..32).contains(&b))
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (b == 18 || b == 19))
        || [
            (192, 0, 0),
            (192, 0, 2),
            (192, 88, 99),
            (198, 51, 100),
            (203, 0, 113),
        ]
        .contains(&(a, b, c))
}

fn is_special_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    // Global unicast is 2000::/3; of that, what wraps an IPv4 address or is kept for other ends.
    !(0x2000..0x4000).contains(&s[0])
        || (s[0] == 0x2001 && s[1] < 0x200)
        || (s[0] == 0x2001 && s[1] == 0xdb8)
        || s[0] == 0x2002
        || (s[0] == 0x3fff && s[1] < 0x1000)
}

#[test]
fn the_address_filter_lets_no_special_address_through_however_it_is_wrapped() {
    fuzz(|dice| {
        let [.., a, b, c, d] = dice.roll().to_be_bytes();
        // Small first bytes are where the ranges are.
        let pool = [
            0_u8, 10, 100, 127, 169, 172, 192, 198, 203, 224, 240, 255, a,
        ];
        let v4 = Ipv4Addr::new(pool[dice.below(pool.len())], b, c, d);
        assert_eq!(
            blocked_reason(v4.into()).is_some(),
            is_special_v4(v4),
            "{v4}"
        );
        let [hi, lo] = [
            u16::from_be_bytes([v4.octets()[0], v4.octets()[1]]),
            u16::from_be_bytes([v4.octets()[2], v4.octets()[3]]),
        ];
        let heads: [[u16; 6]; 6] = [
            [0; 6],
            [0, 0, 0, 0, 0, 0xffff],
            [0, 0, 0, 0, 0xffff, 0],
            [0x64, 0xff9b, 0, 0, 0, 0],
            [0x2002, hi, lo, 0, 0, 0],
            [0x2001, 0, 0, 0, 0, 0],
        ];
        let [p, q, r, s, t, u] = heads[dice.below(heads.len())];
        let wrapped = Ipv6Addr::new(p, q, r, s, t, u, hi, lo);
        assert!(blocked_reason(wrapped.into()).is_some(), "{wrapped}");
        let any = Ipv6Addr::from((u128::from(dice.roll()) << 64) | u128::from(dice.roll()));
        assert_eq!(
            blocked_reason(any.into()).is_some(),
            is_special_v6(any),
            "{any}"
        );
        // An exception opens its own range and nothing beside it.
        let filter = AddressFilter::new(vec!["10.1.0.0/16".parse().unwrap()], vec![]);
        let inside = v4.octets()[..2] == [10, 1];
        assert_eq!(filter.is_excepted(IpAddr::V4(v4)), inside, "{v4}");
        format!("{v4} {wrapped} {any}")
    });
}

#[test]
fn a_url_that_the_grammar_allows_is_at_a_granted_host_and_port() {
    let hosts: AllowedHosts = "api.acme.dev, *.files.acme.dev, self.acme.dev:8443"
        .parse()
        .unwrap();
    let pieces = [
        "https://",
        "http://",
        "HTTPS://",
        "api",
        "files",
        "self",
        "acme",
        "dev",
        ".",
        "..",
        "@",
        ":",
        ":443",
        ":8443",
        ":80",
        "/",
        "\\",
        "#",
        "?",
        "%2e",
        "%40",
        "[::1]",
        "127.0.0.1",
        "x",
        "\u{ff0e}",
        "\u{3002}",
        "\u{ad}",
        " ",
        "\t",
        "xn--",
        "API",
        "evil",
        ".evil.test",
        "api.acme.dev",
        "a.files.acme.dev",
    ];
    fuzz(|dice| {
        let text = format!("https://{}", dice.text(&pieces, 8));
        if let Ok(url) = Url::parse(&text)
            && hosts.allows(&url)
        {
            let at = (
                url.host_str().unwrap(),
                url.port_or_known_default().unwrap(),
            );
            let granted = at == ("api.acme.dev", 443)
                || at == ("self.acme.dev", 8443)
                || (at.1 == 443 && at.0.ends_with(".files.acme.dev") && !at.0.starts_with('.'));
            assert!(
                granted && url.scheme() == "https",
                "{text} was allowed: {url}"
            );
            assert!(
                url.username().is_empty() && url.password().is_none(),
                "{text}"
            );
        }
        text
    });
}

#[test]
fn no_secret_comes_through_the_scrubber_wherever_an_answer_is_cut() {
    let pieces = [
        "a", "b", "%", "+", "/", "=", "\"", "\\", "é", "0", "canary", " ",
    ];
    fuzz(|dice| {
        let secret = format!("s3cr3t{}", dice.text(&pieces, 12));
        if secret.len() < keyport_egress::MIN_SCRUBBED {
            return secret;
        }
        let scrubber = Scrubber::new(&[Secret::new(secret.as_str())]);
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let forms = [
            secret.clone(),
            encoded,
            serde_json::Value::from(secret.as_str()).to_string(),
        ];
        let mut text = String::new();
        for _ in 0..dice.below(6) {
            text.push_str(&dice.text(&pieces, 6));
            text.push_str(&forms[dice.below(forms.len())]);
            // A beginning of it, which is none.
            text.push_str(&secret[..6]);
        }
        let whole = scrubber.bytes(text.as_bytes());
        let mut stream = scrubber.stream();
        let (mut out, mut rest) = (Vec::new(), text.as_bytes());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + dice.below(rest.len().min(9)));
            out.extend(stream.push(piece));
            rest = after;
        }
        out.extend(stream.finish());
        assert_eq!(out, whole, "{text:?}");
        let shown = String::from_utf8(out).unwrap().replace(MARK, "\u{0}");
        assert!(!shown.contains(&secret), "{secret:?} is in {shown:?}");
        text
    });
}
