//! The root key: 256 random bits that open the keyring, and with it everything else.
//!
//! It comes from a file that only its user can read, from text (an environment variable), or from a command (a KMS's
//! own tool, `systemd-creds`, `op read`, …). In text it is base64. The vault needs it only while it opens.
//! Whoever has the root key and the store has everything; whoever has only the store has nothing.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::{Key32, assert_lacks};

/// More than this is not a key, whatever the source.
const TEXT_MAX: u64 = 4096;
/// How long a key command may take; tools of a KMS ask over the network.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// The root key. Wiped on drop; never printed, copied or serialised.
pub struct RootKey(Key32);

assert_lacks!(RootKey: std::fmt::Debug, std::fmt::Display, serde::Serialize, Clone, PartialEq, AsRef<[u8]>);

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The file cannot be read.
    #[error("the root key file {path} cannot be read: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error(
        "the root key file {path} can be read or changed by others (mode {mode:03o}); run: chmod 600 {path}",
        path = .path.display()
    )]
    Permissions {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Not a file.
    #[error("{path} is not a regular file", path = .path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// There is a file already; a key is never overwritten.
    #[error(
        "{path} exists already; a root key is never overwritten, because what it sealed could not be opened again",
        path = .path.display()
    )]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("the root key file {path} cannot be written: {source}", path = .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a key.
    #[error(
        "a root key is 32 random bytes in base64 (44 characters), which this is not; make one with: keyport key root FILE"
    )]
    Malformed,
    /// No command was given, or it cannot be started.
    #[error("the root key command cannot be started: {0}")]
    Start(String),
    /// It ended with an error.
    #[error("the root key command failed ({0}); its own message is above")]
    Failed(String),
    /// It did not end in time.
    #[error("the root key command did not end within {} seconds", COMMAND_LIMIT.as_secs())]
    Slow,
    /// No random numbers.
    #[error("the operating system gave no random bytes")]
    Random,
}

impl RootKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`RootKeyError::Random`].
    pub fn generate() -> Result<Self, RootKeyError> {
        Key32::random().map(Self).map_err(|_| RootKeyError::Random)
    }

    /// Reads a key from text: base64, standard or URL-safe, padded or not, white space around it ignored.
    ///
    /// # Errors
    /// [`RootKeyError::Malformed`] for anything else, and for 32 equal bytes, which nobody drew at random.
    pub fn from_base64(text: &str) -> Result<Self, RootKeyError> {
        let config =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let text = text.trim();
        let alphabet = if text.contains(['-', '_']) {
            &alphabet::URL_SAFE
        } else {
            &alphabet::STANDARD
        };
        // Room for what the decoder writes at most, so that it is wiped with the rest.
        let mut bytes = Zeroizing::new(vec![0; 64]);
        let len = GeneralPurpose::new(alphabet, config)
            .decode_slice(text, &mut bytes)
            .map_err(|_| RootKeyError::Malformed)?;
        bytes.truncate(len);
        let key = Key32::from_slice(&bytes).ok_or(RootKeyError::Malformed)?;
        let [first, rest @ ..] = key.expose();
        if rest.iter().all(|byte| byte == first) {
            return Err(RootKeyError::Malformed);
        }
        Ok(Self(key))
    }

    /// Reads a key from a file with base64 text in it.
    ///
    /// # Errors
    /// [`RootKeyError::Permissions`] when group or others may do anything with it, and the other causes.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, RootKeyError> {
        let path = path.as_ref();
        let read = |source| RootKeyError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        // Of the open file, not of the name: a name can be pointed elsewhere in between.
        let meta = file.metadata().map_err(read)?;
        if !meta.is_file() {
            return Err(RootKeyError::NotAFile {
                path: path.to_owned(),
            });
        }
        check_mode(path, &meta)?;
        Self::from_base64(&read_text(file).map_err(read)?)
    }

    /// Runs a command and takes its standard output as base64. Its standard error goes to ours. Blocks for up to a
    /// minute: meant for the start of the program.
    ///
    /// # Errors
    /// When it cannot be started, fails, is too slow, or prints anything else.
    pub fn from_command<S: AsRef<str>>(argv: &[S]) -> Result<Self, RootKeyError> {
        let (program, arguments) = argv
            .split_first()
            .ok_or_else(|| RootKeyError::Start("it is empty".into()))?;
        let program = program.as_ref();
        let mut child = Command::new(program)
            .args(arguments.iter().map(AsRef::as_ref))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| RootKeyError::Start(format!("{program}: {error}")))?;
        let output = child.stdout.take();
        // Told through a channel, not joined: a grandchild may keep the pipe open after the command has ended.
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = tell.send(output.map(read_text));
        });
        let deadline = Instant::now() + COMMAND_LIMIT;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(RootKeyError::Slow);
                }
            }
        };
        if !status.success() {
            return Err(RootKeyError::Failed(status.to_string()));
        }
        match told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Some(Ok(text))) => Self::from_base64(&text),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Err(RootKeyError::Slow),
            _ => Err(RootKeyError::Malformed),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The key in base64, for handing it to a host by its own socket.
    #[must_use]
    pub fn encoded(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(64));
        base64::engine::general_purpose::STANDARD.encode_string(self.0.expose(), &mut text);
        text
    }

    /// Writes the key to a new file that only its user can read (0600), durably.
    ///
    /// # Errors
    /// [`RootKeyError::Exists`]: an existing file is never overwritten.
    pub fn write_new_file(&self, path: impl AsRef<Path>) -> Result<(), RootKeyError> {
        let path = path.as_ref();
        let write = |source: std::io::Error| {
            let path = path.to_owned();
            match source.kind() {
                std::io::ErrorKind::AlreadyExists => RootKeyError::Exists { path },
                _ => RootKeyError::Write { path, source },
            }
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(write)?;
        let mut text = self.encoded();
        text.push('\n');
        file.write_all(text.as_bytes()).map_err(write)?;
        file.sync_all().map_err(write)?;
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(write)
    }

    /// The key that seals the keyring and the check value. The root key itself encrypts nothing.
    pub(crate) fn sealing_key(&self) -> Option<Key32> {
        self.expanded(b"keyport/root/seal/v1")
            .map(|mut okm| Key32::take(&mut okm))
    }

    /// The key by which a host tells the compiled code that it kept from what somebody else put there. It opens nothing of
    /// the vault, and says nothing of the keys that do.
    #[must_use]
    pub fn code_key(&self) -> Option<Zeroizing<[u8; 32]>> {
        self.expanded(b"keyport/root/compiled-code/v1")
    }

    fn expanded(&self, purpose: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let mut okm = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::from_prk(self.0.expose())
            .ok()?
            .expand(purpose, &mut *okm)
            .ok()?;
        Some(okm)
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, meta: &std::fs::Metadata) -> Result<(), RootKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(RootKeyError::Permissions {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

/// Other systems have no such modes; there the folder's access list is the operator's to set.
#[cfg(not(unix))]
fn check_mode(_: &Path, _: &std::fs::Metadata) -> Result<(), RootKeyError> {
    Ok(())
}

fn read_text(from: impl Read) -> std::io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(8192));
    from.take(TEXT_MAX).read_to_end(&mut bytes)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
#[path = "root_key_tests.rs"]
mod tests;
