//! The web configuration file, over real sockets: TLS, certificates of clients, users, headers.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lagwatch::http::{HttpConfig, Limits, WebConfig};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use super::server::{LIMIT, Server};
use super::world::{uniform, world};
use crate::support::{
    Authority, Credential, Response, Scratch, connect, eventually, get, get_over,
};

/// Long enough not to be reached by a loaded machine that works, short enough to be waited for.
const SHORT: Duration = Duration::from_millis(700);

const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// A folder with a certificate for the server, its key, and a web configuration beside them.
struct Folder {
    scratch: Scratch,
    authority: Authority,
}

impl Folder {
    fn new() -> Self {
        let folder = Self {
            scratch: Scratch::new(),
            authority: Authority::new("servers"),
        };
        folder.renew();
        folder
    }

    /// Writes a new certificate and key for the server.
    fn renew(&self) {
        let Credential { certificate, key } = self.authority.issue("lagwatch");
        self.write("server.crt", &certificate);
        self.write("server.key", &key);
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        self.scratch.write(name, text)
    }

    /// Writes the web configuration: TLS with `keys`, and what comes after that section.
    fn tls(&self, keys: &str, rest: &str) -> PathBuf {
        let tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
        self.write("web.yml", &format!("{tls}{keys}{rest}"))
    }

    /// A client that trusts this server, and shows a certificate if it has one.
    fn client(&self, credential: Option<&Credential>) -> Arc<ClientConfig> {
        client(&self.authority, credential, BOTH)
    }
}

fn client(
    authority: &Authority,
    credential: Option<&Credential>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("it is PEM");
    roots.add(root).expect("it is an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .expect("the provider knows both")
        .with_root_certificates(roots);
    let config = match credential {
        None => builder.with_no_client_auth(),
        Some(Credential { certificate, key }) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("it is PEM");
            let chain = vec![certificate.expect("it is PEM")];
            builder
                .with_client_auth_cert(chain, key)
                .expect("they belong together")
        }
    };
    Arc::new(config)
}

fn serve(path: &Path) -> Server {
    serve_within(path, Limits::default())
}

fn serve_within(path: &Path, limits: Limits) -> Server {
    let config = HttpConfig {
        web_config: Some(WebConfig::load(path).expect("the file is valid")),
        limits,
        ..HttpConfig::default()
    };
    Server::start(world(vec![uniform(1, 7, Instant::now())]), config)
}

/// Asks over TLS. A server that does not like the client's certificate says so only once the client has spoken.
fn https(
    server: &Server,
    client: &Arc<ClientConfig>,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<Response> {
    let name = ServerName::try_from("127.0.0.1").expect("it is an address");
    let connection = ClientConnection::new(Arc::clone(client), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, connect(server.address)?);
    get_over(&mut stream, path, headers)
}

#[track_caller]
fn assert_refused(outcome: io::Result<Response>, reason: &str) {
    let error = outcome.expect_err("the handshake fails").to_string();
    assert!(error.contains(reason), "{error}");
}

fn authorization(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

fn hash(password: &str) -> String {
    // The cheapest there is: what is tested is not how slow it is.
    bcrypt::hash(password, 4).expect("the cost is allowed")
}

#[test]
fn every_route_is_served_over_tls_to_those_who_trust_the_certificate() {
    let folder = Folder::new();
    let server = serve(&folder.tls("", ""));
    for versions in [BOTH, &[&TLS12], &[&TLS13]] {
        let client = client(&folder.authority, None, versions);
        for path in ["/metrics", "/healthz", "/", "/api/v1/groups"] {
            let answer = https(&server, &client, path, &[]).expect("the server answers");
            assert_eq!(answer.status, 200, "{path}");
        }
    }
    let stranger = client(&Authority::new("strangers"), None, BOTH);
    assert_refused(https(&server, &stranger, "/metrics", &[]), "UnknownIssuer");
    let plain = get(server.address, "/metrics", &[]);
    assert!(plain.is_err(), "plain HTTP has no answer here: {plain:?}");
    eventually("both failures to be counted", LIMIT, || {
        server.own.http().tls_handshake_errors.get() == 2
    });
}

#[test]
fn certificates_of_clients_are_judged_as_the_type_says() {
    let folder = Folder::new();
    let clients = Authority::new("clients");
    folder.write("clients.crt", &clients.pem());
    let good = clients.issue("prometheus");
    let stranger = Authority::new("strangers").issue("prometheus");
    // Whether a client is served with no certificate, with one of a stranger, and with a good one.
    for (keys, expected) in [
        ("  client_auth_type: NoClientCert\n", [true, true, true]),
        (
            "  client_auth_type: RequestClientCert\n",
            [true, true, true],
        ),
        (
            "  client_auth_type: RequireAnyClientCert\n",
            [false, true, true],
        ),
        (
            "  client_auth_type: RequireClientCert\n",
            [false, true, true],
        ),
        (
            "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: clients.crt\n",
            [true, false, true],
        ),
        (
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n",
            [false, false, true],
        ),
    ] {
        let server = serve(&folder.tls(keys, ""));
        for versions in [&[&TLS12][..], &[&TLS13]] {
            for (credential, expected) in [None, Some(&stranger), Some(&good)]
                .into_iter()
                .zip(expected)
            {
                let client = client(&folder.authority, credential, versions);
                let answer = https(&server, &client, "/metrics", &[]);
                let is_served = answer.as_ref().is_ok_and(|answer| answer.status == 200);
                assert_eq!(is_served, expected, "{keys}{versions:?}: {answer:?}");
            }
        }
    }
}

#[test]
fn the_oldest_version_can_be_told() {
    let folder = Folder::new();
    let server = serve(&folder.tls("  min_version: TLS13\n", ""));
    let old = client(&folder.authority, None, &[&TLS12]);
    assert_refused(https(&server, &old, "/metrics", &[]), "ProtocolVersion");
    let new = client(&folder.authority, None, &[&TLS13]);
    assert!(https(&server, &new, "/metrics", &[]).is_ok());
}

#[test]
fn certificates_may_stand_in_the_file_itself() {
    let folder = Folder::new();
    let Credential { certificate, key } = folder.authority.issue("lagwatch");
    let indented = |pem: &str| pem.replace('\n', "\n    ");
    let (certificate, key) = (indented(&certificate), indented(&key));
    let yaml = format!("tls_server_config:\n  cert: |\n    {certificate}\n  key: |\n    {key}\n");
    let server = serve(&folder.write("web.yml", &yaml));
    let answer = https(&server, &folder.client(None), "/metrics", &[]);
    assert_eq!(answer.expect("the server answers").status, 200);
}

#[test]
fn every_path_asks_for_a_user_and_tells_no_more_without_one() {
    let folder = Folder::new();
    let yaml = format!("basic_auth_users:\n  prometheus: {}\n", hash("s3cret:"));
    let server = serve(&folder.write("web.yml", &yaml));
    let right = authorization("prometheus:s3cret:");
    for path in [
        "/metrics",
        "/healthz",
        "/readyz",
        "/",
        "/api/v1/groups",
        "/nowhere",
    ] {
        let expected = if path == "/nowhere" { 404 } else { 200 };
        let answer = server.get_with(path, &[("authorization", &right)]);
        assert_eq!(answer.status, expected, "{path}");
        for headers in [
            vec![],
            vec![("authorization", authorization("prometheus:wrong"))],
            vec![("authorization", authorization("nobody:s3cret:"))],
            vec![("authorization", "Bearer s3cret:".to_owned())],
            vec![("authorization", "Basic !!!".to_owned())],
        ] {
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let answer = server.get_with(path, &headers);
            assert_eq!(answer.status, 401, "{path} {headers:?}");
            assert_eq!(answer.headers["www-authenticate"], "Basic");
            assert_eq!(answer.text(), "Unauthorized\n");
        }
    }
    let scrape = server.get_with("/metrics", &[("authorization", &right)]);
    assert!(
        scrape
            .text()
            .contains("lagwatch_http_requests_total{route=\"/metrics\",code=\"401\"} 5")
    );
    assert!(!scrape.text().contains("s3cret"));
}

#[test]
fn tls_users_and_headers_go_together() {
    let folder = Folder::new();
    let rest = format!(
        "http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=60\nbasic_auth_users: {{ ann: \"{}\" }}\n",
        hash("x")
    );
    let server = serve(&folder.tls("", &rest));
    let client = folder.client(None);
    for (credentials, status) in [("ann:x", 200), ("ann:y", 401)] {
        let headers = [("authorization", &*authorization(credentials))];
        let answer = https(&server, &client, "/metrics", &headers).expect("the server answers");
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers["x-frame-options"], "deny");
        assert_eq!(answer.headers["strict-transport-security"], "max-age=60");
    }
}

#[test]
fn a_handshake_that_never_ends_is_cut_off_and_delays_nobody() {
    let folder = Folder::new();
    let limits = Limits {
        header_timeout: SHORT,
        max_connections: 3,
        ..Limits::default()
    };
    let server = serve_within(&folder.tls("", ""), limits);
    let client = folder.client(None);
    let connections = &server.own.http().connections;
    let mut silent = server.send("");
    // The beginning of a record that says that more will come.
    let mut slow = server.send("\u{16}\u{3}\u{1}\u{1}");
    eventually("both connections", LIMIT, || connections.get() == 2);
    let answer = https(&server, &client, "/metrics", &[]).expect("nobody is in its way");
    assert_eq!(answer.status, 200);
    assert_eq!(silent.drain(), 0);
    assert_eq!(slow.drain(), 0);
    eventually("the end of all connections", LIMIT, || {
        connections.get() == 0
    });
    assert_eq!(server.own.http().tls_handshake_errors.get(), 2);
}

#[test]
fn handshakes_count_within_the_limit_of_connections() {
    let folder = Folder::new();
    let limits = Limits {
        max_connections: 1,
        ..Limits::default()
    };
    let server = serve_within(&folder.tls("", ""), limits);
    let silent = server.send("");
    let connections = &server.own.http().connections;
    eventually("the connection", LIMIT, || connections.get() == 1);
    assert_eq!(server.send("").drain(), 0);
    assert_eq!(server.own.http().rejected.get(), 1);
    drop(silent);
}

#[test]
fn a_shutdown_does_not_wait_for_handshakes() {
    let folder = Folder::new();
    let limits = Limits {
        header_timeout: 10 * LIMIT,
        drain_timeout: 10 * LIMIT,
        ..Limits::default()
    };
    let mut server = serve_within(&folder.tls("", ""), limits);
    let mut silent = server.send("");
    let connections = Arc::new(server.own.http().connections.clone());
    eventually("the connection", LIMIT, || connections.get() == 1);
    server.stop();
    assert_eq!(silent.drain(), 0);
    server.join();
}

#[test]
fn a_client_that_says_nothing_after_its_handshake_is_cut_off() {
    let folder = Folder::new();
    let limits = Limits {
        header_timeout: SHORT,
        ..Limits::default()
    };
    let server = serve_within(&folder.tls("", ""), limits);
    let name = ServerName::try_from("127.0.0.1").expect("it is an address");
    let connection = ClientConnection::new(folder.client(None), name).expect("it is sound");
    let socket = connect(server.address).expect("the server listens");
    let mut stream = StreamOwned::new(connection, socket);
    let mut nothing = Vec::new();
    let read = stream.read_to_end(&mut nothing);
    assert!(nothing.is_empty(), "{read:?}");
    eventually("the end of the connection", LIMIT, || {
        server.own.http().connections.get() == 0
    });
    assert_eq!(server.own.http().tls_handshake_errors.get(), 0);
}

#[test]
fn renewed_certificates_and_changed_users_count_without_a_restart() {
    let folder = Folder::new();
    let users = |password: &str| format!("basic_auth_users: {{ ann: \"{}\" }}\n", hash(password));
    let server = serve(&folder.tls("", &users("old")));
    let status = |client: &Arc<ClientConfig>, password: &str| {
        let value = authorization(&format!("ann:{password}"));
        let answer = https(&server, client, "/metrics", &[("authorization", &value)]);
        answer.map(|answer| answer.status).ok()
    };
    let before = folder.client(None);
    assert_eq!(status(&before, "old"), Some(200));

    let other = Folder {
        authority: Authority::new("others"),
        ..folder
    };
    other.renew();
    let after = other.client(None);
    eventually("the renewed certificate", LIMIT, || {
        status(&after, "old") == Some(200)
    });
    assert_eq!(status(&before, "old"), None);

    other.tls("", &users("new"));
    eventually("the new password", LIMIT, || {
        status(&after, "new") == Some(200)
    });
    assert_eq!(status(&after, "old"), Some(401));
}

#[test]
fn what_cannot_be_used_or_would_open_a_closed_server_leaves_the_old_file_in_force() {
    let folder = Folder::new();
    let users = format!("basic_auth_users: {{ ann: \"{}\" }}\n", hash("x"));
    let path = folder.tls("", &users);
    let config = WebConfig::load(&path).expect("the file is valid");
    let closed = fs::read_to_string(&path).expect("it was written");
    for (yaml, problem) in [
        (String::new(), "turning TLS off"),
        (users.clone(), "turning TLS off"),
        (
            closed.replace(&users, ""),
            "removing all of `basic_auth_users`",
        ),
    ] {
        folder.write("web.yml", &yaml);
        let next = WebConfig::load(&path).expect("it is valid by itself");
        let error = config
            .replace_by(&next)
            .expect_err("it would open the server");
        let expected = format!("{}: {problem} takes a restart", path.display());
        assert_eq!(error.to_string(), expected);
    }
    let server = Server::start(
        world(vec![uniform(1, 7, Instant::now())]),
        HttpConfig {
            web_config: Some(config),
            ..HttpConfig::default()
        },
    );
    let answer = https(&server, &folder.client(None), "/metrics", &[]);
    assert_eq!(answer.expect("TLS is still on").status, 401);
}

#[test]
fn what_is_wrong_with_a_file_is_one_line_that_names_it_and_shows_no_secret() {
    let folder = Folder::new();
    let key = fs::read_to_string(folder.scratch.path().join("server.key")).expect("it was written");
    let secret = key.lines().nth(1).expect("a key has lines").to_owned();
    folder.write("damaged.key", &key.replace('=', "!").replace("END", "DNE"));
    folder.write("other.key", &Authority::new("x").issue("x").key);
    let tls = "tls_server_config:\n  cert_file: server.crt\n";
    for (yaml, expected) in [
        (
            "tls_sever_config: {}\n".to_owned(),
            "web.yml:1: unknown key `tls_sever_config`; did you mean `tls_server_config`?",
        ),
        (
            format!("{tls}  keyfile: server.key\n"),
            "web.yml:3: unknown key `keyfile`; did you mean `key_file`?",
        ),
        (tls.to_owned(), "`tls_server_config` needs `key_file`"),
        (
            format!("{tls}  key_file: nowhere.key\n"),
            "/nowhere.key`: No such file",
        ),
        (
            format!("{tls}  key_file: server.crt\n"),
            "/server.crt`: there is none in PEM, unencrypted",
        ),
        (
            format!("{tls}  key_file: damaged.key\n"),
            "/damaged.key`: this is damaged PEM",
        ),
        (
            format!("{tls}  key_file: other.key\n"),
            "/other.key`: keys may not be consistent",
        ),
        (
            format!("{tls}  key_file: server.key\n  key: {secret}\n"),
            "both `key` and `key_file` are given",
        ),
        (
            format!("{tls}  key_file: server.key\n  min_version: TLS11\n"),
            "web.yml:4: `min_version`: `TLS11` is too old to be spoken; there are TLS12, TLS13",
        ),
        (
            format!("{tls}  key_file: server.key\n  min_version: TLS13\n  max_version: TLS12\n"),
            "web.yml:4: `min_version` is above `max_version`",
        ),
        (
            format!("{tls}  key_file: server.key\n  client_auth_type: RequireAndVerify\n"),
            "web.yml:4: unknown `client_auth_type` `RequireAndVerify`; did you mean `RequireAndVerifyClientCert`?",
        ),
        (
            format!(
                "{tls}  key_file: server.key\n  client_auth_type: RequireAndVerifyClientCert\n"
            ),
            "web.yml:4: this `client_auth_type` needs a `client_ca_file`",
        ),
        (
            format!("{tls}  key_file: server.key\n  client_ca_file: server.crt\n"),
            "web.yml:4: client authorities are of no use without a `client_auth_type`",
        ),
        (
            format!("{tls}  key_file: server.key\n  client_allowed_sans: [x]\n"),
            "web.yml:4: `client_allowed_sans` is not supported by lagwatch",
        ),
        (
            "rate_limit: { interval: 1s }\n".to_owned(),
            "web.yml:1: `rate_limit` is not supported by lagwatch",
        ),
        (
            "basic_auth_users:\n  ann: hunter2\n".to_owned(),
            "web.yml:2: the password of `ann` is no bcrypt hash",
        ),
        (
            "basic_auth_users:\n  ann: [hunter2]\n".to_owned(),
            "web.yml:2: expected",
        ),
        (
            "basic_auth_users: hunter2\n".to_owned(),
            "web.yml:1: expected",
        ),
        (
            "http_server_config:\n  headers:\n    X-Frame-Option: deny\n".to_owned(),
            "web.yml:3: unknown header `X-Frame-Option`; did you mean `X-Frame-Options`?",
        ),
        (
            "http_server_config: { headers: { X-Frame-Options: allow } }\n".to_owned(),
            "web.yml:1: `X-Frame-Options` is `deny` or `sameorigin`, not `allow`",
        ),
        ("hunter2\n".to_owned(), "web.yml:1: expected"),
        ("a: [\n".to_owned(), "web.yml:"),
    ] {
        let path = folder.write("web.yml", &yaml);
        let error = WebConfig::load(&path).expect_err(&yaml);
        let error = format!("{:#}", anyhow::Error::from(error));
        assert!(
            error.contains(expected),
            "expected: {expected}\ngot: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(
            !error.contains("hunter2") && !error.contains(&secret),
            "{error}"
        );
    }
}

#[test]
fn what_says_nothing_asks_for_nothing() {
    let folder = Folder::new();
    for yaml in [
        "",
        "# TLS comes later\n",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n",
        "tls_server_config: { cert_file: \"\", key_file: \"\" }\nbasic_auth_users: {}\n",
    ] {
        let server = serve(&folder.write("web.yml", yaml));
        assert_eq!(server.get("/metrics").status, 200, "{yaml}");
    }
}
