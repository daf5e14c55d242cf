//! The root of the image, put together by the script that the Dockerfile runs: all that the program needs is in it; and
//! the unit of systemd.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::files::{in_repository, read};
use crate::support::{Scratch, run};

const PROGRAM: &str = "/usr/local/bin/lagwatch";
const BUILT: &str = env!("CARGO_BIN_EXE_lagwatch");

/// Runs the program as the image's user with `root` as its root folder, which cannot be written to but for a volume.
fn contained(root: &Path, script: &str) -> String {
    let script = script.replace(
        "RUN",
        &format!("chroot --userspec=65532:65532 \"$1\" {PROGRAM}"),
    );
    let script = format!(
        "set -eu
         mount --bind \"$1\" \"$1\"
         mount -o remount,ro,bind \"$1\"
         mount -t tmpfs -o mode=0700,uid=65532,gid=65532 none \"$1/var/lib/lagwatch\"
         {script}"
    );
    run(Command::new("unshare")
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(root))
}

#[test]
#[ignore = "needs root, to change its root folder"]
fn the_image_holds_all_that_the_program_needs() {
    let scratch = Scratch::new();
    let root = scratch.path().join("root");
    run(Command::new(in_repository("deploy/docker/make-root"))
        .arg(BUILT)
        .arg(&root));

    assert!(contained(&root, "RUN --version").starts_with("lagwatch "));
    // The authorities of the web are where librdkafka looks, and a name is looked up rather than refused.
    let checked = contained(
        &root,
        "RUN check --bootstrap-server 127.0.0.1:1 -X security.protocol=SSL --config-only; touch \"$1/tmp/x\" 2>/dev/null && echo writable || true",
    );
    assert!(checked.contains("the configuration is valid"), "{checked}");
    assert!(!checked.contains("writable"), "the root can be written to");
    // It serves, its health check says so, and the audit log goes where the volume is.
    let served = contained(
        &root,
        "RUN consume --bootstrap-server 127.0.0.1:1 --audit-log /var/lib/lagwatch/audit.sqlite --web.listen-address 127.0.0.1:29309 --log.level off & \
         tries=0; until RUN health --web.listen-address 127.0.0.1:29309; do tries=$((tries + 1)); [ $tries -lt 100 ]; sleep 0.1; done 2>/dev/null; \
         ls \"$1/var/lib/lagwatch\"; kill -KILL %1 2>/dev/null || kill -KILL $!",
    );
    assert!(served.contains("healthy"), "{served}");
    assert!(served.contains("audit.sqlite"), "{served}");

    // Small: the program, three libraries and their loader, certificates, and who is who.
    let others: u64 = sizes(&root) - fs::metadata(BUILT).expect("it is built").len();
    assert!(others < 8 << 20, "{others} bytes besides the program");
    let authorities = root.join("etc/ssl/certs/ca-certificates.crt");
    assert!(fs::metadata(authorities).expect("it is there").len() > 100_000);
    for package in ["libc6", "ca-certificates"] {
        let status = fs::read_to_string(root.join("var/lib/dpkg/status.d").join(package));
        assert!(status.expect("it is recorded").contains("\nVersion: "));
    }
    assert!(!root.join("bin/sh").exists());
    assert_eq!(
        fs::metadata(root.join("var/lib/lagwatch"))
            .expect("it is there")
            .uid(),
        65532
    );
}

fn sizes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("the folder is readable");
    entries
        .map(|entry| {
            let path = entry.expect("the folder is readable").path();
            match fs::symlink_metadata(&path).expect("it is there") {
                data if data.is_dir() => sizes(&path),
                data => data.len(),
            }
        })
        .sum()
}

#[test]
#[ignore = "needs systemd's tools"]
fn systemd_takes_its_unit_and_finds_it_hardened() {
    let scratch = Scratch::new();
    // systemd looks whether the program is there.
    let unit = read("deploy/systemd/lagwatch.service").replace(PROGRAM, BUILT);
    let unit = scratch.write("lagwatch.service", unit);
    // What it does not know it only warns of.
    let said = run(Command::new("sh")
        .args(["-c", "systemd-analyze verify --man=no \"$1\" 2>&1", "sh"])
        .arg(&unit));
    assert_eq!(said, "");
    // From 0, nothing can be done to the machine, to 10; what is left is that it speaks to the network.
    run(Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
        .arg(&unit));
}
