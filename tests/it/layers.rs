//! The source follows its own rules: modules import downwards, and what is dangerous has one place.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module and those it may import. `main` sees only what is public.
const MAY_IMPORT: [(&str, &[&str]); 11] = [
    ("lag", &[]),
    ("offsets_topic", &["lag"]),
    ("snapshot", &["lag"]),
    ("metrics", &["lag"]),
    ("kafka", &["lag", "offsets_topic", "snapshot", "metrics"]),
    (
        "collect",
        &["lag", "offsets_topic", "snapshot", "metrics", "kafka"],
    ),
    ("task", &["lag", "metrics", "kafka"]),
    ("exposition", &["lag", "snapshot", "metrics"]),
    ("http", &["lag", "snapshot", "metrics", "exposition"]),
    (
        "app",
        &[
            "lag",
            "offsets_topic",
            "snapshot",
            "metrics",
            "kafka",
            "collect",
            "task",
            "exposition",
            "http",
        ],
    ),
    ("cli", &["app"]),
];

/// What may stand only in some places: a word, and the beginnings of paths where it is at home.
const AT_HOME: [(&str, &[&str]); 5] = [
    ("unsafe {", &["src/kafka/native/"]),
    ("rdkafka::", &["src/kafka/"]),
    ("rdkafka_sys::", &["src/kafka/native/"]),
    ("println!", &["src/cli/"]),
    ("anyhow", &["src/app/", "src/cli/"]),
];

#[test]
fn modules_import_only_from_lower_layers() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(module) = source.module() else {
            continue;
        };
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{}: module `{module}` is in no layer", source.path));
            continue;
        };
        for (number, line) in source.code() {
            for imported in imports(line) {
                if imported != module && !allowed.contains(&imported) {
                    wrong.push(format!(
                        "{}:{number}: `{module}` imports `{imported}`",
                        source.path
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_decoder_of_the_offsets_topic_needs_names_and_offsets_alone() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.module() != Some("offsets_topic") {
            continue;
        }
        for (number, line) in source.code() {
            for path in line.split("crate::lag::").skip(1) {
                if !["ids", "offset"].contains(&first_word(path)) {
                    wrong.push(format!("{}:{number}: {line}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_is_dangerous_stays_in_its_place() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line) in source.code() {
            for (word, homes) in AT_HOME {
                if line.contains(word) && !homes.iter().any(|home| source.path.starts_with(home)) {
                    wrong.push(format!(
                        "{}:{number}: `{word}` outside of {homes:?}",
                        source.path
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn imports_are_found_wherever_they_stand() {
    for (line, expected) in [
        ("use crate::lag::GroupId;", vec!["lag"]),
        ("use crate::{lag::GroupId, kafka};", vec!["lag", "kafka"]),
        (
            "    isolation: crate::lag::Isolation, of: crate::http::Limits,",
            vec!["lag", "http"],
        ),
        ("pub(in crate::kafka) fn x() {}", vec!["kafka"]),
        ("use std::fmt;", vec![]),
    ] {
        assert_eq!(imports(line), expected, "{line}");
    }
}

/// A file below `src`.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Returns the top-level module that holds the file; nothing for the crate's own two roots.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split('/').next()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!["lib", "main"].contains(&name)).then_some(name)
    }

    /// Returns the numbered lines that are no comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().zip(1..);
        lines
            .filter(|(line, _)| !line.trim_start().starts_with("//"))
            .map(|(line, number)| (number, line))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths);
    paths.sort();
    assert!(paths.len() > 30, "only {} files were found", paths.len());
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).expect("a source file is readable"),
        path: path
            .strip_prefix(root)
            .expect("it is below the root")
            .display()
            .to_string(),
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a source folder is readable") {
        let path = entry.expect("its entries are readable").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Returns the modules that a line names by `crate::`.
fn imports(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for after in line.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(list) => {
                let list = list.split_once('}').map_or(list, |(list, _)| list);
                found.extend(
                    list.split(',')
                        .map(first_word)
                        .filter(|word| !word.is_empty()),
                );
            }
            None => found.extend(Some(first_word(after)).filter(|word| !word.is_empty())),
        }
    }
    found
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}
