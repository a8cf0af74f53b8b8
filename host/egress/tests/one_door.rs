//! There is one door: the places where something leaves the process can be counted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may be blunt")]

use std::path::Path;

fn count(folder: &Path, needle: &str) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| match path.extension() {
            _ if path.is_dir() => count(&path, needle),
            Some(kind) if kind == "rs" => std::fs::read_to_string(&path)
                .unwrap()
                .matches(needle)
                .count(),
            _ => 0,
        })
        .sum()
}

#[test]
fn connections_are_opened_and_requests_are_sent_in_one_place_each() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for once in [
        "TcpStream::connect(",
        ".request(request)",
        "TlsConnector::from(",
        ".resolver.resolve(",
        "attach::credentials(",
        "target::check_url(",
    ] {
        assert_eq!(count(&sources, once), 1, "{once}");
    }
    for never in ["dangerous()", "TcpSocket", "HttpConnector", "danger_accept"] {
        assert_eq!(count(&sources, never), 0, "{never}");
    }
}
