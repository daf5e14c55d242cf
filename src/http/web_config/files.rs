//! The files of a web configuration: what stands in them, and whether they have changed since.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Reads files and remembers the metadata of each just before it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files(Vec<(PathBuf, Option<FileMetadata>)>);

/// What changes with a file, followed through symbolic links: Kubernetes renews a mounted secret by moving one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileMetadata {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Files {
    /// Reads a file. One that cannot be read is remembered too: it may appear.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.push((path.to_owned(), metadata(path)));
        fs::read(path)
    }

    /// Returns the same files with their current metadata.
    pub(super) fn again(&self) -> Self {
        let files = self
            .0
            .iter()
            .map(|(path, _)| (path.clone(), metadata(path)));
        Self(files.collect())
    }
}

/// Returns nothing where the file does not exist or cannot be accessed.
fn metadata(path: &Path) -> Option<FileMetadata> {
    let found = fs::metadata(path).ok()?;
    Some(FileMetadata {
        device: found.dev(),
        inode: found.ino(),
        length: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}
