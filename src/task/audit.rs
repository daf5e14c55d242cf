//! The audit log: one row for each event that was done, keyed by the event's id, in SQLite.
//!
//! It is what makes redelivery harmless: an event that has a row is a duplicate. A row is in the operating system's
//! hands before its answer is given, so it survives `kill -9`; a loss of power may cost the newest rows, whose records
//! are gone from the log only if their offsets were committed (`synchronous=NORMAL`).
//!
//! In memory are the pages that were used last, 2 MB of them at most: SQLite's own default.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, params};
use thiserror::Error;
use tokio::task::spawn_blocking;

use super::event::EventId;
use super::item::Task;

/// How long another process may hold the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long after it was found to be held it is tried again.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

const SCHEMA: &str = "\
    CREATE TABLE IF NOT EXISTS audit_log (
        id TEXT PRIMARY KEY NOT NULL,
        title TEXT NOT NULL,
        topic TEXT NOT NULL,
        \"partition\" INTEGER NOT NULL,
        \"offset\" INTEGER NOT NULL,
        key BLOB,
        done_at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID";

const INSERT: &str = "\
    INSERT OR IGNORE INTO audit_log (id, title, topic, \"partition\", \"offset\", key, done_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// The open audit log. Calls of SQLite block, so each runs on a thread for such work, and once it has begun to its end, even
/// if its caller is dropped: the rows stay, and a redelivery finds them.
#[derive(Debug)]
pub(super) struct AuditLog {
    /// Nothing once it is closed.
    database: Arc<Mutex<Option<Connection>>>,
}

/// Whether an event was new to the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    New,
    Duplicate,
}

/// Why the audit log cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The system does not let the file be opened for writing.
    #[error("audit log `{}` cannot be written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It could be opened, but not used.
    #[error("audit log `{}` cannot be written", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// It could not be written later on.
    #[error("writing the audit log")]
    Write {
        /// SQLite's reason.
        #[from]
        source: rusqlite::Error,
    },
    /// A call ended before it had a result.
    #[error("the audit log is closed")]
    Closed,
}

/// An insertion that failed, with the tasks it was for.
#[derive(Debug)]
pub(super) struct NotRecorded {
    pub(super) error: AuditError,
    pub(super) tasks: Vec<Task>,
}

impl AuditLog {
    /// Opens the file, creates it where it is missing, and proves that it can be written.
    pub(super) async fn open(path: &Path) -> Result<Self, AuditError> {
        let path = path.to_owned();
        let database =
            run(move || open(&path).map_err(|source| open_error(path, source))).await??;
        Ok(Self {
            database: Arc::new(Mutex::new(Some(database))),
        })
    }

    /// Inserts a row for each task in one transaction, and says of each whether it was new.
    ///
    /// # Errors
    ///
    /// None of them has a row then.
    pub(super) async fn record(
        &self,
        tasks: Vec<Task>,
    ) -> Result<Vec<(Task, Recorded)>, NotRecorded> {
        let recording = self.with_database(|database| match insert(database, &tasks) {
            Ok(recorded) => Ok(tasks.into_iter().zip(recorded).collect()),
            Err(source) => Err(NotRecorded {
                error: AuditError::Write { source },
                tasks,
            }),
        });
        recording.await.unwrap_or_else(|error| {
            Err(NotRecorded {
                error,
                tasks: Vec::new(),
            })
        })
    }

    /// Returns whether an event has a row.
    pub(super) async fn contains(&self, id: &EventId) -> Result<bool, AuditError> {
        let id = id.clone();
        let found = self.with_database(move |database| find(database, &id));
        Ok(found.await??)
    }

    /// Waits until the file is closed.
    pub(super) async fn close(self) {
        let database = Arc::clone(&self.database);
        // An error means that it is closed, too.
        let _ = run(move || shut(&database)).await;
    }

    async fn with_database<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, AuditError> {
        let database = Arc::clone(&self.database);
        let called = run(move || {
            let mut database = database.lock().expect("no call has panicked");
            database.as_mut().map(call)
        });
        called.await?.ok_or(AuditError::Closed)
    }
}

impl Drop for AuditLog {
    /// Closes the file on a thread of its own: SQLite may write to it then, which must not block a thread of the runtime.
    fn drop(&mut self) {
        let database = Arc::clone(&self.database);
        thread::spawn(move || shut(&database));
    }
}

fn shut(database: &Mutex<Option<Connection>>) {
    if let Ok(mut database) = database.lock() {
        *database = None;
    }
}

/// Runs a call that blocks.
async fn run<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AuditError> {
    spawn_blocking(call).await.map_err(|_| AuditError::Closed)
}

/// Opens the file, however many others do so at the same time.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match try_open(path) {
            // SQLite's own timeout does not count while the journal's mode changes.
            Err(error) if is_busy(&error) && Instant::now() < deadline => thread::sleep(BUSY_PAUSE),
            outcome => return outcome,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn try_open(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    database.busy_timeout(BUSY_TIMEOUT)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "NORMAL")?;
    database.execute_batch(SCHEMA)?;
    // Nothing before this line writes to a file that has the table already.
    database.pragma_update(None, "user_version", 1)?;
    Ok(database)
}

/// Returns why the file cannot be opened: SQLite says no more than that it cannot.
fn open_error(path: PathBuf, source: rusqlite::Error) -> AuditError {
    match OpenOptions::new().append(true).create(true).open(&path) {
        Err(source) => AuditError::File { path, source },
        Ok(_) => AuditError::Open { path, source },
    }
}

fn insert(database: &mut Connection, tasks: &[Task]) -> rusqlite::Result<Vec<Recorded>> {
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let transaction = database.transaction()?;
    let mut recorded = Vec::with_capacity(tasks.len());
    {
        let mut statement = transaction.prepare_cached(INSERT)?;
        for Task { item, event } in tasks {
            let offset = i64::try_from(item.record.offset.value()).unwrap_or(i64::MAX);
            let rows = statement.execute(params![
                event.id.as_str(),
                event.title,
                item.partition.topic.as_str(),
                item.partition.partition.0,
                offset,
                item.record.key,
                now_ms,
            ])?;
            recorded.push(if rows == 1 {
                Recorded::New
            } else {
                Recorded::Duplicate
            });
        }
    }
    transaction.commit()?;
    Ok(recorded)
}

fn find(database: &Connection, id: &EventId) -> rusqlite::Result<bool> {
    database
        .prepare_cached("SELECT 1 FROM audit_log WHERE id = ?1")?
        .exists([id.as_str()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::one_line;
    use crate::kafka::ConsumerRecord;
    use crate::lag::TopicPartition;
    use crate::task::event::TaskCreated;
    use crate::task::item::Item;

    fn task(id: &str, offset: u64) -> Task {
        Task {
            item: Item {
                partition: TopicPartition::new("task-created", 0),
                record: ConsumerRecord::at_offset(offset),
                attempt: 1,
            },
            event: TaskCreated {
                id: EventId::from(id.to_owned()),
                title: format!("title of {id}"),
            },
        }
    }

    async fn recorded(log: &AuditLog, tasks: Vec<Task>) -> Vec<Recorded> {
        log.record(tasks)
            .await
            .expect("the file can be written")
            .into_iter()
            .map(|(_, recorded)| recorded)
            .collect()
    }

    #[tokio::test]
    async fn a_redelivered_event_changes_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("audit.sqlite");
        let log = AuditLog::open(&path).await.expect("a new file");
        let first = recorded(&log, vec![task("a", 0), task("b", 1), task("a", 2)]).await;
        assert_eq!(first, [Recorded::New, Recorded::New, Recorded::Duplicate]);
        log.close().await;

        let log = AuditLog::open(&path).await.expect("the same file");
        assert_eq!(
            recorded(&log, vec![task("a", 9)]).await,
            [Recorded::Duplicate]
        );
        log.close().await;
        let rows: Vec<(String, i64)> = Connection::open(&path)
            .expect("the same file")
            .prepare("SELECT id, \"offset\" FROM audit_log ORDER BY id")
            .expect("the table is there")
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("the query is right")
            .collect::<Result<_, _>>()
            .expect("rows of the schema");
        assert_eq!(rows, [("a".into(), 0), ("b".into(), 1)]);
    }

    #[test]
    fn members_that_start_together_may_share_one_new_file() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("audit.sqlite");
            let start = std::sync::Barrier::new(8);
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        start.wait();
                        open(&path).expect("the others are done soon");
                    });
                }
            });
        }
    }

    #[tokio::test]
    async fn what_has_a_row_is_found() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = AuditLog::open(&folder.path().join("audit.sqlite"))
            .await
            .expect("a new file");
        recorded(&log, vec![task("a", 0)]).await;
        let a = EventId::from("a".to_owned());
        let b = EventId::from("b".to_owned());
        assert!(log.contains(&a).await.expect("the file can be read"));
        assert!(!log.contains(&b).await.expect("the file can be read"));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_told_in_one_line() {
        let path = Path::new("/nonexistent-folder/audit.sqlite");
        let error = AuditLog::open(path)
            .await
            .expect_err("there is no such folder");
        assert_eq!(
            one_line(&error),
            "audit log `/nonexistent-folder/audit.sqlite` cannot be written: No such file or directory (os error 2)"
        );
    }
}
