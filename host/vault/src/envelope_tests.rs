use aes_gcm::aead::{Aead, Payload};
use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

fn key(id: u32, first: u8) -> SealKey {
    let bytes: Vec<u8> = (first..first + 32).collect();
    SealKey {
        id,
        key: Key32::from_slice(&bytes).unwrap(),
    }
}

const HERE: Place<'_> = Place {
    owner: "u1",
    store_key: b"r/connection/u1/con_1",
    record_type: "connection",
    generation: 7,
};

fn opened(key: &SealKey, place: Place<'_>, envelope: &[u8]) -> Option<Vec<u8>> {
    Some(open(key, place, envelope).ok()?.expose().to_vec())
}

// The primitives, against their own standards.

#[test]
fn hkdf_gives_what_rfc_5869_says() {
    // Appendix A.1, the expand step.
    let prk = bytes("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    let mut okm = [0; 42];
    Hkdf::<Sha256>::from_prk(&prk)
        .unwrap()
        .expand(&bytes("f0f1f2f3f4f5f6f7f8f9"), &mut okm)
        .unwrap();
    let expected = bytes(
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    );
    assert_eq!(okm.as_slice(), expected);
}

#[test]
fn aes_gcm_gives_what_nist_says() {
    // CAVP, gcmEncryptExtIV256.rsp: key, nonce, plaintext, associated data, ciphertext and tag.
    let vectors = [
        [
            "92e11dcdaa866f5ce790fd24501f92509aacf4cb8b1339d50c9c1240935dd08b",
            "ac93a1a6145299bde902f21a",
            "2d71bcfa914e4ac045b2aa60955fad24",
            "1e0889016f67601c8ebea4943bc23ad6",
            "8995ae2e6df3dbf96fac7b7137bae67feca5aa77d51d4a0a14d9c51e1da474ab",
        ],
        [
            "7da3bccaffb3464178ca7c722379836db50ce0bfb47640b9572163865332e486",
            "c04fd2e701c3dc62b68738b3",
            "fd671cab1ee21f0df6bb610bf94f0e69",
            "fec0311013202e4ffdc4204926ae0ddf",
            "6be61b17b7f7d494a7cdf270562f37ba5e702a38323fe1160b780d17adad3e96",
        ],
    ];
    for [key, nonce, plaintext, aad, ciphertext] in vectors {
        let (key, nonce) = (bytes(key), bytes(nonce));
        let cipher = Aes256Gcm::new(<&Key<Aes256Gcm>>::try_from(key.as_slice()).unwrap());
        let nonce = <&Nonce<aes_gcm::aead::consts::U12>>::try_from(nonce.as_slice()).unwrap();
        let (plaintext, aad) = (bytes(plaintext), bytes(aad));
        let payload = Payload {
            msg: &plaintext,
            aad: &aad,
        };
        assert_eq!(cipher.encrypt(nonce, payload).unwrap(), bytes(ciphertext));
    }
}

// The format. These were made by another implementation (Python's hmac and cryptography) and stay here for ever: what was
// sealed by any version of Keyport opens in every later one.

#[test]
fn golden_envelopes_are_made_and_open() {
    let salt: [u8; 32] = std::array::from_fn(|at| 0x40 + u8::try_from(at).unwrap());
    let mut backwards = salt;
    backwards.reverse();
    type Case<'a> = (u32, Place<'a>, [u8; 32], &'a [u8], &'a str);
    let cases: [Case<'_>; 3] = [
        (
            3,
            HERE,
            salt,
            br#"{"access_token":"canary"}"#,
            "4b5001010000000300000000000000000007404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f\
             bc70adef6ff390e5f9d90197348ca803747338c94185b47e3948dcb240f08068cb513490b4aa57a6394b8ec879721c0ba946\
             ddaae825bb2f52b6609b2ea244753e61e1cccf2c97e49d941c59906700b65d601030c637ead2fccf67341d72b19a3be8dd61\
             df9dd2c5bdb0479245d74fd8",
        ),
        (
            u32::MAX,
            Place {
                owner: "Ünï@x",
                store_key: b"s/keyring",
                record_type: "keyring",
                generation: 1 << 63,
            },
            backwards,
            b"",
            "4b500101ffffffff000080000000000000005f5e5d5c5b5a595857565554535251504f4e4d4c4b4a49484746454443424140\
             bc66d1fda3e3703e759b56e9e94b5cecbc1b6bf321c52f8a1dab1bfc7dfda9595705b4ccff43adf9ecc65d2a2be3ad8da987\
             c9ad28e4cc01ce9eff3e6ca215c3f7bd44f3f0438eb4215dcdc1dfa1674f70b501a926ff58095fdd1d70801bdb718c62b75d\
             4379b23612c71867d1bfeecd",
        ),
        (
            1,
            Place {
                owner: "@keyport",
                store_key: b"k/a",
                record_type: "owner_key",
                generation: 1,
            },
            salt,
            &[0; 60],
            "4b5001010000000100000000000000000001404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f\
             cfe0df454ebccc1eb5e9a22959cda45614222d4c52e793e50089704aae0e902b471d9bdc53c63a57580565d36901ab54404f\
             8da917cd361322a46f912edf0c53d40aea59a3396271607020c274aec940ccdf9179942d12784e73d97bb19eabd04e5ed56c\
             28c6f3ea21db3bb4380fa979",
        ),
    ];
    for (id, place, salt, secret, golden) in cases {
        let key = key(id, 0);
        let golden = bytes(golden);
        let made = seal_with_salt(&key, place, &SecretBytes::new(secret), &salt).unwrap();
        assert_eq!(made, golden);
        assert_eq!(opened(&key, place, &golden).as_deref(), Some(secret));
        assert_eq!(peek(&golden), Ok((id, place.generation)));
    }
}

// The attacks.

#[test]
fn no_changed_bit_no_cut_and_no_longer_envelope_opens() {
    let key = key(1, 0);
    let envelope = seal(&key, HERE, &SecretBytes::new(*b"token")).unwrap();
    assert_eq!(
        opened(&key, HERE, &envelope).as_deref(),
        Some(&b"token"[..])
    );
    for bit in 0..envelope.len() * 8 {
        let mut changed = envelope.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(opened(&key, HERE, &changed).is_none(), "bit {bit}");
        // Not even where the attacker may also choose the key's number and the generation that is expected.
        if let Ok((id, generation)) = peek(&changed) {
            let key = SealKey {
                id,
                key: Key32::from_slice(key.key.expose()).unwrap(),
            };
            let place = Place { generation, ..HERE };
            assert!(opened(&key, place, &changed).is_none(), "bit {bit}");
        }
    }
    for len in 0..envelope.len() {
        assert!(
            opened(&key, HERE, &envelope[..len]).is_none(),
            "cut to {len}"
        );
    }
    let mut longer = envelope;
    longer.extend([0; 64]);
    assert!(opened(&key, HERE, &longer).is_none());
}

#[test]
fn a_sealed_value_opens_only_where_it_belongs() {
    let sealing = key(1, 0);
    let envelope = seal(&sealing, HERE, &SecretBytes::new(*b"token")).unwrap();
    let elsewhere = [
        Place {
            owner: "u2",
            ..HERE
        },
        Place {
            store_key: b"r/connection/u1/con_2",
            ..HERE
        },
        Place {
            record_type: "configuration",
            ..HERE
        },
        Place {
            generation: 6,
            ..HERE
        },
        Place {
            generation: 8,
            ..HERE
        },
        // The same bytes, divided otherwise.
        Place {
            owner: "u1r",
            store_key: b"/connection/u1/con_1",
            ..HERE
        },
    ];
    for place in elsewhere {
        assert!(opened(&sealing, place, &envelope).is_none());
    }
    assert!(opened(&key(1, 1), HERE, &envelope).is_none(), "another key");
    assert!(
        opened(&key(2, 0), HERE, &envelope).is_none(),
        "another version"
    );
}

#[test]
fn a_wrong_commitment_is_refused_even_when_the_rest_is_right() {
    let key = key(1, 0);
    let envelope = seal(&key, HERE, &SecretBytes::new(*b"token")).unwrap();
    let mut changed = envelope.clone();
    changed[HEADER + SALT] ^= 0x80;
    // The commitment is not part of the associated data: only the comparison can notice.
    assert_eq!(
        envelope[HEADER + SALT + 32..],
        changed[HEADER + SALT + 32..]
    );
    assert!(opened(&key, HERE, &changed).is_none());
}

#[test]
fn lengths_show_only_in_steps_of_64() {
    let key = key(1, 0);
    let len = |secret: usize| {
        seal(&key, HERE, &SecretBytes::new(vec![1; secret]))
            .unwrap()
            .len()
    };
    assert_eq!(len(0), 82 + 64 + 16);
    assert_eq!(len(60), len(0));
    assert_eq!(len(61), len(0) + 64);
    assert_eq!(len(61), len(124));
}

#[test]
fn a_secret_may_be_as_long_as_stated_and_no_longer() {
    let key = key(1, 0);
    let most = SecretBytes::new(vec![7; SECRET_MAX]);
    let envelope = seal(&key, HERE, &most).unwrap();
    assert_eq!(
        opened(&key, HERE, &envelope).as_deref(),
        Some(most.expose())
    );
    let over = seal(&key, HERE, &SecretBytes::new(vec![7; SECRET_MAX + 1]));
    assert_eq!(over, Err(SealError::TooLong));
}

#[test]
fn no_salt_comes_twice() {
    let key = key(1, 0);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..2_000 {
        let envelope = seal(&key, HERE, &SecretBytes::new(*b"")).unwrap();
        assert!(seen.insert(envelope[HEADER..HEADER + SALT].to_vec()));
    }
}

#[test]
fn padding_that_is_not_zeros_or_too_long_is_refused() {
    let text = |edit: fn(&mut Vec<u8>)| {
        let (len, padded) = padded(5).unwrap();
        let mut text = Zeroizing::new(len.to_be_bytes().to_vec());
        text.extend_from_slice(b"token");
        text.resize(padded, 0);
        edit(&mut text);
        unpad(text).is_some()
    };
    assert!(text(|_| ()));
    assert!(!text(|text| text[63] = 1));
    assert!(!text(|text| text[3] = 4));
    assert!(!text(|text| text[3] = 61));
    assert!(!text(|text| text[0] = 0xff));
    assert!(!text(|text| text.extend([0; 64])));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sealed_opens_unchanged(secret in proptest::collection::vec(any::<u8>(), 0..300),
        owner in ".{1,40}", generation: u64, id: u32) {
        let place = Place { owner: &owner, generation, ..HERE };
        let key = key(id, 9);
        let envelope = seal(&key, place, &SecretBytes::new(secret.clone())).unwrap();
        prop_assert_eq!(opened(&key, place, &envelope), Some(secret));
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), header: bool) {
        let mut bytes = bytes;
        if header && bytes.len() > 10 {
            bytes[..4].copy_from_slice(b"KP\x01\x01");
            bytes[8..10].fill(0);
        }
        prop_assert!(opened(&key(1, 0), HERE, &bytes).is_none());
    }
}
