//! A PostgreSQL server of the test's own: Debian's package, a cluster in a temporary folder, a free loopback port.
//!
//! Whatever happens to the test (a panic, a kill), the cluster ends and its folder goes: a small shell waits for the end
//! of a pipe that only this process holds. As root the server runs as the user `postgres`; it refuses to be root.
//! `KEYPORT_TEST_POSTGRES` names a server to use instead, as an address of a user who may make databases; tests that kill the
//! server are then skipped.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::host::free_port;

/// How long a server may take to start or stop.
const START: Duration = Duration::from_secs(60);

/// A running server.
pub struct Cluster {
    bin: PathBuf,
    folder: PathBuf,
    /// Runs the server's programs as a user that is not root.
    user: Vec<String>,
    port: u16,
    /// Ends the server when its standard input ends.
    keeper: Option<Child>,
    /// The address of a server that is not ours.
    given: Option<String>,
}

/// An empty database.
pub struct Database {
    /// Its address, for `--store` and the like.
    pub url: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Cluster {
    /// The one that all tests of a binary share. `None`: there is none to be had, which was said.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        SHARED
            .get_or_init(|| match std::env::var("KEYPORT_TEST_POSTGRES") {
                Ok(given) => Some(Self::given(given)),
                Err(_) => Self::start(&[]),
            })
            .as_ref()
    }

    /// One for this test alone, which may kill it. `settings` go into its configuration.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let (bin, user) = match find() {
            Ok(found) => found,
            Err(reason) => {
                skipped(&reason);
                return None;
            }
        };
        let cluster = Self::prepare(bin, user);
        let made = cluster.program(
            "initdb",
            &[
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--pgdata",
                &cluster.data(),
            ],
        );
        assert!(made.status.success(), "initdb: {}", said(&made));
        cluster.configure(settings);
        cluster.start_server();
        Some(cluster)
    }

    /// A second server that follows this one, and without which this one acknowledges nothing from now on.
    pub fn standby(&self) -> Self {
        let standby = Self::prepare(self.bin.clone(), self.user.clone());
        let copied = self.program(
            "pg_basebackup",
            &[
                "--pgdata",
                &standby.data(),
                "--write-recovery-conf",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
                "--dbname",
                &format!(
                    "host={} port={} user=postgres application_name=follower",
                    self.folder.display(),
                    self.port
                ),
            ],
        );
        assert!(copied.status.success(), "pg_basebackup: {}", said(&copied));
        standby.configure(&[]);
        standby.start_server();
        self.sql(
            "postgres",
            "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (follower)'",
        );
        self.sql("postgres", "SELECT pg_reload_conf()");
        let end = Instant::now() + START;
        while self.sql(
            "postgres",
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'",
        ) != "1"
        {
            assert!(Instant::now() < end, "the standby does not follow");
            std::thread::sleep(Duration::from_millis(20));
        }
        standby
    }

    /// A standby takes over.
    pub fn promote(&self) {
        let done = self.program("pg_ctl", &["promote", "--wait", "--pgdata", &self.data()]);
        assert!(done.status.success(), "pg_ctl promote: {}", said(&done));
    }

    fn prepare(bin: PathBuf, user: Vec<String>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("keyport-postgres-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        if !user.is_empty() {
            let done = Command::new("chown").arg("postgres").arg(&folder).status();
            assert!(done.expect("chown(1) is there").success());
        }
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))
            .expect("it is ours");
        let mut cluster = Self {
            bin,
            folder,
            user,
            port: free_port(),
            keeper: None,
            given: None,
        };
        cluster.keeper = Some(cluster.keep());
        cluster
    }

    fn given(url: String) -> Self {
        Self {
            bin: PathBuf::new(),
            folder: PathBuf::new(),
            user: Vec::new(),
            port: 0,
            keeper: None,
            given: Some(url),
        }
    }

    /// Whether this server is ours to kill; says SKIPPED when it is not.
    pub fn is_ours(&self) -> bool {
        if self.given.is_some() {
            skipped(
                "this test kills the server, and KEYPORT_TEST_POSTGRES names one that is not ours",
            );
        }
        self.given.is_none()
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    fn configure(&self, settings: &[&str]) {
        let file = self.folder.join("data/postgresql.conf");
        let mut text = std::fs::read_to_string(&file).expect("initdb made it");
        text.push_str(&format!(
            "\nlisten_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nmax_connections = 200\n\
             shared_buffers = 32MB\nrestart_after_crash = on\n",
            self.port,
            self.folder.display()
        ));
        for setting in settings {
            text.push_str(setting);
            text.push('\n');
        }
        std::fs::write(&file, text).expect("it is ours");
    }

    fn keep(&self) -> Child {
        let stop = [
            self.user.join(" "),
            format!(
                "'{}' stop --mode=immediate --pgdata '{}' >/dev/null 2>&1",
                self.bin.join("pg_ctl").display(),
                self.data()
            ),
        ];
        let script = format!(
            "cat >/dev/null; cd /; {}; rm -rf '{}'",
            stop.join(" "),
            self.folder.display()
        );
        Command::new("setsid")
            .args(["sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("setsid(1) and sh(1) are there")
    }

    fn program(&self, name: &str, arguments: &[&str]) -> Output {
        let program = self.bin.join(name).display().to_string();
        let mut words = self.user.clone();
        words.push(program);
        let (first, rest) = words.split_first().expect("a program");
        Command::new(first)
            .args(rest)
            .args(arguments)
            .current_dir("/")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Starts the server (again).
    pub fn start_server(&self) {
        let log = self.folder.join("log").display().to_string();
        let end = Instant::now() + START;
        loop {
            let started = self.program(
                "pg_ctl",
                &[
                    "start",
                    "--wait",
                    "--timeout=60",
                    "--silent",
                    "--log",
                    &log,
                    "--pgdata",
                    &self.data(),
                ],
            );
            if started.status.success() {
                return;
            }
            // The remains of a killed server take a moment to go.
            assert!(
                Instant::now() < end,
                "pg_ctl start: {}\n{}",
                said(&started),
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn restart(&self) {
        let stopped = self.program("pg_ctl", &["stop", "--mode=fast", "--pgdata", &self.data()]);
        assert!(stopped.status.success(), "pg_ctl stop: {}", said(&stopped));
        self.start_server();
    }

    /// Starts anew with this certificate and key.
    pub fn use_tls(&self, certificate: &str, key: &str) {
        let (pem, private) = (
            self.folder.join("data/server.crt"),
            self.folder.join("data/server.key"),
        );
        std::fs::write(&pem, certificate).expect("it is ours");
        std::fs::write(&private, key).expect("it is ours");
        std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600))
            .expect("it is ours");
        if !self.user.is_empty() {
            let done = Command::new("chown")
                .arg("postgres")
                .args([&pem, &private])
                .status();
            assert!(done.expect("chown(1) is there").success());
        }
        self.configure(&["ssl = on"]);
        self.restart();
    }

    /// Starts anew, so that no file of the server can grow beyond so many KiB, as on a disk that is full.
    pub fn limit_files(&self, kib: u64) {
        let stopped = self.program("pg_ctl", &["stop", "--mode=fast", "--pgdata", &self.data()]);
        assert!(stopped.status.success(), "pg_ctl stop: {}", said(&stopped));
        // In blocks of 512 bytes, as POSIX has it.
        let limited = format!("ulimit -f {}; exec \"$@\"", kib * 2);
        let pg_ctl = self.bin.join("pg_ctl").display().to_string();
        let mut words = self.user.clone();
        words.extend(["sh", "-c", &limited, "sh", &pg_ctl].map(str::to_owned));
        let log = self.folder.join("log").display().to_string();
        let (first, rest) = words.split_first().expect("a program");
        let started = Command::new(first)
            .args(rest)
            .args([
                "start",
                "--wait",
                "--silent",
                "--log",
                &log,
                "--pgdata",
                &self.data(),
            ])
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .expect("sh(1) is there");
        assert!(started.status.success(), "pg_ctl start: {}", said(&started));
    }

    fn process(&self) -> String {
        let text =
            std::fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("it runs");
        text.lines().next().expect("a process id").trim().to_owned()
    }

    /// Ends the server and all of its processes at once, as a power button would.
    pub fn kill_server(&self) {
        let first = self.process();
        let mut all = children(&first);
        all.push(first);
        let end = Instant::now() + START;
        // One that was being made at this moment has another parent by now: it is known by where it works.
        while !all.is_empty() {
            assert!(Instant::now() < end, "the server does not die");
            // Some may have ended by themselves.
            let done = Command::new("kill")
                .arg("-9")
                .args(&all)
                .stderr(Stdio::null())
                .status();
            done.expect("kill(1) is there");
            std::thread::sleep(Duration::from_millis(5));
            all.retain(|pid| !is_zombie(pid));
            all.extend(working_in(&self.folder.join("data")));
        }
    }

    /// Asks the server something and gives its answer as text.
    pub fn sql(&self, database: &str, text: &str) -> String {
        let (at, psql) = match &self.given {
            Some(url) => (replace_database(url, database), PathBuf::from("psql")),
            None => (self.address(database), self.bin.join("psql")),
        };
        let mut words = self.user.clone();
        words.push(psql.display().to_string());
        let (first, rest) = words.split_first().expect("a program");
        let answer = Command::new(first)
            .args(rest)
            .args([
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--set=ON_ERROR_STOP=1",
                "--dbname",
                &at,
                "--command",
                text,
            ])
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .expect("psql starts");
        assert!(answer.status.success(), "{text}: {}", said(&answer));
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }

    fn address(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The port it listens on, on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new, empty database.
    pub fn database(&self) -> Database {
        let name = format!(
            "keyport_test_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        Database {
            url: match &self.given {
                Some(url) => replace_database(url, &name),
                None => self.address(&name),
            },
        }
    }
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &str {
        let end = self.url.rsplit('/').next().unwrap_or_default();
        end.split('?').next().unwrap_or_default()
    }

    /// The same database by way of another port on loopback.
    pub fn through(&self, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{}", self.name())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            // Its work is done when it has ended.
            let _ = keeper.wait();
        }
    }
}

fn replace_database(url: &str, name: &str) -> String {
    let (base, query) = url
        .split_once('?')
        .map_or((url, String::new()), |(base, query)| {
            (base, format!("?{query}"))
        });
    let base = base.rsplit_once('/').map_or(base, |(base, _)| base);
    format!("{base}/{name}{query}")
}

/// Where the server's programs are, and the words that run them as somebody else when we are root.
fn find() -> Result<(PathBuf, Vec<String>), String> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file() && bin.join("psql").is_file())
        .collect();
    versions.sort();
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
    });
    let bin = versions
        .pop()
        .or(on_path)
        .ok_or("PostgreSQL is not installed; install Debian's `postgresql`, or name a server in KEYPORT_TEST_POSTGRES")?;
    let id = |arguments: &[&str]| Command::new("id").args(arguments).output().ok();
    let root = id(&["-u"]).is_some_and(|output| output.stdout.starts_with(b"0\n"));
    if !root {
        return Ok((bin, Vec::new()));
    }
    if !id(&["-u", "postgres"]).is_some_and(|output| output.status.success()) {
        return Err("PostgreSQL does not run as root, and there is no user `postgres`".into());
    }
    Ok((
        bin,
        [
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--init-groups",
        ]
        .map(str::to_owned)
        .to_vec(),
    ))
}

fn children(of: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().into_string().ok());
    ids.filter(|pid| {
        pid.bytes().all(|byte| byte.is_ascii_digit())
            && stat(pid).is_some_and(|(_, parent)| parent == of)
    })
    .collect()
}

/// Processes whose working folder this is, as far as that can be seen.
fn working_in(folder: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().into_string().ok());
    ids.filter(|pid| {
        pid.bytes().all(|byte| byte.is_ascii_digit())
            && std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder)
            && !is_zombie(pid)
    })
    .collect()
}

/// State and parent of a process.
fn stat(pid: &str) -> Option<(String, String)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = text.rsplit_once(')')?;
    let mut words = after.split_whitespace().map(str::to_owned);
    Some((words.next()?, words.next()?))
}

fn is_zombie(pid: &str) -> bool {
    stat(pid).is_none_or(|(state, _)| state == "Z")
}

fn skipped(reason: &str) {
    assert!(
        std::env::var_os("KEYPORT_TEST_NO_SKIP").is_none(),
        "may not be skipped: {reason}"
    );
    // Not the test runner's own output: this must be seen.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
