//! What a configuration may say, and what is said of one that cannot be used.

use super::*;

fn flags(text: &str) -> Table {
    text.parse().unwrap()
}

const COMPLETE: &str =
    "public_url = 'https://keyport.example'\nlisten = '127.0.0.1:1'\ndata = '/tmp/x'";

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keyport.toml");
    std::fs::write(
        &file,
        format!("{COMPLETE}\n[log]\nlevel = 'file'\nformat = 'json'"),
    )
    .unwrap();
    let environment = vec![
        ("KEYPORT_LOG_LEVEL".to_owned(), "environment".to_owned()),
        ("KEYPORT_DATA".to_owned(), "/environment".to_owned()),
        ("PATH".to_owned(), "/bin".to_owned()),
    ];
    let config = read(Some(&file), environment, flags("data = '/flag'")).unwrap();
    assert_eq!(config.data, PathBuf::from("/flag"));
    assert_eq!(config.log.level.as_deref(), Some("environment"));
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn an_unknown_key_is_an_error_that_names_it() {
    let error = read(
        None,
        vec![],
        flags(&format!("{COMPLETE}\nbehind_proxi = true")),
    )
    .unwrap_err();
    assert!(error.to_string().contains("behind_proxi"), "{error}");
}

#[test]
fn an_unknown_variable_is_an_error_with_a_suggestion() {
    let environment = vec![("KEYPORT_BEHIND_PROXI".to_owned(), "true".to_owned())];
    let error = read(None, environment, flags(COMPLETE)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("did you mean KEYPORT_BEHIND_PROXY?"),
        "{error}"
    );
}

#[test]
fn the_public_url_is_an_origin() {
    for wrong in ["ftp://a", "https://a/path", "https://a/?q", "mailto:a@b"] {
        let text = COMPLETE.replace("https://keyport.example", wrong);
        assert!(read(None, vec![], flags(&text)).is_err(), "{wrong}");
    }
}

#[test]
fn the_stores_address_is_a_key_or_a_table_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keyport.toml");
    let address = "postgres://keyport:topsecret@db.example.com/keyport";
    for written in [
        format!("store = '{address}'"),
        format!("[store]\nurl = '{address}'"),
    ] {
        std::fs::write(&file, format!("{COMPLETE}\n{written}")).unwrap();
        let config = read(Some(&file), vec![], Table::new()).unwrap();
        assert_eq!(config.store.url.as_ref().unwrap().0, address);
        assert!(!format!("{config:?}").contains("topsecret"));
    }
    let environment = vec![("KEYPORT_STORE".to_owned(), "postgres://b/b".to_owned())];
    let config = read(Some(&file), environment, Table::new()).unwrap();
    assert_eq!(config.store.url.unwrap().0, "postgres://b/b");
    std::fs::write(&file, format!("{COMPLETE}\n[store]\nurl = ['{address}']")).unwrap();
    let error = read(Some(&file), vec![], Table::new()).unwrap_err();
    assert!(!error.to_string().contains("topsecret"), "{error}");
}

#[test]
fn a_line_that_is_not_toml_is_named_by_its_place_and_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keyport.toml");
    for (written, place) in [
        (
            "store = \"postgres://keyport:topsecret@db/keyport",
            "line 2",
        ),
        ("store = postgres://keyport:topsecret@db/keyport", "line 2"),
        ("[store]\nurl = 'a' topsecret", "line 3"),
        ("a = 1\na = 'topsecret'", "line 3"),
    ] {
        std::fs::write(&file, format!("data = 'd'\n{written}")).unwrap();
        let error = read(Some(&file), vec![], Table::new()).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains(place) && said.contains("keyport.toml"),
            "{said}"
        );
        assert!(!said.contains("topsecret"), "{said}");
    }
}

#[test]
fn two_sources_of_the_root_key_are_one_too_many() {
    let text = format!("{COMPLETE}\n[root_key]\nfile = 'a'\ncommand = ['b']");
    assert!(
        read(None, vec![], flags(&text))
            .unwrap_err()
            .to_string()
            .contains("keep one")
    );
}
