//! TLS between this client and a server on loopback that speaks no Kafka: it answers a byte by a byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslContext, SslMethod, SslVerifyMode, SslVersion};
use openssl::stack::Stack;
use openssl::symm::Cipher;
use openssl::x509::X509;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;

use super::super::Security;
use crate::kafka::connection_error::ConnectionError;
use crate::kafka::error::KafkaError;

const SECRET: &str = "hunter2";

/// Somebody who issues certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
struct Credential {
    certificate: X509,
    key: PKey<Private>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("there are random numbers");
        Self(CertifiedIssuer::self_signed(params, key).expect("the parameters are sound"))
    }

    fn intermediate(&self) -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "intermediate");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("there are random numbers");
        Self(CertifiedIssuer::signed_by(params, key, &self.0).expect("the parameters are sound"))
    }

    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Credential {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("the names are sound");
        params.serial_number = Some(SerialNumber::from(7));
        change(&mut params);
        let key = KeyPair::generate().expect("there are random numbers");
        let certificate = params.signed_by(&key, &self.0).expect("it is signed");
        Credential {
            certificate: X509::from_der(certificate.der()).expect("it is a certificate"),
            key: PKey::private_key_from_der(&key.serialize_der()).expect("it is a key"),
        }
    }

    fn revoke(&self, serial: u64) -> String {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2024, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.0).expect("it is signed");
        list.pem().expect("it is text")
    }
}

impl Credential {
    fn certificate_pem(&self) -> Vec<u8> {
        self.certificate.to_pem().expect("it is text")
    }

    fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().expect("it is text")
    }

    fn encrypted_key_pem(&self, password: &str) -> Vec<u8> {
        self.key
            .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password.as_bytes())
            .expect("it is text")
    }
}

/// What a server asks of its clients.
#[derive(Clone, Copy)]
enum Clients {
    Anybody,
    Certified(SslVersion),
    /// Like the one before, and the server names its authority.
    CertifiedByNamed(SslVersion),
    /// The server names its authority, and lets in clients without a certificate, too.
    Asked(SslVersion),
}

/// What is on disk and behind a port.
struct World {
    authority: Authority,
    folder: TempDir,
    port: u16,
}

impl World {
    /// Starts a server with the certificate; clients need one of the same authority where it asks for one.
    async fn start(change: impl FnOnce(&mut CertificateParams), clients: Clients) -> Self {
        let authority = Authority::new("brokers");
        let credential = authority.issue(change);
        let mut context = SslContext::builder(SslMethod::tls_server()).expect("OpenSSL works");
        context
            .set_certificate(&credential.certificate)
            .expect("it is sound");
        context
            .set_private_key(&credential.key)
            .expect("it is sound");
        let root = X509::from_der(authority.0.der()).expect("it is a certificate");
        let required = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
        let asking = match clients {
            Clients::Anybody => None,
            Clients::Certified(version) => Some((version, required, false)),
            Clients::CertifiedByNamed(version) => Some((version, required, true)),
            Clients::Asked(version) => Some((version, SslVerifyMode::PEER, true)),
        };
        if let Some((version, verify, names_authority)) = asking {
            context
                .set_max_proto_version(Some(version))
                .expect("it is known");
            context.set_verify(verify);
            if names_authority {
                context.add_client_ca(&root).expect("it is sound");
            }
            context
                .cert_store_mut()
                .add_cert(root)
                .expect("it is sound");
        }
        let context = context.build();
        let port = listen(move |tcp| {
            let ssl = openssl::ssl::Ssl::new(&context).expect("OpenSSL works");
            async move {
                let mut stream = SslStream::new(ssl, tcp).expect("OpenSSL works");
                if std::pin::Pin::new(&mut stream).accept().await.is_ok() {
                    answer(&mut stream).await;
                }
            }
        })
        .await;
        let folder = TempDir::new().expect("there is a temporary folder");
        fs::write(folder.path().join("ca.pem"), authority.0.pem()).expect("it is writable");
        Self {
            authority,
            folder,
            port,
        }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, bytes).expect("it is writable");
        path.display().to_string()
    }

    /// Returns the path of the right authority.
    fn ca(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    async fn connect(&self, host: &str, properties: &[(&str, &str)]) -> Result<(), KafkaError> {
        let security = security(properties).expect("the properties are valid");
        connect(&security, self.port, host).await
    }
}

/// Serves every connection on a free port.
async fn listen<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback is there");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp));
        }
    });
    port
}

async fn answer(stream: &mut SslStream<TcpStream>) {
    let mut byte = [0];
    if stream.read_exact(&mut byte).await.is_ok() {
        let _ = stream.write_all(&byte).await;
        let _ = stream.flush().await;
    }
}

fn security(properties: &[(&str, &str)]) -> Result<Security, ConnectionError> {
    let mut map: BTreeMap<_, _> = properties
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    map.insert("security.protocol".to_owned(), "SSL".to_owned());
    Security::new(&map)
}

#[tokio::test]
async fn a_listener_that_expects_tls_is_named_to_a_client_without() {
    let closing = listen(|mut tcp| async move {
        let _ = tcp.read(&mut [0; 16]).await;
    })
    .await;
    let plain = Security::new(&BTreeMap::new()).expect("there is nothing to refuse");
    assert_error(
        connect(&plain, closing, "localhost").await,
        "the broker closed the connection before it answered: connecting to a SSL broker listener? (see \
         `security.protocol`) (`_TRANSPORT`)",
    );
}

/// Connects, and sends a byte that has to come back.
async fn connect(security: &Security, port: u16, host: &str) -> Result<(), KafkaError> {
    let tcp = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("it listens");
    let mut transport = security.secure(tcp, host).await?;
    let mut byte = [0];
    let stream = &mut transport.stream;
    let exchange = async {
        stream.write_all(b"x").await?;
        stream.flush().await?;
        stream.read_exact(&mut byte).await
    };
    exchange.await.map_err(|error| transport.broken(&error))?;
    assert_eq!(&byte, b"x");
    Ok(())
}

#[track_caller]
fn assert_error(outcome: Result<(), KafkaError>, expected: &str) {
    let error = outcome.expect_err("it fails").to_string();
    assert_eq!(error, expected);
}

#[track_caller]
fn assert_refused(properties: &[(&str, &str)], expected: &str) {
    let error = security(properties).expect_err("it is refused");
    let text = error.to_string();
    assert!(!text.contains(SECRET), "{text}");
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    assert!(
        text.starts_with(&format!("librdkafka property {expected}")),
        "got `{text}`, expected `{expected}`"
    );
}

fn as_issued(_: &mut CertificateParams) {}

#[tokio::test]
async fn a_trusted_broker_is_reached_by_name_and_by_address() {
    let world = World::start(as_issued, Clients::Anybody).await;
    let ca = world.ca();
    for host in ["localhost", "127.0.0.1"] {
        let outcome = world.connect(host, &[("ssl.ca.location", &ca)]).await;
        assert_eq!(outcome, Ok(()), "{host}");
    }
}

#[tokio::test]
async fn authorities_come_from_a_text_or_a_hashed_folder() {
    let world = World::start(as_issued, Clients::Anybody).await;
    let pem = format!(
        "{}\n{}",
        Authority::new("strangers").0.pem(),
        world.authority.0.pem()
    );
    let outcome = world.connect("localhost", &[("ssl.ca.pem", &pem)]).await;
    assert_eq!(outcome, Ok(()));

    let root = X509::from_der(world.authority.0.der()).expect("it is a certificate");
    let folder = world.folder.path().join("authorities");
    fs::create_dir(&folder).expect("it is writable");
    let name = format!("{:08x}.0", root.subject_name_hash());
    fs::write(folder.join(name), world.authority.0.pem()).expect("it is writable");
    let folder = folder.display().to_string();
    let outcome = world
        .connect("localhost", &[("ssl.ca.location", &folder)])
        .await;
    assert_eq!(outcome, Ok(()));
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted_unless_nothing_is_verified() {
    let world = World::start(as_issued, Clients::Anybody).await;
    let other = world.write("other.pem", Authority::new("strangers").0.pem());
    assert_error(
        world
            .connect("localhost", &[("ssl.ca.location", &other)])
            .await,
        "SSL handshake failed: certificate verify failed: unable to get local issuer certificate: broker certificate could \
         not be verified, verify that ssl.ca.location is correctly configured or root CA certificates are installed (`_SSL`)",
    );
    let namesake = Authority::new("brokers").0.pem();
    let outcome = world
        .connect("localhost", &[("ssl.ca.pem", &namesake)])
        .await;
    let error = outcome.expect_err("only the name is the same");
    assert!(
        error.message.contains("certificate signature failure"),
        "{error}"
    );
    for properties in [&[][..], &[("ssl.ca.location", "probe")]] {
        let error = world
            .connect("localhost", properties)
            .await
            .expect_err("it is unknown");
        assert!(
            error.message.contains("certificate verify failed"),
            "{error}"
        );
    }
    let unverified = [
        ("ssl.ca.location", other.as_str()),
        ("enable.ssl.certificate.verification", "false"),
    ];
    assert_eq!(world.connect("other", &unverified).await, Ok(()));
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused_unless_names_are_not_checked() {
    let world = World::start(as_issued, Clients::Anybody).await;
    let ca = world.ca();
    let trusting = [("ssl.ca.location", ca.as_str())];
    assert_error(
        world.connect("kafka-1", &trusting).await,
        "SSL handshake failed: certificate verify failed: hostname mismatch: broker certificate does not hold `kafka-1`, use \
         a name that it holds or set `ssl.endpoint.identification.algorithm` to `none` (`_SSL`)",
    );
    assert_error(
        world.connect("127.0.0.2", &trusting).await,
        "SSL handshake failed: certificate verify failed: IP address mismatch: broker certificate does not hold `127.0.0.2`, \
         use a name that it holds or set `ssl.endpoint.identification.algorithm` to `none` (`_SSL`)",
    );
    let unchecked = [
        ("ssl.ca.location", ca.as_str()),
        ("ssl.endpoint.identification.algorithm", "None"),
    ];
    assert_eq!(world.connect("kafka-1", &unchecked).await, Ok(()));
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let world = World::start(expired, Clients::Anybody).await;
    assert_error(
        world
            .connect("localhost", &[("ssl.ca.location", &world.ca())])
            .await,
        "SSL handshake failed: certificate verify failed: certificate has expired: broker certificate could not be verified, \
         renew it or correct the clock of this machine (`_SSL`)",
    );
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_and_another_is_not() {
    let world = World::start(as_issued, Clients::Anybody).await;
    let ca = world.ca();
    let with = |crl: &str| {
        let crl = world.write("list.pem", crl);
        [("ssl.ca.location", ca.clone()), ("ssl.crl.location", crl)]
    };
    let connect = |properties: [(&'static str, String); 2]| {
        let world = &world;
        async move {
            let [(ca_name, ca), (crl_name, crl)] = &properties;
            world
                .connect("localhost", &[(ca_name, ca), (crl_name, crl)])
                .await
        }
    };
    assert_error(
        connect(with(&world.authority.revoke(7))).await,
        "SSL handshake failed: certificate verify failed: certificate revoked: broker certificate could not be verified, \
         `ssl.crl.location` lists it (`_SSL`)",
    );
    assert_eq!(connect(with(&world.authority.revoke(8))).await, Ok(()));
}

#[tokio::test]
async fn a_broker_that_requires_a_certificate_lets_in_who_has_one() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let world = World::start(as_issued, Clients::Certified(version)).await;
        let (ca, client) = (world.ca(), world.authority.issue(as_issued));
        let certificate = world.write("client.pem", client.certificate_pem());
        let key = world.write("client.key", client.key_pem());
        let encrypted = world.write("encrypted.key", client.encrypted_key_pem(SECRET));
        let (certificate_pem, key_pem) = (client.certificate_pem(), client.key_pem());
        let text = |pem: &[u8]| String::from_utf8(pem.to_vec()).expect("it is text");
        let (certificate_pem, key_pem) = (text(&certificate_pem), text(&key_pem));
        let mut issuers = Stack::new().expect("there is memory");
        issuers
            .push(X509::from_der(world.authority.0.der()).expect("it is a certificate"))
            .expect("there is memory");
        let store = Pkcs12::builder()
            .cert(&client.certificate)
            .pkey(&client.key)
            .ca(issuers)
            .build2(SECRET)
            .and_then(|store| store.to_der())
            .expect("it is sound");
        let store = world.write("client.p12", store);
        for properties in [
            &[
                ("ssl.certificate.location", certificate.as_str()),
                ("ssl.key.location", &key),
            ][..],
            &[
                ("ssl.certificate.location", &certificate),
                ("ssl.key.location", &encrypted),
                ("ssl.key.password", SECRET),
            ],
            &[
                ("ssl.certificate.pem", &certificate_pem),
                ("ssl.key.pem", &key_pem),
            ],
            &[
                ("ssl.keystore.location", &store),
                ("ssl.keystore.password", SECRET),
            ],
        ] {
            let mut properties = properties.to_vec();
            properties.push(("ssl.ca.location", &ca));
            let outcome = world.connect("localhost", &properties).await;
            assert_eq!(outcome, Ok(()), "{version:?} {properties:?}");
        }
    }
}

#[tokio::test]
async fn a_broker_that_requires_a_certificate_keeps_out_who_has_none() {
    for (version, expected) in [
        (
            SslVersion::TLS1_2,
            "SSL handshake failed: ssl/tls alert handshake failure: the broker refuses the connection: it may require a \
             client certificate (`ssl.certificate.location` and `ssl.key.location`, or `ssl.keystore.location`), or have no \
             TLS version or cipher suite in common (`_SSL`)",
        ),
        (
            SslVersion::TLS1_3,
            "SSL handshake failed: tlsv13 alert certificate required: the broker requires a client certificate: set \
             `ssl.certificate.location` and `ssl.key.location`, or `ssl.keystore.location` (`_SSL`)",
        ),
    ] {
        let world = World::start(as_issued, Clients::Certified(version)).await;
        let outcome = world
            .connect("localhost", &[("ssl.ca.location", &world.ca())])
            .await;
        assert_error(outcome, expected);
    }
}

#[tokio::test]
async fn a_client_of_another_authority_is_kept_out() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let world = World::start(as_issued, Clients::Certified(version)).await;
        let client = Authority::new("strangers").issue(as_issued);
        let certificate = world.write("client.pem", client.certificate_pem());
        let key = world.write("client.key", client.key_pem());
        let properties = [
            ("ssl.ca.location", world.ca()),
            ("ssl.certificate.location", certificate),
            ("ssl.key.location", key),
        ];
        let properties: Vec<_> = properties
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let error = world.connect("localhost", &properties).await;
        let error = error.expect_err("it is unknown").to_string();
        assert!(
            error.ends_with("the broker does not accept the client's certificate (`_SSL`)"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_certificate_is_shown_only_where_its_authority_is_accepted() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let world = World::start(as_issued, Clients::Asked(version)).await;
        let client = Authority::new("strangers").issue(as_issued);
        let certificate = world.write("client.pem", client.certificate_pem());
        let key = world.write("client.key", client.key_pem());
        let ca = world.ca();
        let outcome = world
            .connect(
                "localhost",
                &[
                    ("ssl.ca.location", &ca),
                    ("ssl.certificate.location", &certificate),
                    ("ssl.key.location", &key),
                ],
            )
            .await;
        assert_eq!(outcome, Ok(()), "{version:?}");
    }
}

#[tokio::test]
async fn a_certificate_of_an_intermediate_authority_is_shown_with_its_chain() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let world = World::start(as_issued, Clients::CertifiedByNamed(version)).await;
        let intermediate = world.authority.intermediate();
        let client = intermediate.issue(as_issued);
        let mut chain = client.certificate_pem();
        chain.extend(intermediate.0.pem().into_bytes());
        let pem = String::from_utf8(chain.clone()).expect("it is text");
        let certificate = world.write("client.pem", chain);
        let key = world.write("client.key", client.key_pem());
        let ca = world.ca();
        for chain in [
            ("ssl.certificate.location", certificate),
            ("ssl.certificate.pem", pem),
        ] {
            let properties = [
                ("ssl.ca.location", ca.as_str()),
                (chain.0, &chain.1),
                ("ssl.key.location", &key),
            ];
            let outcome = world.connect("localhost", &properties).await;
            assert_eq!(outcome, Ok(()), "{version:?} {}", chain.0);
        }
    }
}

#[tokio::test]
async fn a_listener_without_tls_is_named() {
    let closing = listen(|tcp| async move { drop(tcp) }).await;
    let talking = listen(|mut tcp| async move {
        let _ = tcp.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").await;
        let _ = tcp.read(&mut [0; 1024]).await;
    })
    .await;
    let security = security(&[]).expect("the properties are valid");
    let left = connect(&security, closing, "localhost")
        .await
        .expect_err("it is left");
    let left = left.to_string();
    assert!(
        left.starts_with("SSL handshake failed: connection "),
        "{left}"
    );
    assert!(
        left.ends_with("by peer: connecting to a PLAINTEXT broker listener? (`_TRANSPORT`)"),
        "{left}"
    );
    assert_error(
        connect(&security, talking, "localhost").await,
        "SSL handshake failed: wrong version number: the broker does not answer in TLS: connecting to a PLAINTEXT broker \
         listener? (`_SSL`)",
    );
}

#[tokio::test]
async fn ciphers_curves_and_signatures_reach_the_broker() {
    let world = World::start(as_issued, Clients::Anybody).await;
    let ca = world.ca();
    for (name, value, is_accepted) in [
        ("ssl.curves.list", "P-256:X25519", true),
        ("ssl.sigalgs.list", "ECDSA+SHA256:RSA+SHA256", true),
        ("ssl.cipher.suites", "ECDHE-ECDSA-AES128-GCM-SHA256", true),
        // The certificate is signed by ECDSA.
        ("ssl.sigalgs.list", "RSA+SHA256", false),
    ] {
        let outcome = world
            .connect("localhost", &[("ssl.ca.location", &ca), (name, value)])
            .await;
        assert_eq!(outcome.is_ok(), is_accepted, "{name}={value}: {outcome:?}");
    }
    for name in ["ssl.cipher.suites", "ssl.curves.list", "ssl.sigalgs.list"] {
        assert_refused(
            &[(name, "none-of-this")],
            &format!("`{name}`: `none-of-this`: "),
        );
    }
}

#[tokio::test]
async fn a_file_or_a_password_that_cannot_be_used_is_named_without_the_password() {
    let world = World::start(as_issued, Clients::Anybody).await;
    let client = world.authority.issue(as_issued);
    let other = world.authority.issue(as_issued);
    let certificate = world.write("client.pem", client.certificate_pem());
    let key = world.write("client.key", client.key_pem());
    let other_key = world.write("other.key", other.key_pem());
    let encrypted = world.write("encrypted.key", client.encrypted_key_pem("right"));
    let empty = world.write("empty", "");
    let store = Pkcs12::builder()
        .cert(&client.certificate)
        .pkey(&client.key)
        .build2("right")
        .and_then(|store| store.to_der())
        .expect("it is sound");
    let store = world.write("client.p12", store);
    let long = SECRET.repeat(1000);
    let with_certificate = ("ssl.certificate.location", certificate.as_str());
    for (properties, expected) in [
        (
            &[("ssl.ca.location", empty.as_str())][..],
            "`ssl.ca.location`: `",
        ),
        (
            &[("ssl.ca.pem", SECRET)],
            "`ssl.ca.pem`: the value is not a certificate in PEM format",
        ),
        (&[("ssl.crl.location", &empty)], "`ssl.crl.location`: `"),
        (
            &[("ssl.certificate.location", &empty)],
            "`ssl.certificate.location`: `",
        ),
        (
            &[("ssl.certificate.pem", SECRET)],
            "`ssl.certificate.pem`: the value is not a certificate in PEM format",
        ),
        (
            &[with_certificate, ("ssl.key.location", &certificate)],
            "`ssl.key.location`: there is no private key in PEM format: ",
        ),
        (
            &[with_certificate, ("ssl.key.pem", SECRET)],
            "`ssl.key.pem`: there is no private key in PEM format: ",
        ),
        (
            &[with_certificate, ("ssl.key.location", &other_key)],
            "`ssl.key.location`: the private key does not belong to the certificate",
        ),
        (
            &[("ssl.key.location", &key)],
            "`ssl.key.location`: the private key has no certificate: set `ssl.certificate.location`",
        ),
        (
            &[with_certificate, ("ssl.key.location", &encrypted)],
            "`ssl.key.location`: the private key is encrypted: set `ssl.key.password`",
        ),
        (
            &[
                with_certificate,
                ("ssl.key.location", &encrypted),
                ("ssl.key.password", SECRET),
            ],
            "`ssl.key.password`: the password does not decrypt the private key of `ssl.key.location`",
        ),
        (
            &[
                with_certificate,
                ("ssl.key.location", &encrypted),
                ("ssl.key.password", &long),
            ],
            "`ssl.key.password`: the password does not decrypt the private key of `ssl.key.location`",
        ),
        (
            &[("ssl.keystore.location", &store)],
            "`ssl.keystore.location`: the keystore is encrypted: set `ssl.keystore.password`",
        ),
        (
            &[
                ("ssl.keystore.location", &store),
                ("ssl.keystore.password", SECRET),
            ],
            "`ssl.keystore.password`: the password does not decrypt `",
        ),
        (
            &[
                ("ssl.keystore.location", &key),
                ("ssl.keystore.password", SECRET),
            ],
            "`ssl.keystore.location`: `",
        ),
        (
            &[("ssl.providers", "none-of-this")],
            "`ssl.providers`: `none-of-this`: ",
        ),
        (
            &[("ssl.endpoint.identification.algorithm", "ldap")],
            "`ssl.endpoint.identification.algorithm`: expected `https` or `none`, found `ldap`",
        ),
    ] {
        assert_refused(properties, expected);
    }
}
