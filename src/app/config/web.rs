//! The `web` section, checked: where the HTTP server listens, and what configures it further.

use std::path::PathBuf;

use super::address::ListenAddress;
use super::error::ConfigError;
use super::schema::WebFile;
use super::setting::Setting;
use super::validate::Validator;
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
pub(super) fn resolve(
    validator: &Validator<'_>,
    file: WebFile,
) -> Result<WebSettings, ConfigError> {
    let listen_address = match &file.listen_address {
        Some(Setting { value, origin }) => value.parse().map_err(|problem| {
            validator.error(origin, format!("`listen-address` `{value}`: {problem}"))
        })?,
        None => ListenAddress::default(),
    };
    let telemetry_path = match file.telemetry_path {
        Some(Setting { value, origin }) => {
            check_telemetry_path(&value).map_err(|error| validator.error(&origin, error))?;
            value
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
