//! The authors' commands from outside: what they print and how they end, in every build of the binary.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may be blunt"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run of the binary came to.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn keyport(arguments: &[&str]) -> Ran {
    keyport_with(arguments, "")
}

fn keyport_with(arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyport"))
        .args(arguments)
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests")
}

fn zendesk() -> String {
    std::fs::read_to_string(manifests().join("zendesk/manifest.yaml")).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An app's folder with this manifest, in a new folder.
fn app(manifest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("manifest.yaml"), manifest).unwrap();
    folder
}

#[test]
fn a_folder_of_apps_one_app_and_a_file_are_all_understood() {
    let all = keyport(&["validate", text(&manifests())]);
    assert_eq!(all.code, 0, "{}{}", all.out, all.err);
    let one = keyport(&["validate", text(&manifests().join("zendesk"))]);
    assert_eq!(one.code, 0, "{}", one.out);
    assert!(one.out.contains("1 manifest checked"), "{}", one.out);
    let file = keyport(&["validate", text(&manifests().join("zendesk/manifest.yaml"))]);
    assert_eq!(file.out, one.out);
    let both = keyport(&[
        "validate",
        text(&manifests().join("zendesk")),
        text(&manifests().join("github")),
    ]);
    assert!(both.out.contains("2 manifests checked"), "{}", both.out);
}

#[test]
fn findings_end_with_one_and_a_call_that_cannot_work_with_two() {
    let wrong = zendesk().replace("summary:", "sumary:");
    let ran = keyport_with(&["validate", "-"], &wrong);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("standard input:"), "{}", ran.out);
    assert!(ran.out.contains("summary"), "{}", ran.out);

    let nowhere = keyport(&["validate", "no/such/folder"]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.err.contains("no/such/folder"), "{}", nowhere.err);
    let empty = tempfile::tempdir().unwrap();
    let ran = keyport(&["validate", text(empty.path())]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("holds no app"), "{}", ran.err);
    assert_eq!(keyport(&["validate"]).code, 2);
    assert_eq!(keyport(&["validate", "--format", "poem", "-"]).code, 2);
}

#[test]
fn programs_get_the_same_findings_in_their_own_forms() {
    let wrong = zendesk().replace("summary:", "sumary:");
    let json = keyport_with(&["validate", "--format", "json", "-"], &wrong);
    assert_eq!(json.code, 1);
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let rules: Vec<&str> = document["manifests"][0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["rule"].as_str().unwrap())
        .collect();
    assert!(rules.contains(&"V03"), "{rules:?}");
    let sarif = keyport_with(&["validate", "--format", "sarif", "-"], &wrong);
    let document: serde_json::Value = serde_json::from_str(&sarif.out).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let github = keyport_with(&["validate", "--format", "github", "-"], &wrong);
    assert!(github.out.contains("::error file="), "{}", github.out);
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let wrong = zendesk().replace("summary:", "sumary:");
    let escape = '\u{1b}';
    let plain = keyport_with(&["validate", "-"], &wrong);
    assert!(!plain.out.contains(escape), "this is no terminal");
    let always = keyport_with(&["validate", "--color", "always", "-"], &wrong);
    assert!(always.out.contains(escape));
    let json = keyport_with(
        &["validate", "--color", "always", "--format", "json", "-"],
        &wrong,
    );
    assert!(!json.out.contains(escape), "programs read no colours");
}

#[test]
fn a_rule_explains_itself_with_examples() {
    let ran = keyport(&["validate", "--explain", "v31"]);
    assert_eq!(ran.code, 0);
    for part in ["V31", "Wrong:", "Right:"] {
        assert!(ran.out.contains(part), "{}", ran.out);
    }
    let unknown = keyport(&["validate", "--explain", "V123"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("no rule"), "{}", unknown.err);
}

#[test]
fn two_versions_are_compared_for_those_who_connected_with_the_old_one() {
    let old = app(&zendesk());
    let same = keyport(&["diff", text(old.path()), text(old.path())]);
    assert_eq!(same.code, 0);
    assert!(same.out.contains("mean the same"), "{}", same.out);

    let moved = zendesk().replace("zendesk.com/oauth", "zendesk-login.com/oauth");
    let ran = keyport_with(&["diff", text(old.path()), "-"], &moved);
    assert_eq!(ran.code, 1);
    for part in ["V85", "V10", "zendesk-login.com", "standard input:"] {
        assert!(ran.out.contains(part), "{part} in\n{}", ran.out);
    }
    let json = keyport_with(&["diff", "--format", "json", text(old.path()), "-"], &moved);
    assert_eq!(json.code, 1);
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(document["totals"]["errors"].as_u64().unwrap() >= 2);

    let broken = keyport_with(&["diff", text(old.path()), "-"], "id: [");
    assert_eq!(broken.code, 2);
    assert!(
        broken.err.contains("can't be read as a manifest"),
        "{}",
        broken.err
    );
}

#[test]
fn validate_also_says_what_breaks_when_it_is_given_the_older_version() {
    let old = app(&zendesk());
    let new = zendesk().replace("zendesk.com/oauth", "zendesk-login.com/oauth");
    let alone = keyport_with(&["validate", "--format", "json", "-"], &new);
    assert!(!alone.out.contains("V85"));
    let ran = keyport_with(
        &[
            "validate",
            "--format",
            "json",
            "--against",
            text(old.path()),
            "-",
        ],
        &new,
    );
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("V85"), "{}", ran.out);

    // A folder of old versions: each app is held against its own, and a new app against none.
    let ran = keyport(&[
        "validate",
        "--against",
        text(&manifests()),
        text(&manifests().join("github")),
        text(&manifests().join("zendesk")),
    ]);
    assert_eq!(ran.code, 0, "{}", ran.out);
}

#[test]
fn safe_changes_are_made_to_the_file_and_shown() {
    let wrong = zendesk().replace("summary:", "sumary:");
    let folder = app(&wrong);
    let file = folder.path().join("manifest.yaml");
    let ran = keyport(&["validate", "--fix", text(&file)]);
    assert!(ran.out.contains("- sumary:"), "{}", ran.out);
    assert!(ran.out.contains("+ summary:"), "{}", ran.out);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), zendesk());

    let again = keyport(&["validate", "--fix", text(&file)]);
    assert!(!again.out.contains("+ "), "{}", again.out);
    let nowhere = keyport_with(&["validate", "--fix", "-"], &wrong);
    assert_eq!(nowhere.code, 2);
}

#[test]
fn an_app_may_build_on_one_beside_it_in_a_further_folder_or_in_this_binary() {
    let child = "manifest: 1\nid: desk\nname: Desk\nversion: 1.0.0\nsummary: A desk that is built on another app's sign-in.\nextends: zendesk\n";
    let ran = keyport_with(&["validate", "--format", "json", "-"], child);
    assert!(
        !ran.out.contains("V62"),
        "the binary knows zendesk: {}",
        ran.out
    );
    let stranger = child.replace("extends: zendesk", "extends: harbordesk");
    let ran = keyport_with(&["validate", "--format", "json", "-"], &stranger);
    assert!(ran.out.contains("V62"), "{}", ran.out);

    let apps = tempfile::tempdir().unwrap();
    let put = |name: &str, manifest: &str| {
        std::fs::create_dir(apps.path().join(name)).unwrap();
        std::fs::write(apps.path().join(name).join("manifest.yaml"), manifest).unwrap();
    };
    put(
        "harbordesk",
        &zendesk().replace("id: zendesk", "id: harbordesk"),
    );
    put("desk", &stranger);
    let further = keyport_with(
        &[
            "validate",
            "--format",
            "json",
            "--apps",
            text(apps.path()),
            "-",
        ],
        &stranger,
    );
    assert!(!further.out.contains("V62"), "{}", further.out);
    let beside = keyport(&[
        "validate",
        "--format",
        "json",
        text(&apps.path().join("desk")),
    ]);
    assert!(!beside.out.contains("V62"), "{}", beside.out);
}

#[test]
fn a_manifest_is_shown_as_the_form_and_the_requests_that_it_makes() {
    let ran = keyport(&[
        "render",
        text(&manifests().join("zendesk")),
        "--set",
        "subdomain=northpier",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for part in [
        "Subdomain [subdomain]",
        "https://northpier.zendesk.com/oauth/authorizations/new?",
        "client_id=‹app.client_id›",
        "Authorization: Bearer ‹access_token›",
        "/token:‹token›",
        "GET https://northpier.zendesk.com/api/v2/users/me.json",
        "action create_ticket",
    ] {
        assert!(ran.out.contains(part), "{part} in\n{}", ran.out);
    }
    let one = keyport(&[
        "render",
        text(&manifests().join("zendesk")),
        "--method",
        "api_token",
        "--format",
        "json",
    ]);
    let document: serde_json::Value = serde_json::from_str(&one.out).unwrap();
    let methods = document["methods"].as_array().unwrap();
    assert_eq!(methods.len(), 1);
    assert_eq!(methods[0]["form"][0]["id"], "subdomain");
    let steps: Vec<&str> = methods[0]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert!(steps.contains(&"test"), "{steps:?}");
}

#[test]
fn what_cannot_be_shown_is_said_in_a_sentence() {
    let app = manifests().join("zendesk");
    for (arguments, said) in [
        (&["--method", "oath"][..], "api_token"),
        (&["--set", "subdomain=a.b/c"], "Subdomain must be"),
        (&["--set", "domain=acme"], "subdomain"),
        (&["--set", "subdomain"], "--set field=value"),
    ] {
        let ran = keyport(&[&["render", text(&app)], arguments].concat());
        assert_eq!(ran.code, 2, "{arguments:?}");
        assert!(ran.err.contains(said), "{}", ran.err);
    }
}

#[test]
fn every_app_of_the_repository_can_be_shown_without_a_gap() {
    let mut gaps = Vec::new();
    for app in std::fs::read_dir(manifests()).unwrap() {
        let folder = app.unwrap().path();
        if !folder.join("manifest.yaml").is_file() {
            continue;
        }
        let ran = keyport(&["render", "--format", "json", text(&folder)]);
        assert_eq!(ran.code, 0, "{}: {}", folder.display(), ran.err);
        assert!(!ran.out.contains("kpplaceholder"), "{}", folder.display());
        let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        for method in document["methods"].as_array().unwrap() {
            for step in method["steps"].as_array().unwrap() {
                let note = step["note"].as_str().unwrap_or_default();
                let gap = note.contains("has no value")
                    || note.contains("could not be computed")
                    || note.contains("does not make");
                if gap {
                    gaps.push(format!(
                        "{} {} {}: {note}",
                        folder.display(),
                        method["id"],
                        step["step"]
                    ));
                }
            }
        }
    }
    assert!(gaps.is_empty(), "{gaps:#?}");
}

#[test]
fn what_apps_use_is_summed_up_for_who_reviews_them() {
    let (zendesk, github) = (manifests().join("zendesk"), manifests().join("github"));
    let ran = keyport(&["validate", "--summary", text(&zendesk), text(&github)]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    for part in [
        "\nzendesk 1.",
        "\ngithub 1.",
        "  signs in by   oauth2",
        "addresses built from fields",
        "  by component  nothing",
        "2 manifests use",
    ] {
        assert!(ran.out.contains(part), "{part:?} in\n{}", ran.out);
    }
    let longest = ran.out.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(100), "{longest:?}");
    let without = keyport(&["validate", text(&zendesk)]);
    assert!(!without.out.contains("signs in by"), "{}", without.out);
    let sarif = keyport(&["validate", "--summary", "--format", "sarif", text(&zendesk)]);
    assert_eq!(sarif.code, 2);
    assert!(sarif.err.contains("--format json"), "{}", sarif.err);
}

#[test]
fn of_two_apps_with_one_id_or_one_name_the_second_is_told() {
    let apps = tempfile::tempdir().unwrap();
    for (folder, id) in [("a", "zendesk"), ("b", "zendesk"), ("c", "otherdesk")] {
        let folder = apps.path().join(folder);
        std::fs::create_dir(&folder).unwrap();
        let manifest = zendesk().replace("id: zendesk\n", &format!("id: {id}\n"));
        std::fs::write(folder.join("manifest.yaml"), manifest).unwrap();
    }
    let ran = keyport(&["validate", "--format", "json", text(apps.path())]);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let said = |app: usize, words: &str| {
        document["manifests"][app]["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|f| f["message"].as_str().unwrap().contains(words))
            .map(|f| f["rule"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (same_id, same_name) = ("another of these manifests", "is called `Zendesk` too");
    assert_eq!(said(0, same_id), Vec::<String>::new());
    assert_eq!(said(1, same_id), ["V09"]);
    assert_eq!(said(2, same_id), Vec::<String>::new());
    assert_eq!(said(2, same_name), ["V73"]);
}

/// The folder's own tool, which is the folder's author's, keeps what it was told.
#[cfg(unix)]
#[test]
fn what_a_folders_build_runs_is_told_nothing_of_this_programs_environment() {
    let python = "#!/bin/sh\n\
        env >> \"$SEEN\"\n\
        case \"$1\" in\n\
        --version) echo \"componentize-py 9.9.9\" ;;\n\
        *) mkdir -p target; printf x > target/component.wasm; echo built >> \"$SEEN\" ;;\n\
        esac\n";
    let manifest = std::fs::read_to_string(manifests().join("../providers/todoist/manifest.yaml"));
    let app = app(&manifest.unwrap());
    let component = app.path().join("component");
    let tool = component.join(".venv/bin/componentize-py");
    std::fs::create_dir_all(tool.parent().unwrap()).unwrap();
    std::fs::write(component.join("app.py"), "").unwrap();
    std::fs::write(
        component.join("requirements.txt"),
        "componentize-py==9.9.9\n",
    )
    .unwrap();
    // By another process: a file that this one has open for writing could not be run yet.
    let written = Command::new("sh")
        .args([
            "-c",
            "printf %s \"$1\" > \"$2\" && chmod +x \"$2\"",
            "sh",
            python,
        ])
        .arg(&tool)
        .status();
    assert!(written.unwrap().success());
    let seen = app.path().join("seen");
    let output = Command::new(env!("CARGO_BIN_EXE_keyport"))
        .args(["build", text(app.path())])
        .env("SEEN", &seen)
        .env("KEYPORT_ROOT_KEY", "of-the-environment-0123")
        .env("KEYPORT_NET_TODOIST_TOKEN", "of-the-environment-4567")
        .env_remove("VIRTUAL_ENV")
        .output()
        .unwrap();
    let seen = std::fs::read_to_string(&seen).unwrap_or_else(|_| panic!("{output:?}"));
    assert!(
        seen.contains("PATH=") && seen.ends_with("built\n"),
        "{seen}"
    );
    assert!(
        !seen.contains("KEYPORT_") && !seen.contains("of-the-environment"),
        "{seen}"
    );
}

#[cfg(not(feature = "net"))]
#[test]
fn a_build_without_a_way_out_says_where_there_is_one() {
    let ran = keyport(&["validate", "--net", text(&manifests().join("zendesk"))]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--features net"), "{}", ran.err);
}
