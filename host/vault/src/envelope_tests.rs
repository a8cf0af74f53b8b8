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

/// The words of each line of a file of vectors.
fn vectors(text: &str) -> impl Iterator<Item = Vec<Vec<u8>>> + '_ {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(' ').map(bytes).collect())
}

#[test]
fn line_21_hkdf_gives_what_rfc_5869_says() {
    let text = include_str!("../tests/vectors/rfc5869-sha256.txt");
    for words in vectors(text) {
        let [prk, info, expected] = words.as_slice() else {
            panic!("three words a line");
        };
        let mut okm = vec![0; expected.len()];
        Hkdf::<Sha256>::from_prk(prk)
            .unwrap()
            .expand(info, &mut okm)
            .unwrap();
        assert_eq!(okm, *expected);
    }
    assert_eq!(vectors(text).count(), 3);
}

#[test]
fn line_21_aes_gcm_gives_what_nist_says() {
    let text = include_str!("../tests/vectors/gcmEncryptExtIV256.txt");
    for words in vectors(text) {
        let [key, nonce, plaintext, aad, ciphertext, tag] = words.as_slice() else {
            panic!("six words a line");
        };
        let cipher = Aes256Gcm::new(<&Key<Aes256Gcm>>::try_from(key.as_slice()).unwrap());
        let nonce = <&Nonce<aes_gcm::aead::consts::U12>>::try_from(nonce.as_slice()).unwrap();
        let mut sealed = [ciphertext.as_slice(), tag].concat();
        let encrypted = cipher.encrypt(
            nonce,
            Payload {
                msg: plaintext,
                aad,
            },
        );
        assert_eq!(encrypted.unwrap(), sealed);
        let decrypt = |msg: &[u8]| cipher.decrypt(nonce, Payload { msg, aad });
        assert_eq!(decrypt(&sealed).unwrap(), *plaintext);
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        assert!(decrypt(&sealed).is_err());
    }
    assert!(vectors(text).count() > 90);
}

// The format. These were made by another implementation (Python's hmac and cryptography) and stay here for ever: what was
// sealed by any version of Keyport opens in every later one.

#[test]
fn line_21_golden_envelopes_are_made_and_open() {
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
fn line_17_no_changed_bit_no_cut_and_no_longer_envelope_opens() {
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
fn line_18_a_sealed_value_opens_only_where_it_belongs() {
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
fn line_22_a_wrong_commitment_is_refused_before_anything_is_decrypted() {
    let key = key(1, 0);
    let envelope = seal(&key, HERE, &SecretBytes::new(*b"token")).unwrap();
    for bit in 0..256 {
        let mut changed = envelope.clone();
        changed[HEADER + SALT + bit / 8] ^= 1 << (bit % 8);
        // The commitment is not part of the associated data: only the comparison can notice.
        assert!(opened(&key, HERE, &changed).is_none());
        assert_eq!(
            envelope[HEADER + SALT + 32..],
            changed[HEADER + SALT + 32..]
        );
    }
    // And it comes before the cipher: in the one function that opens, nothing is decrypted above the comparison.
    let source = include_str!("envelope.rs");
    let opening = &source[source.find("fn open(").unwrap()..];
    let (compares, decrypts) = (
        opening.find("ct_eq(").unwrap(),
        opening.find("decrypt_in_place").unwrap(),
    );
    assert!(compares < decrypts);
    assert_eq!(source.matches("decrypt_in_place").count(), 1);
}

#[test]
fn line_23_nothing_but_suite_1_opens_and_no_other_cipher_is_linked_in() {
    let key = key(1, 0);
    let envelope = seal(&key, HERE, &SecretBytes::new(*b"token")).unwrap();
    assert_eq!(envelope[..4], *b"KP\x01\x01");
    for suite in (0..=255).filter(|suite| *suite != SUITE) {
        let mut changed = envelope.clone();
        changed[3] = suite;
        assert!(peek(&changed).is_err());
        assert!(opened(&key, HERE, &changed).is_none());
    }
    let manifest = include_str!("../Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let names: Vec<&str> = dependencies
        .lines()
        .filter_map(|line| line.split(['.', ' ']).next())
        .collect();
    for banned in [
        "md-5",
        "md5",
        "sha1",
        "des",
        "rc4",
        "cbc",
        "ctr",
        "ecb",
        "aes",
        "blowfish",
        "openssl",
        "ring",
        "chacha20",
        "chacha20poly1305",
        "cipher",
    ] {
        assert!(!names.contains(&banned), "{banned}");
    }
    assert!(names.contains(&"aes-gcm") && names.contains(&"hkdf") && names.contains(&"sha2"));
}

#[test]
fn line_24_keys_salts_and_ids_are_drawn_from_the_system_and_are_long_enough() {
    // Two of each: 256 bits, none like the other, and none with a part that stays the same.
    let keys: Vec<Key32> = (0..64).map(|_| Key32::random().unwrap()).collect();
    for at in 0..32 {
        let first = keys[0].expose()[at];
        assert!(
            keys.iter().any(|key| key.expose()[at] != first),
            "byte {at}"
        );
    }
    assert_eq!((SALT, std::mem::size_of_val(keys[0].expose())), (32, 32));
    // There is no other source in this crate, and no UUID that could pass for a secret.
    let manifest = include_str!("../Cargo.toml");
    for other in ["uuid", "fastrand", "oorandom", "\nrand"] {
        assert!(!manifest.contains(other), "{other}");
    }
    assert!(manifest.contains("getrandom.workspace"));
}

#[test]
fn line_25_whatever_is_wrong_the_error_is_one_and_comparisons_take_no_shortcut() {
    let key = key(1, 0);
    let envelope = seal(&key, HERE, &SecretBytes::new(*b"token")).unwrap();
    let mut errors = std::collections::BTreeSet::new();
    let mut told = |place: Place<'_>, envelope: &[u8]| {
        let error = open(&key, place, envelope).err().expect("it does not open");
        errors.insert(format!("{error} {error:?}"));
    };
    for byte in 0..envelope.len() {
        let mut changed = envelope.clone();
        changed[byte] ^= 0x10;
        told(HERE, &changed);
        told(HERE, &envelope[..byte]);
    }
    told(
        Place {
            owner: "u2",
            ..HERE
        },
        &envelope,
    );
    told(
        Place {
            generation: 8,
            ..HERE
        },
        &envelope,
    );
    assert_eq!(errors.len(), 1, "{errors:?}");
    // The commitment, the MACs of rows and the keyring: each is compared by a function that looks at every byte.
    for (source, compared) in [
        (include_str!("envelope.rs"), "ct_eq("),
        (include_str!("row.rs"), "verify_truncated_left("),
        (include_str!("owner_keys.rs"), "verify_truncated_left("),
        (include_str!("keyring/mod.rs"), "verify_truncated_left("),
        (include_str!("keyring/mod.rs"), "ct_eq("),
        (include_str!("backup/read.rs"), "verify_slice("),
    ] {
        assert!(source.contains(compared), "{compared}");
    }
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
fn line_20_no_key_and_nonce_come_twice() {
    let key = key(1, 0);
    let full = std::env::var("KEYPORT_PROOF").is_ok_and(|proof| proof == "full");
    let count = if full { 1_000_000 } else { 5_000 };
    let mut seen = std::collections::HashSet::with_capacity(count);
    for _ in 0..count {
        let envelope = seal(&key, HERE, &SecretBytes::new(*b"")).unwrap();
        let salt: [u8; SALT] = envelope[HEADER..HEADER + SALT].try_into().unwrap();
        let derived = derive(&key, &salt, HERE.owner).unwrap();
        let mut pair = [0; 44];
        pair[..32].copy_from_slice(&derived.key[..]);
        pair[32..].copy_from_slice(&derived.nonce[..]);
        assert!(seen.insert(pair));
    }
    const { assert!(crate::vault::KEY_USES_MAX < 1 << 32) };
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
