//! The RFCs' own examples, each algorithm there and back, and the ways in which tokens are forged.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyport_manifest::{Jwt, JwtAlg, KeyFormat, Scope};
use serde_json::{Map, Value, json};

use super::key::SigningKey;
use super::mint::sign;
use super::*;

/// A private key in PEM, for tests of whoever signs.
pub(crate) fn pem(alg: JwtAlg) -> String {
    let der = match alg {
        JwtAlg::Es256 => ec(&lc::ECDSA_P256_SHA256_FIXED_SIGNING),
        JwtAlg::Es384 => ec(&lc::ECDSA_P384_SHA384_FIXED_SIGNING),
        JwtAlg::Es512 => ec(&lc::ECDSA_P521_SHA512_FIXED_SIGNING),
        JwtAlg::EdDsa => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            der.as_ref().to_vec()
        }
        _ => {
            let der: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048)
                .unwrap()
                .as_der()
                .unwrap();
            der.as_ref().to_vec()
        }
    };
    block("PRIVATE KEY", &der)
}

fn ec(algorithm: &'static lc::EcdsaSigningAlgorithm) -> Vec<u8> {
    EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())
        .unwrap()
        .as_ref()
        .to_vec()
}

fn block(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// The public part of a private key, in PEM.
pub(crate) fn public_pem(key: &SigningKey) -> String {
    block("PUBLIC KEY", &key.public_der().unwrap())
}

fn set(jwk: Value) -> KeySet {
    KeySet::parse(&serde_json::to_vec(&json!({ "keys": [jwk] })).unwrap()).unwrap()
}

const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn the_examples_of_rfc_7515_hold() {
    // A.1: HS256 over exactly these bytes.
    let key = SigningKey::parse(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        KeyFormat::Base64,
        JwtAlg::Hs256,
    )
    .unwrap();
    let signed = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}");
    assert_eq!(
        URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).unwrap()),
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    // A.3: ES256.
    let keys = set(json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }));
    let token = format!(
        "eyJhbGciOiJFUzI1NiJ9.{JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    assert_eq!(keys.verify(&token, ASYMMETRIC).unwrap()["iss"], "joe");
    assert_eq!(
        keys.verify(&token, &[JwtAlg::Rs256]),
        Err(VerifyError::Algorithm)
    );
}

#[test]
fn each_algorithm_signs_what_its_public_key_verifies() {
    let rsa = pem(JwtAlg::Rs256);
    let claims = Map::from_iter([("sub".to_owned(), json!("ada"))]);
    for alg in ASYMMETRIC {
        let text = match alg {
            JwtAlg::Es256 | JwtAlg::Es384 | JwtAlg::Es512 | JwtAlg::EdDsa => pem(*alg),
            _ => rsa.clone(),
        };
        let key = SigningKey::parse(&text, KeyFormat::Pem, *alg).unwrap();
        let token = sign(&key, Map::new(), &claims).unwrap();
        let public = public_pem(&key);
        let read = verify_with_text(token.expose(), *alg, &public).unwrap();
        assert_eq!(read["sub"], "ada", "{}", name(*alg));
        let (head, _) = token.expose().rsplit_once('.').unwrap();
        let other = format!("{head}.{}", URL_SAFE_NO_PAD.encode([7; 64]));
        assert_eq!(
            verify_with_text(&other, *alg, &public),
            Err(VerifyError::Signature)
        );
    }
    for alg in [JwtAlg::Hs256, JwtAlg::Hs384, JwtAlg::Hs512] {
        let key = SigningKey::parse("0123456789abcdef", KeyFormat::Hex, alg).unwrap();
        let token = sign(&key, Map::new(), &claims).unwrap();
        assert_eq!(
            verify_with_text(token.expose(), alg, "another"),
            Err(VerifyError::Signature)
        );
        assert!(token.expose().len() > 60);
    }
}

/// R44: the key is held against the algorithm before anything is signed.
#[test]
fn r44_a_key_of_another_kind_signs_nothing() {
    let rsa = pem(JwtAlg::Rs256);
    let p256 = pem(JwtAlg::Es256);
    let ed = pem(JwtAlg::EdDsa);
    for (text, alg, wanted) in [
        (&p256, JwtAlg::Rs256, "key_of_another_kind"),
        (&p256, JwtAlg::Ps256, "key_of_another_kind"),
        (&p256, JwtAlg::Es384, "key_of_another_kind"),
        (&rsa, JwtAlg::Es256, "key_of_another_kind"),
        (&rsa, JwtAlg::EdDsa, "key_of_another_kind"),
        (&ed, JwtAlg::Rs256, "key_of_another_kind"),
        (&"hello".to_owned(), JwtAlg::Rs256, "key_unreadable"),
        (&String::new(), JwtAlg::Es256, "key_unreadable"),
        (
            &"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----".to_owned(),
            JwtAlg::Rs256,
            "key_encrypted",
        ),
        (
            &"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----".to_owned(),
            JwtAlg::Rs256,
            "key_encrypted",
        ),
    ] {
        let error = SigningKey::parse(text, KeyFormat::Pem, alg).err().unwrap();
        assert_eq!(error.code(), wanted, "{}", name(alg));
        assert!(!error.to_string().contains("BEGIN"));
    }
    assert!(SigningKey::parse("", KeyFormat::Text, JwtAlg::Hs256).is_err());
    assert!(SigningKey::parse("xyz", KeyFormat::Hex, JwtAlg::Hs256).is_err());
}

#[test]
fn a_key_is_read_however_a_form_has_mangled_it() {
    let text = pem(JwtAlg::Es256);
    let whole = SigningKey::parse(&text, KeyFormat::Pem, JwtAlg::Es256).unwrap();
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for mangled in [
        text.replace('\n', " "),
        text.replace('\n', "\\n"),
        text.replace('\n', "\r\n"),
        format!("  {text}\n\n"),
        format!("{certificate}{text}"),
    ] {
        let key = SigningKey::parse(&mangled, KeyFormat::Pem, JwtAlg::Es256).unwrap();
        assert_eq!(key.fingerprint(), whole.fingerprint());
    }
}

#[test]
fn a_forged_token_is_none() {
    let key = SigningKey::parse(&pem(JwtAlg::Rs256), KeyFormat::Pem, JwtAlg::Rs256).unwrap();
    let public = public_pem(&key);
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!(
        "{}.{}.",
        part(json!({"alg": "none"})),
        part(json!({"sub": "eve"}))
    );
    assert_eq!(
        verify_with_text(&unsigned, JwtAlg::Rs256, &public),
        Err(VerifyError::Algorithm)
    );
    // The public key taken for a shared secret.
    let confused = SigningKey::parse(&public, KeyFormat::Text, JwtAlg::Hs256).unwrap();
    let token = sign(
        &confused,
        Map::new(),
        &Map::from_iter([("sub".to_owned(), json!("eve"))]),
    )
    .unwrap();
    assert_eq!(
        verify_with_text(token.expose(), JwtAlg::Rs256, &public),
        Err(VerifyError::Algorithm)
    );
    let keys = set(json!({"kty": "oct", "k": "AAAA"}));
    assert_eq!(
        keys.verify(token.expose(), &[JwtAlg::Hs256]),
        Err(VerifyError::Algorithm)
    );
    let critical = sign(
        &key,
        Map::from_iter([("crit".to_owned(), json!(["b64"]))]),
        &Map::new(),
    )
    .unwrap();
    assert_eq!(
        verify_with_text(critical.expose(), JwtAlg::Rs256, &public),
        Err(VerifyError::Algorithm)
    );
    for junk in ["", "a.b", "a.b.c", "....", &"a".repeat(70_000)] {
        assert!(verify_with_text(junk, JwtAlg::Rs256, &public).is_err());
    }
}

fn declared(value: Value) -> Jwt {
    serde_json::from_value(value).unwrap()
}

fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn a_declared_jwt_has_its_claims_and_never_lives_longer_than_it_says() {
    let scope = Scope::new().with(
        "credentials",
        json!({"key": "736563726574", "id": "acme", "kid": "k1"}),
    );
    let jwt = declared(json!({
        "alg": "HS256", "key": "{{ credentials.key }}", "key_format": "hex", "lifetime": 180,
        "header": {"kid": "{{ credentials.kid }}", "alg": "none"},
        "claims": {"aud": "/admin/", "iss": "{{ credentials.id }}", "exp": 99, "sub": "{{ credentials.nobody }}"},
    }));
    let minted = mint(
        &jwt,
        &scope,
        &[("iss", json!("mine")), ("jti", json!("j"))],
        1000,
    )
    .unwrap();
    let claims = payload(minted.expose());
    assert_eq!(
        claims,
        json!({"aud": "/admin/", "iss": "acme", "exp": 1144, "jti": "j", "iat": 964})
    );
    let header = minted.expose().split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!(header, json!({"kid": "k1", "alg": "HS256", "typ": "JWT"}));
    assert!(verify_with_text(minted.expose(), JwtAlg::Hs256, "secret").is_ok());
}

#[test]
fn a_fingerprint_names_the_public_key() {
    let text = pem(JwtAlg::Rs256);
    let key = SigningKey::parse(&text, KeyFormat::Pem, JwtAlg::Rs256).unwrap();
    let scope = Scope::new().with("credentials", json!({ "key": text }));
    let jwt = declared(json!({
        "alg": "RS256", "key": "{{ credentials.key }}", "fingerprint": "sha256",
        "claims": {"iss": "ACME.ADA.SHA256:{{ key.fingerprint }}"}, "without": ["exp"],
    }));
    let minted = mint(&jwt, &scope, &[], 1000).unwrap();
    let claims = payload(minted.expose());
    assert_eq!(
        claims["iss"],
        format!("ACME.ADA.SHA256:{}", key.fingerprint().unwrap())
    );
    assert!(claims.get("exp").is_none());
}
