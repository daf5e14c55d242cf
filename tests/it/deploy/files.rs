//! The files of `deploy/` as the tests read them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::Grant;

/// Returns a path of the repository.
pub(crate) fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the text of a file of the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(in_repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the documents of a YAML text; one that is empty is left out.
pub(crate) fn documents(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error} in\n{yaml}"));
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect()
}

/// Returns the string at a JSON pointer; panics where there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no text at {pointer} of {value:#}"))
}

/// Returns the list at a JSON pointer; nothing where there is none.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Returns what a KafkaUser grants, one operation an entry.
pub(crate) fn grants(user: &Value) -> Vec<Grant> {
    let mut grants = Vec::new();
    for acl in list(user, "/spec/authorization/acls") {
        for operation in list(acl, "/operations") {
            grants.push(Grant {
                resource: text(acl, "/resource/type").to_owned(),
                name: text(acl, "/resource/name").to_owned(),
                pattern: text(acl, "/resource/patternType").to_owned(),
                operation: operation
                    .as_str()
                    .expect("an operation is a word")
                    .to_owned(),
            });
        }
    }
    assert!(!grants.is_empty(), "no grant in {user:#}");
    grants
}
