//! Programs that nobody here wrote: a real OAuth server, vendors' API descriptions behind a mock, a real browser.
//!
//! They are programs under `tests/peers`: most in node, pinned by its lock file and installed by `npm ci`; some in Python,
//! pinned by `requirements.txt` and installed into `.venv` there. A machine
//! without them skips the tests that need one and says so; with `KEYPORT_TEST_NO_SKIP` a skip is a failure.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

use crate::binary::repository;

/// A running peer. It ends when this is dropped.
pub struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    /// What it said about itself when it was ready.
    pub facts: Value,
}

fn folder() -> PathBuf {
    repository().join("tests/peers")
}

/// The interpreter that has what the Python peers need.
fn python() -> PathBuf {
    folder().join(".venv/bin/python")
}

/// Why the peers can't run here, or nothing.
fn missing(script: &str) -> Option<String> {
    if script.ends_with(".py") {
        let there = python().is_file();
        return (!there).then(|| {
            "the python peers are not installed; run `python3 -m venv tests/peers/.venv` and \
             `tests/peers/.venv/bin/pip install -r tests/peers/requirements.txt`"
                .into()
        });
    }
    if Command::new("node")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        return Some("node is not installed; install Node.js 20 or later".into());
    }
    if !folder().join("node_modules").is_dir() {
        return Some("the peers are not installed; run `npm ci --prefix tests/peers`".into());
    }
    if script == "browser.mjs" && chromium().is_none() {
        return Some(
            "no Chromium was found; install it or name it in KEYPORT_TEST_CHROMIUM".into(),
        );
    }
    None
}

/// The browser's executable.
pub fn chromium() -> Option<PathBuf> {
    if let Ok(given) = std::env::var("KEYPORT_TEST_CHROMIUM") {
        return Some(given.into());
    }
    [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ]
    .iter()
    .map(PathBuf::from)
    .find(|path| path.exists())
}

impl Peer {
    /// Starts a script and waits until it prints its facts, a line of JSON. `None` where it can't run: the test
    /// is skipped, which was said.
    pub fn start(script: &str, arguments: &Value) -> Option<Self> {
        if let Some(reason) = missing(script) {
            assert!(
                std::env::var_os("KEYPORT_TEST_NO_SKIP").is_none(),
                "may not be skipped: {reason}"
            );
            eprintln!("SKIPPED: this test needs {script}: {reason}");
            return None;
        }
        let program = if script.ends_with(".py") {
            python()
        } else {
            "node".into()
        };
        let mut child = Command::new(program)
            .arg(folder().join(script))
            .arg(arguments.to_string())
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the peer starts");
        let stdin = child.stdin.take();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let read = stdout.read_line(&mut line).expect("text");
        if read == 0 {
            let mut said = String::new();
            child
                .stderr
                .take()
                .expect("piped")
                .read_to_string(&mut said)
                .expect("text");
            panic!("{script} ended before it was ready:\n{said}");
        }
        // Its further output is read and dropped, so that it never waits for us.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let mut stderr = child.stderr.take().expect("piped");
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::stderr()));
        let facts = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{script} said: {line}"));
        Some(Self {
            child,
            stdin,
            facts,
        })
    }

    /// A text among its facts.
    pub fn fact(&self, name: &str) -> String {
        self.facts[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.facts))
            .to_owned()
    }

    /// Sends it a line.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("open");
        writeln!(stdin, "{line}").expect("the peer reads");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The peers end when their input does; the kill is for those that hang.
        drop(self.stdin.take());
        for _ in 0..100 {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of an npm package among the peers, for tests that read what is in it. `None` where it is not installed: the
/// test is skipped, which was said.
pub fn package(name: &str) -> Option<PathBuf> {
    let at = folder().join("node_modules").join(name);
    if at.is_dir() {
        return Some(at);
    }
    assert!(
        std::env::var_os("KEYPORT_TEST_NO_SKIP").is_none(),
        "may not be skipped: {name} is not installed"
    );
    eprintln!("SKIPPED: this test needs the package {name}: run `npm ci --prefix tests/peers`");
    None
}

/// Runs a scenario in a real browser to its end. `None` where there is none: the test is skipped, which was said.
pub fn run_browser(scenario: &Value) -> Option<Result<(), String>> {
    if let Some(reason) = missing("browser.mjs") {
        assert!(
            std::env::var_os("KEYPORT_TEST_NO_SKIP").is_none(),
            "may not be skipped: {reason}"
        );
        eprintln!("SKIPPED: this test needs a browser: {reason}");
        return None;
    }
    let mut scenario = scenario.clone();
    scenario["chromium"] = chromium()
        .expect("it was just found")
        .display()
        .to_string()
        .into();
    let output = Command::new("node")
        .arg(folder().join("browser.mjs"))
        .arg(scenario.to_string())
        .current_dir(folder())
        .stdin(Stdio::null())
        .output()
        .expect("node starts");
    Some(if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    })
}

/// The environment of Python with this tool in it; `None`, and said, where it is not installed.
pub fn venv(tool: &str) -> Option<PathBuf> {
    let venv = folder().join(".venv");
    if venv.join("bin").join(tool).is_file() {
        return Some(venv);
    }
    let reason = "it is not installed; run `python3 -m venv tests/peers/.venv` and \
                  `tests/peers/.venv/bin/pip install -r providers/templates/python/requirements.txt`";
    assert!(
        std::env::var_os("KEYPORT_TEST_NO_SKIP").is_none(),
        "may not be skipped: {tool}: {reason}"
    );
    eprintln!("SKIPPED: this test needs {tool}: {reason}");
    None
}
