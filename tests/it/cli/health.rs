//! `lagwatch health`: the health check of an image without a shell.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;

use crate::support::{Authority, Finished, Lagwatch, Running, Scratch};

/// Nobody is there: alive is something else than ready.
const CLUSTER: &str = "clusters: [{ bootstrap-servers: [\"127.0.0.1:1\"] }]\n";

fn ask(address: SocketAddr, args: &[&str]) -> Finished {
    Lagwatch::new("health")
        .args(["--web.listen-address", &address.to_string()])
        .args(args)
        .run()
}

#[track_caller]
fn assert_healthy(running: &Running, args: &[&str]) {
    let finished = ask(running.address(), args).expect_success();
    assert_eq!(finished.stdout, "healthy\n");
    assert_eq!(finished.stderr, "");
}

#[test]
fn who_serves_is_healthy_whatever_kafka_does() {
    let running = Lagwatch::new("serve").config(CLUSTER).start();
    assert_eq!(running.status("/readyz"), Some(503));
    assert_healthy(&running, &[]);
    // The address from the environment and from the file, as the server itself takes it; a file without clusters will do.
    let address = running.address().to_string();
    let asked = Lagwatch::new("health").env("LAGWATCH_WEB_LISTEN_ADDRESS", &address);
    asked.run().expect_success();
    let file = format!("web: {{ listen-address: \"{address}\" }}\n");
    Lagwatch::new("health").config(&file).run().expect_success();
    running.stop().expect_success();
}

/// Runs `serve` with a web config file, until it is healthy as `health` with that file sees it.
#[track_caller]
fn assert_gets_healthy(web_config: &Path) {
    let free = TcpListener::bind("127.0.0.1:0").expect("the system finds a port");
    let address = free.local_addr().expect("it is bound");
    drop(free);
    let (file, address) = (web_config.display().to_string(), address.to_string());
    let web = ["--web.config.file", &file, "--web.listen-address", &address];
    let running = Lagwatch::new("serve").config(CLUSTER).args(web).spawn();
    running.wait_for_log("metrics on ");
    let finished = Lagwatch::new("health").args(web).run().expect_success();
    assert_eq!(finished.stdout, "healthy\n");
    running.stop().expect_success();
}

#[test]
fn who_asks_for_users_is_healthy_and_so_is_an_open_port_with_tls() {
    let scratch = Scratch::new();
    let hash = bcrypt::hash("s3cret", 4).expect("the password is short");
    let users = format!("basic_auth_users: {{ prometheus: \"{hash}\" }}\n");
    assert_gets_healthy(&scratch.write("users.yml", users));
    let credential = Authority::new("servers").issue("lagwatch");
    scratch.write("server.crt", credential.certificate);
    scratch.write("server.key", credential.key);
    let tls = "tls_server_config: { cert_file: server.crt, key_file: server.key }\n";
    assert_gets_healthy(&scratch.write("tls.yml", tls));
}

#[test]
fn who_does_not_answer_is_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the system finds a port");
    let address = listener.local_addr().expect("it is bound");
    // Connections are accepted by the system; nobody reads them.
    let finished = ask(address, &["--timeout", "200ms"]);
    assert_eq!(finished.status.code(), Some(1));
    let line = format!("error: asking `{address}`: no answer within 200ms\n");
    assert_eq!(finished.stderr, line);
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the first one, which has gone");
        let _ = stream.read(&mut [0; 1024]);
        let (mut stream, _) = listener.accept().expect("the second one");
        let _ = stream.read(&mut [0; 1024]);
        stream
            .write_all(b"HTTP/1.1 500 Oh\r\n\r\n")
            .expect("the client waits");
    });
    let finished = ask(address, &[]);
    assert_eq!(finished.status.code(), Some(1));
    let line = format!("error: asking `{address}`: answered `HTTP/1.1 500 Oh`\n");
    assert_eq!(finished.stderr, line);
    server.join().expect("it has answered");
    let finished = ask(address, &[]);
    assert_eq!(finished.status.code(), Some(1));
    assert!(
        finished.stderr.contains("Connection refused"),
        "{finished:?}"
    );
}

#[test]
fn a_wrong_file_is_told_as_such() {
    let finished = Lagwatch::new("health").config("web: { port: 1 }\n").run();
    assert_eq!(finished.status.code(), Some(2));
    assert!(
        finished.stderr.contains("unknown key `port`"),
        "{finished:?}"
    );
}
