use super::*;

fn text(key: &RootKey) -> String {
    base64::engine::general_purpose::STANDARD.encode(key.0.expose())
}

fn refused(result: Result<RootKey, RootKeyError>) -> String {
    result.err().expect("it was accepted").to_string()
}

#[test]
fn a_key_survives_its_file_and_the_file_is_its_users_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    let key = RootKey::generate().unwrap();
    key.write_new_file(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(text(&RootKey::from_file(&path).unwrap()), text(&key));
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    let first = RootKey::generate().unwrap();
    first.write_new_file(&path).unwrap();
    let error = RootKey::generate().unwrap().write_new_file(&path);
    assert!(error.unwrap_err().to_string().contains("never overwritten"));
    assert_eq!(text(&RootKey::from_file(&path).unwrap()), text(&first));
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_touch_is_refused_with_the_command_that_mends_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    RootKey::generate().unwrap().write_new_file(&path).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o601, 0o666] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let said = refused(RootKey::from_file(&path));
        let fix = format!("chmod 600 {}", path.display());
        assert!(said.contains(&fix), "{said}");
    }
}

#[test]
fn missing_files_and_folders_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refused(RootKey::from_file(folder.path())).contains("not a regular file"));
    assert!(refused(RootKey::from_file(folder.path().join("x"))).contains("cannot be read"));
}

#[test]
fn text_is_read_in_every_usual_spelling_and_nothing_else() {
    let key = RootKey::generate().unwrap();
    let standard = text(&key);
    let url = standard.replace('+', "-").replace('/', "_");
    for good in [
        standard.clone(),
        format!("  {standard}\n"),
        standard.trim_end_matches('=').to_owned(),
        url.clone(),
        url.trim_end_matches('=').to_owned(),
    ] {
        assert_eq!(text(&RootKey::from_base64(&good).unwrap()), standard);
    }
    let zeros = base64::engine::general_purpose::STANDARD.encode([0; 32]);
    let short = base64::engine::general_purpose::STANDARD.encode([7; 31]);
    let long = base64::engine::general_purpose::STANDARD.encode([7; 33]);
    for bad in ["", "hunter2", &zeros, &short, &long, &standard.repeat(40)] {
        let said = refused(RootKey::from_base64(bad));
        assert!(said.contains("32 random bytes"), "{said}");
        assert!(
            bad.is_empty() || !said.contains(bad),
            "the input is shown: {said}"
        );
    }
}

#[test]
fn a_command_gives_the_key_and_its_failures_are_told() {
    let key = RootKey::generate().unwrap();
    let got = RootKey::from_command(&["printf", "%s\n", &text(&key)]).unwrap();
    assert_eq!(text(&got), text(&key));
    assert!(refused(RootKey::from_command(&["false"])).contains("failed"));
    assert!(refused(RootKey::from_command(&["true"])).contains("32 random bytes"));
    assert!(refused(RootKey::from_command(&["/nonexistent/tool"])).contains("cannot be started"));
    assert!(refused(RootKey::from_command::<&str>(&[])).contains("empty"));
}

#[test]
fn the_key_for_compiled_code_follows_from_the_root_key_and_is_none_of_the_vaults() {
    let (key, other) = (RootKey::generate().unwrap(), RootKey::generate().unwrap());
    let again = RootKey::from_base64(&key.encoded()).unwrap();
    let code = key.code_key().unwrap();
    assert_eq!(code, again.code_key().unwrap());
    assert_ne!(code, other.code_key().unwrap());
    assert_ne!(&*code, key.for_tests());
    assert_ne!(&*code, key.sealing_key().unwrap().expose());
}
