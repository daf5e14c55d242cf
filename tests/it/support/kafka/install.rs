//! Apache Kafka from Maven, fetched and compiled once for all test runs of this machine.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::process::run;

const POM: &str = include_str!("pom.xml");

/// The Java programs beside this file.
const SOURCES: &[(&str, &str)] = &[
    ("Cluster.java", include_str!("java/Cluster.java")),
    ("Crowd.java", include_str!("java/Crowd.java")),
    ("CrowdGroup.java", include_str!("java/CrowdGroup.java")),
    ("CrowdInside.java", include_str!("java/CrowdInside.java")),
    ("CrowdLedger.java", include_str!("java/CrowdLedger.java")),
    ("CrowdMember.java", include_str!("java/CrowdMember.java")),
    (
        "CrowdTransactions.java",
        include_str!("java/CrowdTransactions.java"),
    ),
    ("Driver.java", include_str!("java/Driver.java")),
    ("Member.java", include_str!("java/Member.java")),
    ("Node.java", include_str!("java/Node.java")),
    ("OffsetsLog.java", include_str!("java/OffsetsLog.java")),
    ("OffsetsTopic.java", include_str!("java/OffsetsTopic.java")),
    ("Tool.java", include_str!("java/Tool.java")),
    ("Transaction.java", include_str!("java/Transaction.java")),
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
    let jars = build_once(folder, "jars", POM, fetch_jars);
    let sources: String = SOURCES.iter().map(|(_, text)| *text).collect();
    let classes = build_once(folder, "classes", &(sources + POM), |target| {
        compile(&jars, target);
    });
    format!("{}:{}/*", classes.display(), jars.display())
}

/// Returns the folder that `build` has filled from `input`, now or in an earlier run.
///
/// Its name tells the input: test runs of different checkouts share the cache without harming each other.
fn build_once(folder: &Path, name: &str, input: &str, build: impl FnOnce(&Path)) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let target = folder.join(format!("{name}-{:016x}", hasher.finish()));
    if !target.is_dir() {
        let unfinished = target.with_extension("unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        fs::create_dir_all(&unfinished).expect("the cache is writable");
        build(&unfinished);
        // Renamed last: a build that was cut short is no build.
        fs::rename(&unfinished, &target).expect("the cache is writable");
    }
    target
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
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        ])
        .args(["-cp", class_path(), main]);
    java
}
