//! What the files of `deploy/` say by themselves: versions, images, ports, grace periods, configurations.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::files::{documents, in_repository, list, read, text};
use super::objects::assert_config;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
fn every_file_names_the_version_of_the_program() {
    for (path, line) in [
        ("deploy/Dockerfile", "lagwatch:VERSION"),
        ("deploy/README.md", "lagwatch:VERSION"),
        ("deploy/compose.yaml", "image: lagwatch:VERSION"),
        ("deploy/helm/lagwatch/Chart.yaml", "appVersion: VERSION"),
        ("deploy/helm/lagwatch/Chart.yaml", "\nversion: VERSION"),
        (
            "deploy/kubernetes/exporter/kustomization.yaml",
            "newTag: VERSION",
        ),
        (
            "deploy/kubernetes/sidecar/kustomization.yaml",
            "newTag: VERSION",
        ),
    ] {
        let line = line.replace("VERSION", VERSION);
        assert!(read(path).contains(&line), "{path} does not say `{line}`");
    }
}

#[test]
fn every_configuration_is_taken() {
    let mut configs = Vec::new();
    for folder in ["compose", "kubernetes/sidecar", "kubernetes/exporter"] {
        for name in ["lagwatch.yaml", "consumer.yaml"] {
            let path = format!("deploy/{folder}/{name}");
            if in_repository(&path).exists() {
                assert_config(&read(&path));
                configs.push(path);
            }
        }
    }
    assert_eq!(configs.len(), 5, "{configs:?}");
}

#[test]
fn who_is_told_to_end_has_time_for_it() {
    let grace = |path: &str| -> u64 {
        let config = documents(&read(path));
        let grace = text(&config[0], "/consumer/grace-period");
        let seconds = grace.strip_suffix('s').expect("it is in seconds");
        seconds.parse().expect("a number")
    };
    let sidecar = documents(&read("deploy/kubernetes/sidecar/deployment.yaml"));
    let seconds = sidecar[0].pointer("/spec/template/spec/terminationGracePeriodSeconds");
    let seconds = seconds.and_then(Value::as_u64).expect("it is given");
    assert!(seconds >= grace("deploy/kubernetes/sidecar/consumer.yaml") + 10);
    let compose = documents(&read("deploy/compose.yaml"));
    let seconds = text(&compose[0], "/services/consumer/stop_grace_period");
    let seconds: u64 = seconds
        .trim_end_matches('s')
        .parse()
        .expect("it is in seconds");
    assert!(seconds >= grace("deploy/compose/consumer.yaml") + 10);
}

#[test]
fn prometheus_of_compose_scrapes_what_is_served() {
    let prometheus = documents(&read("deploy/compose/prometheus.yaml"));
    let targets = list(&prometheus[0], "/scrape_configs/0/static_configs/0/targets");
    assert_eq!(targets, ["consumer:9308", "consumer:9309"]);
    let compose = documents(&read("deploy/compose.yaml"));
    let services = &compose[0]["services"];
    assert_eq!(services["lagwatch"]["network_mode"], "service:consumer");
    assert_eq!(
        services["consumer"]["environment"]["LAGWATCH_WEB_LISTEN_ADDRESS"],
        ":9309"
    );
    for pattern in list(&prometheus[0], "/rule_files") {
        let (folder, ending) = pattern
            .as_str()
            .and_then(|path| path.split_once("/*"))
            .expect("a pattern");
        assert_eq!(folder, "lagwatch");
        let files = fs::read_dir(in_repository("alerts")).expect("there are alerts");
        let mut names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        assert!(
            names.any(|name| name.ends_with(ending)),
            "no file is like {pattern}"
        );
    }
}

/// The instructions of the Dockerfile, with their lines joined.
fn instructions() -> Vec<String> {
    let joined = read("deploy/Dockerfile").replace("\\\n", " ");
    let lines = joined
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_image_is_pinned_and_its_user_and_its_health_check_need_no_shell() {
    let instructions = instructions();
    let of = |name: &str| -> Vec<&str> {
        let found = instructions
            .iter()
            .filter_map(|line| line.strip_prefix(name));
        found.map(str::trim).collect()
    };
    let bases = of("FROM ");
    for base in &bases[..bases.len() - 1] {
        let image = base.split(' ').next().expect("it has a name");
        let tag = image.split_once(':').map_or("", |(_, tag)| tag);
        let release = tag.split('-').next().unwrap_or_default();
        assert!(release.split('.').count() >= 2, "{image} is not pinned");
    }
    assert_eq!(bases.last(), Some(&"scratch"));
    assert_eq!(of("USER "), ["65532:65532"]);
    let check = of("HEALTHCHECK ");
    assert!(
        check[0].ends_with(r#"CMD ["/usr/local/bin/lagwatch", "health"]"#),
        "{check:?}"
    );
    assert_eq!(of("ENTRYPOINT "), [r#"["/usr/local/bin/lagwatch"]"#]);
    // The compiler that Cargo.toml asks for.
    let rust = format!("rust:{}.", env!("CARGO_PKG_RUST_VERSION"));
    assert!(bases[0].starts_with(&rust), "{} is not of {rust}", bases[0]);
}

#[test]
fn the_image_is_built_from_all_that_cargo_needs() {
    let instructions = instructions();
    let ignored = read("deploy/Dockerfile.dockerignore");
    let allowed: Vec<&str> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    let copied: Vec<&str> = instructions
        .iter()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| line.split(' ').rev().skip(1))
        .collect();
    assert!(
        ignored.lines().any(|line| line == "*"),
        "nothing else is sent"
    );
    let (mut sent, mut used) = (allowed.clone(), copied.clone());
    sent.sort_unstable();
    used.sort_unstable();
    assert_eq!(sent, used);
    for name in &copied {
        assert!(in_repository(name).exists(), "there is no {name}");
    }
    // Whatever the manifest and the sources name, outside their own folder.
    let manifest = read("Cargo.toml");
    assert!(!manifest.contains("\nbuild = ") && !in_repository("build.rs").exists());
    let is_copied = |path: &Path| {
        copied
            .iter()
            .any(|name| path.starts_with(in_repository(name)))
    };
    assert!(
        is_copied(&in_repository("benches/task.rs")),
        "Cargo.toml names it"
    );
    let mut included = 0;
    for_each_source(&in_repository("src"), &mut |path, text| {
        for part in text
            .split("include_str!(\"")
            .chain(text.split("include_bytes!(\""))
            .skip(1)
        {
            let Some((name, _)) = part.split_once("\")") else {
                continue;
            };
            let file = path.parent().expect("it is in a folder").join(name);
            if file.exists() {
                let file = file.canonicalize().expect("it exists");
                assert!(
                    is_copied(&file),
                    "{} is included and not sent",
                    file.display()
                );
                included += 1;
            }
        }
    });
    assert!(included > 0, "the sources include files");
}

fn for_each_source(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            for_each_source(&path, look);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            look(&path, &fs::read_to_string(&path).expect("sources are text"));
        }
    }
}

#[test]
fn links_of_the_readme_lead_somewhere() {
    let readme = read("deploy/README.md");
    let mut links = 0;
    for part in readme.split("](").skip(1) {
        let (link, _) = part.split_once(')').expect("a link has an end");
        let path = link.split('#').next().unwrap_or_default();
        if path.is_empty() || path.starts_with("http") {
            continue;
        }
        assert!(
            in_repository("deploy").join(path).exists(),
            "there is no {path}"
        );
        links += 1;
    }
    assert!(links > 3, "{links}");
}

#[test]
fn the_properties_for_managed_clouds_are_taken() {
    let readme = read("deploy/README.md");
    let (_, section) = readme
        .split_once("\n## Managed clouds\n")
        .expect("there is a section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut clouds = 0;
    for part in section.split("\n**").skip(1) {
        // Names stand for themselves, and an ellipsis for a part of one.
        let block = part
            .replace('…', "x")
            .replace("${CONFLUENT_API_KEY}", "key");
        let lines = block.lines().filter_map(|line| line.strip_prefix("    "));
        let lines: Vec<&str> = lines.collect();
        let mut alternatives = lines.split(|line| line.starts_with("# or"));
        let first = alternatives.next().expect("there is one at least");
        let head = first.iter().take(2);
        let others = alternatives.map(|other| head.clone().chain(other).copied().collect());
        let first: Vec<&str> = first.to_vec();
        for config in std::iter::once(first).chain(others) {
            assert!(config.len() > 4, "{part}");
            assert_config(&format!("clusters:\n- {}\n", config.join("\n  ")));
            clouds += 1;
        }
    }
    assert_eq!(clouds, 6);
}
