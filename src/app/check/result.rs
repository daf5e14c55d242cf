//! What a check found, in one line.

use std::fmt;

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// Whether it is as it should be.
    pub status: CheckStatus,
    /// What was checked and what was found, in one line.
    pub text: String,
}

/// Whether what was checked is as it should be. Ordered from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckStatus {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Something polling needs is not there or not granted.
    Missing,
    /// No broker answers.
    Unreachable,
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Missing => "missing",
            Self::Unreachable => "unreachable",
        })
    }
}
