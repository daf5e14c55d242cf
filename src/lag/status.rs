//! Status: one word for a partition and for a group that people can act on, and the figures behind it.
//!
//! Which rule gives which is [`super::rules`]; the worst of a group and its sentence are [`super::verdict`].

use std::fmt;

use super::offset::Offset;
use super::partition::Unavailable;
use super::timestamp::Timestamp;

/// The state of a partition, or of a group, in one word; the graver is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nothing is wrong as far as offsets tell.
    Ok,
    /// A figure is unavailable.
    Unknown,
    /// Behind, and not shrinking.
    Lagging,
    /// The offset went back and has not been regained.
    Rewound,
    /// No members, and records wait.
    Empty,
    /// Commits are seen, but the offset does not move while records wait.
    Stalled,
    /// No commit any more while records wait.
    Stopped,
    /// The commit is past the log end.
    Ahead,
    /// Unread records have been deleted.
    Losing,
}

/// Who is in the group, as the newest good answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Members {
    /// Nobody knows.
    Unknown,
    /// There are none.
    Absent,
    /// There are some, and partitions are being dealt out anew.
    Rebalancing,
    /// There are some, and each has its partitions.
    Settled,
}

/// Whose a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ownership {
    /// Nobody knows, or the partitions are being dealt out anew.
    Unknown,
    /// A member's.
    Owned,
    /// No member's.
    Unowned,
    /// No member's, and the group has given up the topic; see [`super::abandoned`].
    Abandoned,
}

/// What a rule found: the status with its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Rules 2, 5 and 11.
    Ok,
    /// Rule 1.
    Unknown(Unavailable),
    /// Rule 3.
    Losing {
        /// Records deleted unread; more than 0.
        lost: u64,
    },
    /// Rule 4.
    Ahead {
        /// Committed - log end; more than 0.
        ahead: u64,
    },
    /// Rule 6.
    Empty {
        /// Records that wait.
        lag: u64,
        /// Since when no commit was seen while records waited.
        since: Timestamp,
    },
    /// Rule 7.
    Stopped {
        /// Records that wait.
        lag: u64,
        /// Since when no commit was seen while records waited.
        since: Timestamp,
        /// Whose the partition is.
        ownership: Ownership,
    },
    /// Rule 8.
    Stalled {
        /// Records that wait.
        lag: u64,
        /// Since when the offset has not moved while records waited.
        since: Timestamp,
    },
    /// Rule 9.
    Rewound {
        /// Where the offset was.
        from: Offset,
        /// Where it is.
        committed: Offset,
    },
    /// Rule 10.
    Lagging {
        /// Records that wait.
        lag: u64,
        /// Since when more has waited than the work in hand without shrinking.
        since: Timestamp,
    },
}

impl Status {
    /// Every status, in the order of exposition: the gravest last.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Unknown,
        Self::Lagging,
        Self::Rewound,
        Self::Empty,
        Self::Stalled,
        Self::Stopped,
        Self::Ahead,
        Self::Losing,
    ];

    /// Returns the word in labels and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Lagging => "lagging",
            Self::Rewound => "rewound",
            Self::Empty => "empty",
            Self::Stalled => "stalled",
            Self::Stopped => "stopped",
            Self::Ahead => "ahead",
            Self::Losing => "losing",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Finding {
    /// Returns its word.
    pub fn status(self) -> Status {
        match self {
            Self::Ok => Status::Ok,
            Self::Unknown(_) => Status::Unknown,
            Self::Losing { .. } => Status::Losing,
            Self::Ahead { .. } => Status::Ahead,
            Self::Empty { .. } => Status::Empty,
            Self::Stopped { .. } => Status::Stopped,
            Self::Stalled { .. } => Status::Stalled,
            Self::Rewound { .. } => Status::Rewound,
            Self::Lagging { .. } => Status::Lagging,
        }
    }

    /// Returns the records that it concerns, to tell the worst among partitions of one status.
    pub fn records(self) -> u64 {
        match self {
            Self::Ok | Self::Unknown(_) => 0,
            Self::Losing { lost } => lost,
            Self::Ahead { ahead } => ahead,
            Self::Rewound { from, committed } => from.records_since(committed),
            Self::Empty { lag, .. }
            | Self::Stopped { lag, .. }
            | Self::Stalled { lag, .. }
            | Self::Lagging { lag, .. } => lag,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_listed_from_the_mildest_to_the_gravest() {
        assert!(Status::ALL.is_sorted());
        let words = Status::ALL.map(Status::as_str);
        assert_eq!(words.first(), Some(&"ok"));
        assert_eq!(words.last(), Some(&"losing"));
    }
}
