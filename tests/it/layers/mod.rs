//! The source follows its own rules: modules import downwards, files of a module depend on one another without a circle, a name
//! has one meaning, a type one file, and what is dangerous one place.

mod source;
mod structure;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use self::source::Sources;

/// Each module and those it may import. `main` sees only what is public.
const MAY_IMPORT: [(&str, &[&str]); 12] = [
    ("lag", &[]),
    ("diagnostics", &[]),
    ("offsets_topic", &["lag"]),
    ("snapshot", &["lag"]),
    ("metrics", &["lag"]),
    (
        "kafka",
        &["lag", "diagnostics", "offsets_topic", "snapshot", "metrics"],
    ),
    (
        "collect",
        &[
            "lag",
            "diagnostics",
            "offsets_topic",
            "snapshot",
            "metrics",
            "kafka",
        ],
    ),
    ("task", &["lag", "diagnostics", "metrics", "kafka"]),
    ("exposition", &["lag", "snapshot", "metrics"]),
    (
        "http",
        &["lag", "diagnostics", "snapshot", "metrics", "exposition"],
    ),
    (
        "app",
        &[
            "lag",
            "diagnostics",
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

/// Type names that may be defined more than once, each with the reason.
const SAME_NAMES: [(&str, &str); 0] = [];

/// Types that may have inherent `impl` blocks in other files than their own, each with the reason.
const DISTANT_IMPLS: [(&str, &str); 0] = [];

/// The most lines of a function.
const MAX_FUNCTION_LINES: usize = 60;

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
fn files_of_a_module_depend_on_one_another_without_a_circle() {
    let circles = structure::circles(&Sources::read());
    assert!(circles.is_empty(), "\n{}", print_circles(&circles));
}

#[test]
fn a_type_name_is_defined_once() {
    let sources = Sources::read();
    let mut names = structure::duplicate_types(&sources);
    for (name, _) in SAME_NAMES {
        assert!(
            names.remove(name).is_some(),
            "`{name}` is defined once, and needs no exception"
        );
    }
    assert!(names.is_empty(), "{names:#?}");
}

#[test]
fn a_type_has_its_methods_where_it_is_defined() {
    let sources = Sources::read();
    let mut found = structure::distant_impls(&sources);
    found.retain(|(name, _)| !DISTANT_IMPLS.iter().any(|(known, _)| known == name));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn functions_are_short() {
    let sources = Sources::read();
    let found = structure::long_functions(&sources, MAX_FUNCTION_LINES);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
#[expect(clippy::print_stdout, reason = "`tests/structure` prints this")]
fn the_structure_can_be_printed() {
    let sources = Sources::read();
    let mut text = String::from("circles between the files of a module:\n");
    text += &print_circles(&structure::circles(&sources));
    text += "\ntype names that are defined more than once:\n";
    for (name, files) in structure::duplicate_types(&sources) {
        let _ = writeln!(text, "  {name}: {}", files.join(", "));
    }
    text += "\ntypes with methods in another file than their own:\n";
    for (name, file) in structure::distant_impls(&sources) {
        let _ = writeln!(text, "  {name}: {file}");
    }
    text += "\nfunctions of more than 50 lines:\n";
    for (lines, name, file) in structure::long_functions(&sources, 50) {
        let _ = writeln!(text, "  {lines} {name}: {file}");
    }
    text += "\nlines without tests, by folder:\n";
    for (folder, lines) in structure::lines_by_folder(&sources) {
        let _ = writeln!(text, "  {lines:>6} {folder}");
    }
    assert!(text.contains("src/lag"), "{text}");
    println!("{text}");
}

#[test]
fn circles_are_found() {
    let edges = |pairs: &[(&str, &str)]| {
        let mut edges = structure::Circle::new();
        for (from, to) in pairs {
            let targets = edges.entry((*from).to_owned()).or_default();
            targets.insert((*to).to_owned());
        }
        edges
    };
    let chain = edges(&[("a", "b"), ("b", "c"), ("a", "c")]);
    assert_eq!(structure::circles_of(&chain), []);
    let circle = [("b", "c"), ("c", "d"), ("d", "b")];
    let all = edges(&[&circle[..], &[("a", "b"), ("d", "e")]].concat());
    assert_eq!(structure::circles_of(&all), [edges(&circle)]);
}

fn print_circles(circles: &std::collections::BTreeMap<String, Vec<structure::Circle>>) -> String {
    let mut text = String::new();
    for (module, circle) in circles
        .iter()
        .flat_map(|(module, all)| all.iter().map(move |one| (module, one)))
    {
        let _ = writeln!(text, "  {module}:");
        for (from, to) in circle {
            let to: Vec<&str> = to.iter().map(String::as_str).collect();
            let _ = writeln!(text, "    {from} depends on {}", to.join(", "));
        }
    }
    text
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
