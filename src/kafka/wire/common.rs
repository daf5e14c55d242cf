//! What all connections to a cluster have in common.

use super::journal::ConnectionJournal;
use super::settings::Settings;
use crate::kafka::requests::RequestObserver;
use crate::kafka::security::Security;

/// Settings, security and observers of all connections to a cluster.
pub(super) struct Common {
    pub(super) settings: Settings,
    pub(super) security: Security,
    pub(super) requests: Box<dyn RequestObserver>,
    pub(super) journal: ConnectionJournal,
}
