//! Properties whose value is kept in a file of its own: `sasl.password_file: /run/secrets/kafka`.

use std::collections::BTreeMap;
use std::fs;

use super::error::SettingProblem;
use super::setting::Setting;

const SUFFIX: &str = "_file";

/// Returns the key that reads `property` from a file.
pub(super) fn file_key(property: &str) -> String {
    format!("{property}{SUFFIX}")
}

/// Returns the properties with every `NAME_file` replaced by `NAME` and the file's text, without the line break at its end.
pub(super) fn read_files(
    properties: &BTreeMap<String, Setting<String>>,
) -> Result<BTreeMap<String, String>, SettingProblem> {
    let mut read = BTreeMap::new();
    for (key, setting) in properties {
        let value = &setting.value;
        let Some(name) = key.strip_suffix(SUFFIX) else {
            read.insert(key.clone(), value.clone());
            continue;
        };
        if properties.contains_key(name) {
            let problem = format!("both `{name}` and `{key}` are given");
            return Err(setting.problem(problem));
        }
        let text = fs::read_to_string(value)
            .map_err(|error| setting.problem(format!("reading `{key}` from `{value}`: {error}")))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        read.insert(name.to_owned(), text.to_owned());
    }
    Ok(read)
}
