//! The ecosystem's web configuration file: TLS, client certificates, basic auth and headers.
//!
//! ```yaml
//! tls_server_config:
//!   cert_file: server.crt                # relative to this file
//!   key_file: server.key
//!   client_auth_type: RequireAndVerifyClientCert
//!   client_ca_file: clients.crt
//!   min_version: TLS12                   # or TLS13
//! basic_auth_users:
//!   prometheus: $2y$10$...               # bcrypt
//! http_server_config:
//!   headers: { X-Frame-Options: deny }
//! ```
//!
//! The file and those it names are looked at while the server runs, so that renewed certificates and removed users
//! count without a restart. What cannot be used leaves the one before in place, and so does what would open a server
//! that was closed: a file that is being written, or emptied by accident, must not.
//!
//! Source: prometheus/exporter-toolkit, `docs/web-configuration.md`.

mod clients;
mod error;
mod files;
mod pem;
mod schema;
mod tls;
mod users;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::header::HeaderMap;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::rustls::ServerConfig;
use tracing::{info, warn};

use crate::diagnostics::{one_line, read_yaml};
pub use error::WebConfigError;
use files::Files;
use pem::PemReader;
use schema::{TlsSection, WebConfigFile};
use users::Users;

/// How often the files are looked at. One that has changed is read when it has stayed the same for as long.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A web configuration file, read and, while it is served, watched. Clones share what was read.
///
/// Two are equal where they are of the same file.
#[derive(Clone)]
pub struct WebConfig(Arc<WatchedWebConfig>);

struct WatchedWebConfig {
    path: PathBuf,
    current: ArcSwap<Loaded>,
    /// The files as they were last read, successfully or not.
    seen: Mutex<Files>,
}

/// What a web configuration says.
pub(super) struct Loaded {
    /// How to speak TLS; nothing: plain HTTP.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Who may ask; nothing: everybody.
    pub(super) users: Option<Arc<Users>>,
    /// Headers of every answer.
    pub(super) headers: HeaderMap,
}

impl WebConfig {
    /// Reads a file and those it names.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or says something that cannot be used.
    pub fn load(path: &Path) -> Result<Self, WebConfigError> {
        let mut files = Files::default();
        let loaded = Loaded::read(path, &mut files)?;
        Ok(Self(Arc::new(WatchedWebConfig {
            path: path.to_owned(),
            current: ArcSwap::from_pointee(loaded),
            seen: Mutex::new(files),
        })))
    }

    /// Returns whether clients have to speak TLS.
    pub fn has_tls(&self) -> bool {
        self.0.current.load().tls.is_some()
    }

    /// Takes over what was read by `newer`, a later [`WebConfig::load`] of the same file.
    ///
    /// # Errors
    ///
    /// It would turn TLS on or off, or let everybody in; nothing has changed then.
    pub fn replace_by(&self, newer: &Self) -> Result<(), WebConfigError> {
        let loaded = newer.0.current.load_full();
        let seen = newer.0.seen().clone();
        self.0.apply(loaded, seen)
    }

    /// Returns what the file says.
    pub(super) fn current(&self) -> Arc<Loaded> {
        self.0.current.load_full()
    }

    /// Reads the file again whenever it or one that it names has changed.
    ///
    /// # Cancel safety
    ///
    /// What was not read is read by the next one.
    pub(super) async fn watch(&self) -> Infallible {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut settling = None;
        loop {
            looks.tick().await;
            let watched = Arc::clone(&self.0);
            // Looking at files blocks, on a network volume for long: no request waits for it.
            let looked = tokio::task::spawn_blocking(move || watched.look(settling)).await;
            settling = looked.unwrap_or_else(|error| {
                warn!(%error, "looking at the web config file failed");
                None
            });
        }
    }
}

impl WatchedWebConfig {
    /// Reads again what has changed since it was read, but not since the look before, whose outcome is `settling`.
    ///
    /// Returns what has changed and may still be being written.
    fn look(&self, settling: Option<Files>) -> Option<Files> {
        let seen = self.seen().clone();
        let now = seen.again();
        if now == seen {
            return None;
        }
        if settling.as_ref() != Some(&now) {
            return Some(now);
        }
        let path = self.path.display();
        let mut files = Files::default();
        let applied = match Loaded::read(&self.path, &mut files) {
            Ok(loaded) => self.apply(Arc::new(loaded), files.clone()),
            Err(error) => Err(error),
        };
        match applied {
            Ok(()) => info!("web config file `{path}` read again"),
            Err(error) => {
                // Said once for each change.
                *self.seen() = files;
                let error = one_line(&error);
                warn!("web config file `{path}` not applied, the old one stays in force: {error}");
            }
        }
        None
    }

    fn apply(&self, next: Arc<Loaded>, files: Files) -> Result<(), WebConfigError> {
        // Held across both, so that what was read and when it was read go together.
        let mut seen = self.seen();
        if let Some(problem) = self.current.load().cannot_become(&next) {
            let path = self.path.display().to_string();
            return Err(WebConfigError::NeedsRestart { path, problem });
        }
        self.current.store(next);
        *seen = files;
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Files> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    fn read(path: &Path, files: &mut Files) -> Result<Self, WebConfigError> {
        let unreadable = |source| WebConfigError::Read {
            what: "web config file",
            path: path.display().to_string(),
            source,
        };
        let text = files.read(path).map_err(unreadable)?;
        let text = String::from_utf8(text).map_err(|error| {
            let error = error.utf8_error();
            unreadable(io::Error::new(io::ErrorKind::InvalidData, error))
        })?;
        let file: WebConfigFile =
            read_yaml(&text).map_err(|problem| WebConfigError::not_yaml(path, problem))?;
        file.check_supported(path)?;
        let mut reader = PemReader {
            path,
            folder: path.parent().unwrap_or(Path::new("")),
            files,
        };
        let section = file.tls_server_config.as_ref();
        let section = section.filter(|section| section.value != TlsSection::default());
        let tls = match section {
            Some(section) => Some(Arc::new(tls::server_config(section, &mut reader)?)),
            None => None,
        };
        let users = match &file.basic_auth_users {
            Some(users) => Users::of(users, path)?,
            None => None,
        };
        Ok(Self {
            tls,
            users: users.map(Arc::new),
            headers: file.headers(path)?,
        })
    }

    /// Returns what forbids a running server to follow `next`; nothing where it can.
    fn cannot_become(&self, next: &Self) -> Option<&'static str> {
        match (&self.tls, &next.tls) {
            (Some(_), None) => return Some("turning TLS off"),
            (None, Some(_)) => return Some("turning TLS on"),
            _ => {}
        }
        let opens = self.users.is_some() && next.users.is_none();
        opens.then_some("removing all of `basic_auth_users`")
    }
}

impl PartialEq for WebConfig {
    fn eq(&self, other: &Self) -> bool {
        self.0.path == other.0.path
    }
}

impl Eq for WebConfig {}

impl fmt::Debug for WebConfig {
    /// Shows where the configuration comes from, and nothing that it says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebConfig").field(&self.0.path).finish()
    }
}
