//! `basic_auth_users`: who may ask.
//!
//! bcrypt is slow on purpose, so that a stolen hash is of little use: it runs away from the async workers, one at a
//! time for all requests, and a scraper's good password is remembered as a keyed digest for as long as its hash is
//! the same. An unknown user costs as much time as a wrong password.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bcrypt::HashParts;
use hyper::header::{AUTHORIZATION, HeaderMap};
use ring::hmac;
use ring::rand::SystemRandom;
use serde_saphyr::Spanned;
use tokio::sync::Semaphore;

use super::error::WebConfigError;

/// The users of a web configuration.
pub(in crate::http) struct Users {
    hashes: BTreeMap<String, String>,
    /// The costliest of the hashes: an unknown user's password is compared with it, in vain.
    stand_in: String,
    /// New with every process and every file, so that a digest tells nobody else anything.
    key: hmac::Key,
    /// The newest good password of each user, as a digest.
    verified: Mutex<BTreeMap<String, hmac::Tag>>,
    /// Strangers may cost one processor, not all of them.
    turn: Arc<Semaphore>,
}

/// The user and the password of a request.
struct BasicCredentials {
    user: String,
    password: Vec<u8>,
}

impl Users {
    /// Checks the hashes; nothing where there are no users, and everybody may ask.
    pub(super) fn of(
        users: &BTreeMap<String, Spanned<String>>,
        path: &Path,
    ) -> Result<Option<Self>, WebConfigError> {
        let mut stand_in = None;
        for (name, hash) in users {
            let parts = HashParts::from_str(&hash.value).map_err(|_| {
                let problem = format!("the password of `{name}` is no bcrypt hash");
                WebConfigError::invalid(path, hash.referenced, problem)
            })?;
            stand_in = stand_in.max(Some((parts.get_cost(), &hash.value)));
        }
        let Some((_, stand_in)) = stand_in else {
            return Ok(None);
        };
        let hashes = users.iter();
        Ok(Some(Self {
            stand_in: stand_in.clone(),
            hashes: hashes
                .map(|(name, hash)| (name.clone(), hash.value.clone()))
                .collect(),
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
                .expect("the system has random numbers"),
            verified: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        }))
    }

    /// Returns whether a request comes from one of the users.
    pub(in crate::http) async fn admit(self: &Arc<Self>, headers: &HeaderMap) -> bool {
        let Some(credentials) = BasicCredentials::of(headers) else {
            return false;
        };
        if self.is_remembered(&credentials) {
            return true;
        }
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.expect("the semaphore is never closed");
        // Whoever waited for this turn may have been verified meanwhile, over another connection.
        if self.is_remembered(&credentials) {
            return true;
        }
        let users = Arc::clone(self);
        let verified = tokio::task::spawn_blocking(move || {
            let is_user = users.verify(credentials);
            // Not before: a client that has gone away ends its request, but not this.
            drop(turn);
            is_user
        });
        verified.await.unwrap_or(false)
    }

    fn is_remembered(&self, BasicCredentials { user, password }: &BasicCredentials) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = verified.get(user);
        tag.is_some_and(|tag| hmac::verify(&self.key, password, tag.as_ref()).is_ok())
    }

    fn verify(&self, BasicCredentials { user, password }: BasicCredentials) -> bool {
        let hash = self.hashes.get(&user);
        let matches = bcrypt::verify(&password, hash.unwrap_or(&self.stand_in));
        let is_user = hash.is_some() && matches.unwrap_or(false);
        if is_user {
            let tag = hmac::sign(&self.key, &password);
            let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
            verified.insert(user, tag);
        }
        is_user
    }
}

impl BasicCredentials {
    /// Returns the user and the password of a request; nothing where it has none.
    ///
    /// Source: RFC 7617.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let user = std::str::from_utf8(&decoded[..colon]).ok()?;
        Some(Self {
            user: user.to_owned(),
            password: decoded[colon + 1..].to_vec(),
        })
    }
}

impl fmt::Debug for Users {
    /// Shows names, never a hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.hashes.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(yaml: &str) -> Result<Arc<Users>, String> {
        let users: BTreeMap<String, Spanned<String>> =
            serde_saphyr::from_str(yaml).expect("a mapping of strings");
        match Users::of(&users, Path::new("web.yml")) {
            Ok(users) => Ok(Arc::new(users.expect("there are some"))),
            Err(error) => Err(error.to_string()),
        }
    }

    fn hash(password: &str, cost: u32) -> String {
        bcrypt::hash(password, cost).expect("a cost that bcrypt knows")
    }

    fn authorization(credentials: impl AsRef<[u8]>) -> HeaderMap {
        let value = format!("Basic {}", BASE64_STANDARD.encode(credentials));
        let value = value.parse().expect("base64 is fit for a header");
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    #[tokio::test]
    async fn a_user_is_admitted_by_the_right_password_alone() {
        let (one, two) = (hash("one:pass", 4), hash("", 4));
        let users = users(&format!("ann: {one}\n\"b\": {two}\n")).expect("valid hashes");
        for (credentials, expected) in [
            ("ann:one:pass", true),
            ("ann:one:pass", true),
            ("ann:one", false),
            ("ann:", false),
            ("ann", false),
            ("b:", true),
            ("b:one:pass", false),
            ("eve:one:pass", false),
            (":", false),
        ] {
            let admitted = users.admit(&authorization(credentials)).await;
            assert_eq!(admitted, expected, "{credentials}");
        }
        assert!(!users.admit(&authorization(b"ann:\xff\0")).await);
        assert!(!users.admit(&HeaderMap::new()).await);
    }

    #[tokio::test]
    async fn a_good_password_is_remembered_as_a_digest_and_a_bad_one_is_not() {
        let users = users(&format!("ann: {}\n", hash("secret", 4))).expect("a valid hash");
        for credentials in ["ann:wrong", "eve:secret", "ann:secret", "ann:wrong"] {
            users.admit(&authorization(credentials)).await;
        }
        let verified = users.verified.lock().expect("nobody panicked");
        assert_eq!(verified.keys().collect::<Vec<_>>(), ["ann"]);
        assert_ne!(verified["ann"].as_ref(), b"secret");
    }

    #[test]
    fn an_unknown_user_costs_as_much_as_the_costliest() {
        let (cheap, dear) = (hash("x", 4), hash("x", 5));
        for (ann, bob) in [(&cheap, &dear), (&dear, &cheap)] {
            let users = users(&format!("ann: {ann}\nbob: {bob}\n")).expect("valid hashes");
            assert_eq!(&users.stand_in, &dear);
        }
    }

    #[tokio::test]
    async fn a_client_that_goes_away_gives_its_turn_back_only_when_its_work_is_done() {
        let users = users(&format!("ann: {}\n", hash("x", 10))).expect("a valid hash");
        let turns = Arc::clone(&users.turn);
        let headers = authorization("ann:wrong");
        {
            let admitting = users.admit(&headers);
            tokio::pin!(admitting);
            let polled = futures_util::poll!(admitting.as_mut());
            assert!(polled.is_pending());
        }
        // The request is gone; whoever holds the turn now can only be the work itself.
        assert!(turns.try_acquire().is_err(), "the work goes on");
        turns.acquire().await.expect("the turn comes back").forget();
    }

    #[test]
    fn what_is_no_hash_is_named_by_its_user_and_line_and_not_shown() {
        let error = users(&format!("ann: {}\nbob: hunter2\n", hash("x", 4)));
        assert_eq!(
            error.expect_err("a password is no hash"),
            "web.yml:2: the password of `bob` is no bcrypt hash"
        );
    }

    #[test]
    fn hashes_of_every_version_are_read() {
        let hash = hash("x", 4);
        for version in ["2a", "2b", "2y"] {
            let hash = hash.replace("$2b$", &format!("${version}$"));
            let users = users(&format!("ann: {hash}\n")).expect("a valid hash");
            let credentials = BasicCredentials {
                user: "ann".to_owned(),
                password: b"x".to_vec(),
            };
            assert!(users.verify(credentials), "{version}");
        }
    }
}
