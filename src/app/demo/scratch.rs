//! A folder of the demo's own, gone when the demo is.

use std::path::{Path, PathBuf};
use std::{env, fs, io, process};

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder.
    pub(super) fn new() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("lagwatch-demo-{}", process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is small and in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}
