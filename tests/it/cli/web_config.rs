//! `--web.config.file` from the command line, at start and on reload.

use std::fs;
use std::io;

use crate::support::{Authority, Credential, Lagwatch, Scratch, Signal, eventually, get};

const CLUSTER: &str = "clusters: [{ bootstrap-servers: [\"127.0.0.1:1\"] }]\n";
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

#[test]
fn a_wrong_web_config_file_is_refused_before_anything_starts() {
    let scratch = Scratch::new();
    let path = scratch.write("web.yml", "basic_auth_user: {}\n");
    let path = path.display().to_string();
    let text = format!(
        "error: {path}:1: unknown key `basic_auth_user`; did you mean `basic_auth_users`?\n"
    );
    let address = ["--web.listen-address", "127.0.0.1:0"];
    let runs = [
        Lagwatch::new("serve").config(CLUSTER).args(address),
        Lagwatch::new("consume").config(CLUSTER).args(address),
        Lagwatch::new("demo").args(address),
    ];
    for run in runs {
        let finished = run.args(["--web.config.file", &path]).run();
        assert_eq!(finished.stderr, text);
        assert_eq!(finished.status.code(), Some(2));
        assert_eq!(finished.stdout, "");
    }
    let config = format!("{CLUSTER}web: {{ config-file: {path} }}\n");
    let checked = Lagwatch::new("check")
        .config(&config)
        .args(["--config-only"])
        .run();
    assert_eq!(checked.stderr, text);
    assert_eq!(checked.status.code(), Some(2));
    let missing = Lagwatch::new("serve")
        .config(CLUSTER)
        .args(["--web.config.file", "nowhere.yml"])
        .run();
    let text =
        "error: reading web config file `nowhere.yml`: No such file or directory (os error 2)\n";
    assert_eq!(missing.stderr, text);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn a_web_config_file_that_this_command_does_not_need_is_not_read() {
    let config = format!("{CLUSTER}web: {{ config-file: nowhere.yml }}\n");
    let finished = Lagwatch::new("describe")
        .config(&config)
        .args(["--all-groups", "--timeout", "1s"])
        .run();
    assert!(finished.stderr.contains("reading from"), "{finished:?}");
}

#[test]
fn serve_follows_its_web_config_file_on_reload_and_stays_closed_when_it_is_wrong() {
    let scratch = Scratch::new();
    let hash = |password: &str| bcrypt::hash(password, 4).expect("the cost is allowed");
    let users = |password: &str| format!("basic_auth_users: {{ ann: \"{}\" }}\n", hash(password));
    let path = scratch.write("web.yml", "");
    let config = scratch.write(
        "lagwatch.yaml",
        format!("{CLUSTER}web: {{ config-file: {} }}\n", path.display()),
    );
    let mut running = Lagwatch::new("serve")
        .args(["--config".as_ref(), config.as_os_str()])
        .start();
    let status = |authorization: &str| -> io::Result<u16> {
        let headers = [("authorization", authorization)];
        Ok(get(running.address(), "/healthz", &headers)?.status)
    };
    // "ann:one" and "ann:two"
    let (one, two) = ("Basic YW5uOm9uZQ==", "Basic YW5uOnR3bw==");
    fs::write(&path, users("one")).expect("the folder is writable");
    running.signal(Signal::HangUp);
    eventually("the server to be closed", LIMIT, || {
        running.status("/healthz") == Some(401)
    });
    assert_eq!(status(one).ok(), Some(200));

    fs::write(&path, "basic_auth_users: { ann: two }\n").expect("the folder is writable");
    running.signal(Signal::HangUp);
    let told = "configuration not reloaded, the old one stays in force: ";
    eventually("the reload to be refused", LIMIT, || {
        running.log().contains(told)
    });
    assert!(
        running
            .log()
            .contains("web.yml:1: the password of `ann` is no bcrypt hash"),
        "{}",
        running.log()
    );
    assert_eq!(status(one).ok(), Some(200));

    fs::write(&path, "").expect("the folder is writable");
    running.signal(Signal::HangUp);
    eventually("the reload to be refused", LIMIT, || {
        running
            .log()
            .contains("removing all of `basic_auth_users` takes a restart")
    });
    assert_eq!(running.status("/healthz"), Some(401));

    fs::write(&path, users("two")).expect("the folder is writable");
    running.signal(Signal::HangUp);
    eventually("the new password", LIMIT, || status(two).ok() == Some(200));
    assert_eq!(status(one).ok(), Some(401));
    assert!(running.is_running());
    let finished = running.stop().expect_success();
    assert!(!finished.stderr.contains("$2b$"), "{}", finished.stderr);
}

#[test]
fn the_address_is_told_with_its_scheme() {
    let scratch = Scratch::new();
    let Credential { certificate, key } = Authority::new("servers").issue("lagwatch");
    scratch.write("server.crt", certificate);
    scratch.write("server.key", key);
    let path = scratch.write(
        "web.yml",
        "tls_server_config: { cert_file: server.crt, key_file: server.key }\n",
    );
    let running = Lagwatch::new("serve")
        .config(CLUSTER)
        .args(["--web.listen-address", "127.0.0.1:0"])
        .args(["--web.config.file".as_ref(), path.as_os_str()])
        .spawn();
    eventually("the address", LIMIT, || {
        running.log().contains("metrics on https://127.0.0.1:")
    });
    running.stop().expect_success();
}
