//! The `web` section, checked: where the HTTP server listens, and what configures it further.

use std::path::PathBuf;

use super::address::ListenAddress;
use super::error::{ConfigError, SettingProblem};
use super::schema::WebFile;
use crate::http::{WebConfig, check_telemetry_path};

/// The HTTP server's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// Where it listens.
    pub listen_address: ListenAddress,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// The web configuration file; nothing: plain HTTP for everybody.
    pub config_file: Option<PathBuf>,
}

impl WebSettings {
    /// Reads the web configuration file. Only commands that serve read it: others may lack the permission.
    ///
    /// # Errors
    ///
    /// It cannot be read, or says something that cannot be used.
    pub fn read_config_file(&self) -> Result<Option<WebConfig>, ConfigError> {
        let read = self.config_file.as_deref().map(WebConfig::load);
        Ok(read.transpose()?)
    }
}

/// Returns the settings of the HTTP server.
pub(super) fn resolve(file: WebFile) -> Result<WebSettings, SettingProblem> {
    let listen_address = match &file.listen_address {
        Some(setting) => setting.value.parse().map_err(|problem| {
            setting.problem(format!("`listen-address` `{}`: {problem}", setting.value))
        })?,
        None => ListenAddress::default(),
    };
    let telemetry_path = match file.telemetry_path {
        Some(setting) => {
            check_telemetry_path(&setting.value).map_err(|error| setting.problem(error))?;
            setting.value
        }
        None => "/metrics".to_owned(),
    };
    let config_file = file.config_file.map(|setting| setting.value);
    let config_file = config_file.filter(|path| !path.is_empty());
    Ok(WebSettings {
        listen_address,
        telemetry_path,
        config_file: config_file.map(Into::into),
    })
}
