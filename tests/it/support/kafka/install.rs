//! Apache Kafka from Maven, fetched and compiled once for all test runs of this machine.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::process::run;

const POM: &str = include_str!("pom.xml");

/// The Java programs beside this file.
const SOURCES: &[(&str, &str)] = &[
    ("Cluster.java", include_str!("java/Cluster.java")),
    ("Driver.java", include_str!("java/Driver.java")),
    ("Member.java", include_str!("java/Member.java")),
    ("Node.java", include_str!("java/Node.java")),
    ("Tool.java", include_str!("java/Tool.java")),
];

/// Returns the class path of Kafka and of the programs beside this file; installs what is missing.
///
/// The folder is `LAGWATCH_KAFKA_DIR`, or `lagwatch-test/kafka` in the user's cache.
pub(crate) fn class_path() -> &'static str {
    static CLASS_PATH: OnceLock<String> = OnceLock::new();
    CLASS_PATH.get_or_init(|| install(&folder()))
}

fn folder() -> PathBuf {
    let cache = || match env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".cache"),
    };
    match env::var_os("LAGWATCH_KAFKA_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => cache().join("lagwatch-test/kafka"),
    }
}

fn install(folder: &Path) -> String {
    fs::create_dir_all(folder).expect("the cache is writable");
    let lock = File::create(folder.join("lock")).expect("the cache is writable");
    lock.lock().expect("the cache can be locked");
    let jars = folder.join("jars");
    build_once(&jars, POM, fetch_jars);
    let classes = folder.join("classes");
    let sources: String = SOURCES.iter().map(|(_, text)| *text).collect();
    build_once(&classes, &(sources + POM), |target| {
        compile(&jars, target);
    });
    format!("{}:{}/*", classes.display(), jars.display())
}

/// Fills `target` with `build` unless it was filled from the same `input` before.
fn build_once(target: &Path, input: &str, build: impl FnOnce(&Path)) {
    let stamp = target.with_extension("input");
    if target.is_dir() && fs::read_to_string(&stamp).is_ok_and(|text| text == input) {
        return;
    }
    let _ = fs::remove_file(&stamp);
    let _ = fs::remove_dir_all(target);
    fs::create_dir_all(target).expect("the cache is writable");
    build(target);
    // Written last: a build that was cut short is no build.
    fs::write(&stamp, input).expect("the cache is writable");
}

fn fetch_jars(target: &Path) {
    let pom = target.with_file_name("pom.xml");
    fs::write(&pom, POM).expect("the cache is writable");
    run(Command::new("mvn")
        .args(["--batch-mode", "--quiet", "dependency:copy-dependencies"])
        .arg("-DincludeScope=runtime")
        .arg(format!("-DoutputDirectory={}", target.display()))
        .arg("--file")
        .arg(pom));
}

fn compile(jars: &Path, target: &Path) {
    let folder = target.with_file_name("sources");
    fs::create_dir_all(&folder).expect("the cache is writable");
    let mut javac = Command::new("javac");
    javac.arg("-cp").arg(format!("{}/*", jars.display()));
    javac.arg("-d").arg(target);
    for (name, text) in SOURCES {
        let path = folder.join(name);
        fs::write(&path, text).expect("the cache is writable");
        javac.arg(path);
    }
    run(&mut javac);
}

/// Begins a Java process that runs `main` with a heap of `heap_mb` at most.
pub(crate) fn java(main: &str, heap_mb: u32) -> Command {
    let mut java = Command::new("java");
    java.arg(format!("-Xmx{heap_mb}m"))
        // Short-lived processes on few cores: no second compiler, no parallel collector, no files in /tmp.
        .args([
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
        ])
        .args([
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        ])
        .args(["-cp", class_path(), main]);
    java
}
