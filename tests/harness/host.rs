//! A running host: `keyport serve` with a configuration of its own, or `keyport dev`. Stopped when dropped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::binary;
use crate::http::Client;
use crate::platform::Platform;

/// How long a host may take to start: it compiles the components of all apps the first time.
const START: Duration = Duration::from_secs(180);

/// What a host is started with.
#[derive(Default, Clone)]
pub struct Setup {
    /// Origin overrides.
    pub origins: BTreeMap<String, String>,
    /// Folders of further apps.
    pub apps: Vec<PathBuf>,
    /// Further lines of the configuration file.
    pub more: String,
    /// The data folder, where several hosts share one: their store is elsewhere, what they compile is the same.
    pub data: Option<PathBuf>,
    /// The root key's file, where several hosts share one.
    pub root_key: Option<PathBuf>,
    /// Variables of its environment. Those of this process that are Keyport's are taken out.
    pub env: Vec<(String, String)>,
    /// How much it logs; `debug` where nothing is said.
    pub log_level: Option<String>,
}

/// A running `keyport serve`.
pub struct Host {
    folder: Arc<tempfile::TempDir>,
    setup: Setup,
    port: u16,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Host {
    /// Starts a host on an empty folder and a free loopback port, with debug logs.
    pub fn start(setup: Setup) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        if setup.root_key.is_none() {
            make_root_key(&folder.path().join("root.key"));
        }
        Self::start_in(folder, setup, free_port())
    }

    fn start_in(folder: Arc<tempfile::TempDir>, setup: Setup, port: u16) -> Self {
        let file = folder.path().join("keyport.toml");
        std::fs::write(&file, configuration(folder.path(), &setup, port))
            .expect("the folder is ours");
        let mut child = binary::command(&["serve", "--config", &file.display().to_string()])
            .envs(setup.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("keyport starts");
        let log = collect(child.stderr.take().expect("piped"));
        let mut host = Self {
            folder,
            setup,
            port,
            child,
            log,
        };
        host.wait_until_ready();
        host
    }

    fn wait_until_ready(&mut self) {
        let url = format!("{}/readyz", self.url());
        let end = Instant::now() + START;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("keyport serve ended with {status}:\n{}", self.log());
            }
            if Client::new()
                .try_send("GET", &url, &[], None)
                .is_ok_and(|answer| answer.status == 200)
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("keyport serve did not become ready:\n{}", self.log());
    }

    /// Its public URL.
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Its folder: store, root key, configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its configuration file.
    pub fn file(&self) -> String {
        let file = self.folder.path().join("keyport.toml");
        file.display().to_string()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("the reader does not panic").clone()
    }

    /// A platform's backend with a key of all scopes. The store lets one process in, so the host pauses for it.
    pub fn platform(&mut self) -> Platform {
        self.stop();
        let key = self.make_key("manage,connect,actions,proxy,read-credentials");
        self.start_again();
        Platform::new(self.url(), key)
    }

    /// Makes a platform key while the host is stopped.
    pub fn make_key(&self, scopes: &str) -> String {
        let file = self.file();
        let made = binary::run(&[
            "key", "create", "test", "--scope", scopes, "--config", &file,
        ]);
        assert!(made.status.success(), "{}", binary::said(&made));
        String::from_utf8(made.stdout)
            .expect("text")
            .trim()
            .to_owned()
    }

    /// Ends it as an operator would, and waits for it.
    pub fn stop(&mut self) {
        signal(&self.child, "TERM");
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if self.child.try_wait().expect("a child").is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("keyport serve did not stop within 30 s:\n{}", self.log());
    }

    /// Ends it at once, as a power button or the kernel would.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }

    /// The same while others look at it; [`Host::kill`] then waits for its end.
    pub fn kill_now(&self) {
        signal(&self.child, "KILL");
    }

    /// Stops it where it stands, as a machine that hangs would.
    pub fn pause(&self) {
        signal(&self.child, "STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        signal(&self.child, "CONT");
    }

    /// Further lines of the configuration file, from the next start on.
    pub fn configure(&mut self, more: &str) {
        more.clone_into(&mut self.setup.more);
    }

    /// Variables of its environment, from the next start on.
    pub fn set_env(&mut self, env: &[(&str, &str)]) {
        self.setup.env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
    }

    /// Starts it again on the same folder and port.
    pub fn start_again(&mut self) {
        let again = Self::start_in(Arc::clone(&self.folder), self.setup.clone(), self.port);
        let before = self.log();
        *self = again;
        self.log
            .lock()
            .expect("the reader does not panic")
            .insert_str(0, &before);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(folder: &Path, setup: &Setup, port: u16) -> String {
    let mut text = format!(
        "public_url = \"http://localhost:{port}\"\nlisten = \"127.0.0.1:{port}\"\ndata = {:?}\napps = {:?}\n{}\n\
         [root_key]\nfile = {:?}\n[log]\nlevel = {:?}\n[origins]\n",
        setup.data.clone().unwrap_or_else(|| folder.join("data")),
        setup.apps,
        setup.more,
        setup
            .root_key
            .clone()
            .unwrap_or_else(|| folder.join("root.key")),
        setup.log_level.as_deref().unwrap_or("debug"),
    );
    for (from, to) in &setup.origins {
        writeln!(text, "{from:?} = {to:?}").expect("a string");
    }
    text
}

/// Makes a file with a new root key.
pub fn make_root_key(file: &Path) {
    let made = binary::run(&["key", "root", &file.display().to_string()]);
    assert!(made.status.success(), "{}", binary::said(&made));
}

/// A running `keyport dev`.
pub struct Dev {
    child: Child,
    /// The printed link.
    pub link: String,
    /// Keyport's origin.
    pub keyport: String,
    /// The pretend vendor's origin.
    pub vendor: String,
    folder: Arc<tempfile::TempDir>,
    log: Arc<Mutex<String>>,
}

impl Dev {
    /// Starts it on free ports and reads what it prints.
    pub fn start(more: &[&str]) -> Self {
        Self::start_binary(&binary::path(), more)
    }

    /// The same with another build of the binary.
    pub fn start_binary(binary: &Path, more: &[&str]) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let data = folder.path().join("data").display().to_string();
        let mut arguments = vec![
            "dev",
            "--port",
            "0",
            "--platform-port",
            "0",
            "--vendor-port",
            "0",
            "--data",
            &data,
            "--vendor-control",
        ];
        arguments.extend(more);
        let mut child = binary::command_of(binary, &arguments)
            .env("KEYPORT_LOG_LEVEL", "debug")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("keyport starts");
        let log = collect(child.stderr.take().expect("piped"));
        let mut printed = String::new();
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            let line = line.expect("text");
            let end = line.starts_with("Stop with");
            printed.push_str(&line);
            printed.push('\n');
            if end {
                break;
            }
        }
        let word = |start: &str| {
            let found = printed
                .split_whitespace()
                .find(|word| word.starts_with(start));
            found
                .unwrap_or_else(|| {
                    panic!(
                        "no {start} in:\n{printed}\n{}",
                        log.lock().expect("no panic")
                    )
                })
                .to_owned()
        };
        let after = |label: &str| {
            let line = printed
                .lines()
                .find(|line| line.trim().starts_with(label))
                .expect("it names its servers");
            line.split_whitespace()
                .find(|word| word.starts_with("http"))
                .expect("an address")
                .to_owned()
        };
        let dev = Self {
            link: word("http://127.0.0.1"),
            keyport: after("Keyport  "),
            vendor: after("pretend vendor"),
            child,
            folder,
            log,
        };
        let end = Instant::now() + START;
        while Instant::now() < end {
            let url = format!("{}/readyz", dev.keyport);
            if Client::new()
                .try_send("GET", &url, &[], None)
                .is_ok_and(|answer| answer.status == 200)
            {
                return dev;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("keyport dev did not become ready:\n{}", dev.log());
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("the reader does not panic").clone()
    }

    /// Its data folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Asks it to stop, as ctrl-c does; true if it ended well within 30 s.
    pub fn stop(&mut self) -> bool {
        signal(&self.child, "INT");
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback port that nobody listens on, for somebody who is told it and takes it a little later.
///
/// It is below those that systems give to connections and to listeners that ask for any (32768 and up), so none of these gets it
/// meanwhile; no two of a process get the same, and each process begins elsewhere.
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    (0..COUNT)
        .map(|_| {
            std::process::id()
                .wrapping_mul(401)
                .wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed))
        })
        .filter_map(|number| u16::try_from(FIRST + number % COUNT).ok())
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .expect("a free port")
}

fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(sent.expect("kill(1) is there").success());
}

fn collect(from: impl std::io::Read + Send + 'static) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut log = into.lock().expect("only we write");
            log.push_str(&line);
            log.push('\n');
        }
    });
    log
}
