//! Apache Kafka from Maven, fetched and compiled once for all test runs of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::version::KafkaVersion;
use crate::support::cache;
use crate::support::process::run;

const POM: &str = include_str!("pom.xml");
/// What brokers of other releases than the newest run from.
const BROKER_POM: &str = include_str!("broker.pom.xml");

/// The Java programs beside this file.
const SOURCES: &[(&str, &str)] = &[
    ("Bulk.java", include_str!("java/Bulk.java")),
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
    ("Requests.java", include_str!("java/Requests.java")),
    ("ShareMember.java", include_str!("java/ShareMember.java")),
    ("StreamsApp.java", include_str!("java/StreamsApp.java")),
    ("Tool.java", include_str!("java/Tool.java")),
    ("Transaction.java", include_str!("java/Transaction.java")),
    ("Users.java", include_str!("java/Users.java")),
];

/// Returns the class path of Kafka and of the programs beside this file; installs what is missing.
///
/// The folder is `LAGWATCH_KAFKA_DIR`, or `lagwatch-test/kafka` in the user's cache.
pub(crate) fn class_path() -> &'static str {
    static CLASS_PATH: OnceLock<String> = OnceLock::new();
    CLASS_PATH.get_or_init(|| install(&folder()))
}

/// Returns the class path of a broker of this release; installs what is missing.
pub(super) fn broker_class_path(version: KafkaVersion) -> String {
    let folder = folder();
    let _lock = cache::lock(&folder);
    let name = format!("broker-{version}");
    let jars = cache::build_once(&folder, &name, BROKER_POM, |target| {
        fetch_jars(BROKER_POM, &[format!("-Dkafka.version={version}")], target);
    });
    format!("{}/*", jars.display())
}

fn folder() -> PathBuf {
    cache::folder("LAGWATCH_KAFKA_DIR", "kafka")
}

fn install(folder: &Path) -> String {
    let _lock = cache::lock(folder);
    let jars = cache::build_once(folder, "jars", POM, |target| fetch_jars(POM, &[], target));
    let sources: String = SOURCES.iter().map(|(_, text)| *text).collect();
    let classes = cache::build_once(folder, "classes", &(sources + POM), |target| {
        compile(&jars, target);
    });
    format!("{}:{}/*", classes.display(), jars.display())
}

fn fetch_jars(content: &str, arguments: &[String], target: &Path) {
    let pom = target.with_file_name("pom.xml");
    fs::write(&pom, content).expect("the cache is writable");
    run(Command::new("mvn")
        .args(arguments)
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
    java_from(class_path(), main, heap_mb)
}

/// As [`java`], from a class path of the caller's.
pub(super) fn java_from(class_path: &str, main: &str, heap_mb: u32) -> Command {
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
        .args(["-cp", class_path, main]);
    java
}
