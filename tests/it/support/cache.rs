//! What is fetched and built once for all test runs of this machine.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Returns the folder that the variable names, or `lagwatch-test/NAME` in the user's cache.
pub(super) fn folder(variable: &str, name: &str) -> PathBuf {
    let cache = || match env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".cache"),
    };
    match env::var_os(variable) {
        Some(folder) => PathBuf::from(folder),
        None => cache().join("lagwatch-test").join(name),
    }
}

/// Keeps other test runs out of a folder until the lock is dropped.
pub(super) fn lock(folder: &Path) -> File {
    fs::create_dir_all(folder).expect("the cache is writable");
    let lock = File::create(folder.join("lock")).expect("the cache is writable");
    lock.lock().expect("the cache can be locked");
    lock
}

/// Returns the folder that `build` has filled from `input`, now or in an earlier run.
///
/// Its name tells the input: test runs of different checkouts share the cache without harming each other.
pub(super) fn build_once(
    folder: &Path,
    name: &str,
    input: &str,
    build: impl FnOnce(&Path),
) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let target = folder.join(format!("{name}-{:016x}", hasher.finish()));
    if !target.is_dir() {
        let unfinished = target.with_extension("unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        fs::create_dir_all(&unfinished).expect("the cache is writable");
        build(&unfinished);
        // Renamed last: a build that was cut short is no build.
        fs::rename(&unfinished, &target).expect("the cache is writable");
    }
    target
}
