//! Every security protocol and SASL mechanism against a real broker, with right and wrong credentials.
//!
//! `describe` stands for the half of the Kafka layer that asks brokers, `produce` for librdkafka's half. Both are given the
//! same properties: both connect, or both say why not, in one line and without a secret.
//!
//! `LAGWATCH_REAUTH_SECONDS` sets how long clients log in again every two seconds: 10 unless set, 60 for a full run.

use std::env;
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::symm::Cipher;
use openssl::x509::X509;
use rcgen::{SanType, date_time_ymd};

use crate::support::{
    Authority, Credential, Finished, Kafka, Lagwatch, Listener, Running, Scratch,
};

const TOPIC: &str = "orders";
const GROUP: &str = "billing";
const USER: &str = "matrix";
const PASSWORD: &str = "correct-horse";
const WRONG_PASSWORD: &str = "wrong-battery";
const KEY_PASSWORD: &str = "key-staple";
const SECRETS: [&str; 4] = [PASSWORD, WRONG_PASSWORD, KEY_PASSWORD, "eyJ"];

const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

/// How long a command tries, in seconds: librdkafka uses all of it where it is kept out.
const TIMEOUT: &str = "8";

/// How many cases run at once: most of them wait.
const WORKERS: usize = 4;

/// One node with a listener for every way in, and the files that clients need.
struct World {
    kafka: Kafka,
    authority: Authority,
    /// The path of its certificate.
    authority_file: String,
    scratch: Scratch,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let authority = Authority::new("brokers");
        let broker = authority.issue("broker");
        let expired = authority.issue_with("broker", |params| {
            params.not_after = date_time_ymd(2020, 1, 1);
        });
        let elsewhere = authority.issue_with("broker", |params| {
            let name = "kafka.example.com".try_into().expect("it is a name");
            params.subject_alt_names = vec![SanType::DnsName(name)];
        });
        let kafka = Kafka::builder()
            .counting_requests()
            .scram_user(USER, PASSWORD)
            .listener(Listener::new("OPEN", "SSL").certificate(&broker))
            .listener(
                Listener::new("CERTIFIED", "SSL")
                    .certificate(&broker)
                    .only_certified_by(&authority.pem()),
            )
            .listener(Listener::new("EXPIRED", "SSL").certificate(&expired))
            .listener(Listener::new("ELSEWHERE", "SSL").certificate(&elsewhere))
            .listener(with_login(Listener::new("LOGIN", "SASL_PLAINTEXT")))
            .listener(with_login(
                Listener::new("SAFE_LOGIN", "SASL_SSL").certificate(&broker),
            ))
            .listener(MECHANISMS.iter().fold(
                with_login(Listener::new("SHORT_LOGIN", "SASL_PLAINTEXT")),
                |listener, mechanism| {
                    let mechanism = mechanism.to_lowercase();
                    listener.property(&format!("{mechanism}.connections.max.reauth.ms"), "2000")
                },
            ))
            .start();
        kafka.create_topic(TOPIC, 1);
        kafka.produce(TOPIC, 0, 10);
        let member = kafka.member(GROUP).assign(&[(TOPIC, 0)]).open();
        member.consume(TOPIC, 0, 3);
        member.close();
        let scratch = Scratch::new();
        let authority_file = scratch.write("authority.pem", authority.pem());
        World {
            kafka,
            authority,
            authority_file: authority_file.display().to_string(),
            scratch,
        }
    })
}

/// Lets clients log in by every mechanism. A token has to grant the scope `lagwatch`.
fn with_login(listener: Listener) -> Listener {
    let user = format!("plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\"");
    listener
        .mechanism("PLAIN", &user)
        .mechanism("SCRAM-SHA-256", "scram.ScramLoginModule required")
        .mechanism("SCRAM-SHA-512", "scram.ScramLoginModule required")
        .mechanism(
            "OAUTHBEARER",
            "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\" \
             unsecuredValidatorRequiredScope=\"lagwatch\"",
        )
}

/// librdkafka's properties, without `-X`.
type Properties = Vec<String>;

/// Returns properties and one more.
fn with(mut properties: Properties, property: impl Into<String>) -> Properties {
    properties.push(property.into());
    properties
}

impl World {
    /// Returns TLS that trusts the right authority.
    fn tls(&self) -> Properties {
        vec![
            "security.protocol=SSL".to_owned(),
            format!("ssl.ca.location={}", self.authority_file),
        ]
    }

    /// Writes a file and returns its path.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        self.scratch.write(name, bytes).display().to_string()
    }
}

/// Returns what logs in by a mechanism; the wrong half of it with `password` wrong.
fn login(protocol: &str, mechanism: &str, password: &str) -> Properties {
    let mut properties = vec![
        format!("security.protocol={protocol}"),
        format!("sasl.mechanism={mechanism}"),
    ];
    if mechanism == "OAUTHBEARER" {
        let scope = if password == PASSWORD {
            "lagwatch"
        } else {
            "other"
        };
        properties.extend([
            "enable.sasl.oauthbearer.unsecure.jwt=true".to_owned(),
            format!("sasl.oauthbearer.config=principal={USER} scope={scope}"),
        ]);
    } else {
        properties.extend([
            format!("sasl.username={USER}"),
            format!("sasl.password={password}"),
        ]);
    }
    properties
}

/// A way in, and what comes of it.
struct Case {
    name: String,
    listener: &'static str,
    properties: Properties,
    outcome: Outcome,
}

#[derive(Clone, Copy)]
enum Outcome {
    Connects,
    /// The broker or OpenSSL keeps the client out. One of the texts is in the line that says so.
    KeptOut(&'static [&'static str]),
    /// The properties are refused before anything connects, for this reason.
    Refused(&'static str),
}

/// A half of the Kafka layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Admin,
    Librdkafka,
}

impl Half {
    /// Runs a command that reads or writes a record by this half.
    fn run(self, case: &Case) -> Finished {
        let Case {
            listener,
            properties,
            ..
        } = case;
        let command = match self {
            Self::Admin => Lagwatch::new("describe")
                .args(["--group", GROUP])
                .args(["--timeout", &format!("{TIMEOUT}s")]),
            Self::Librdkafka => Lagwatch::new("produce")
                .args(["--topic", TOPIC, "--count", "1"])
                .args(["-X", &format!("message.timeout.ms={TIMEOUT}000")]),
        };
        command
            .args(["--bootstrap-server", &world().kafka.servers_of(listener)])
            .args(properties.iter().flat_map(|property| ["-X", property]))
            .run()
    }

    /// Checks what a run has printed. Returns what is wrong with it.
    fn check(self, outcome: Outcome, finished: &Finished) -> Result<(), &'static str> {
        let Finished {
            status,
            stdout,
            stderr,
        } = finished;
        let says = |line: &str, texts: &[&str]| texts.iter().any(|text| line.contains(text));
        let lines_with = |texts| stderr.lines().filter(|line| says(line, texts)).count();
        if SECRETS
            .iter()
            .any(|secret| stdout.contains(secret) || stderr.contains(secret))
        {
            return Err("it prints a secret");
        }
        let (code, has_one_line) = match (outcome, self) {
            (Outcome::Connects, _) => (0, lines_with(&["WARN", "ERROR", "error"]) == 0),
            (Outcome::KeptOut(reasons), Self::Admin) => {
                (1, stderr.lines().count() == 1 && lines_with(reasons) == 1)
            }
            // librdkafka has two texts for one failure of TLS, with and without its hint, by the moment at which OpenSSL
            // reports it. Beside them, `produce` reports that nothing was delivered.
            (Outcome::KeptOut(reasons), Self::Librdkafka) => {
                (1, (1..=2).contains(&lines_with(reasons)))
            }
            (Outcome::Refused(reason), _) => {
                (2, stderr.lines().count() == 1 && lines_with(&[reason]) == 1)
            }
        };
        if status.code() != Some(code) {
            return Err("it ends with another code");
        }
        if !has_one_line {
            return Err("it does not say why, once");
        }
        Ok(())
    }
}

/// Runs every case by both halves, and fails with all that are wrong.
fn check_all(cases: &[Case]) {
    world();
    let runs: Vec<_> = cases
        .iter()
        .flat_map(|case| [(case, Half::Admin), (case, Half::Librdkafka)])
        .collect();
    let (waiting, wrong) = (Mutex::new(runs.iter()), Mutex::new(Vec::new()));
    let next = || waiting.lock().expect("nobody panics with it").next();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((case, half)) = next() {
                    let finished = half.run(case);
                    if let Err(problem) = half.check(case.outcome, &finished) {
                        let text = format!("{} ({half:?}): {problem}: {finished:#?}", case.name);
                        wrong.lock().expect("nobody panics with it").push(text);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panics with it");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn every_mechanism_lets_in_right_credentials_and_keeps_out_wrong_ones() {
    let mut cases = Vec::new();
    for (protocol, listener) in [("SASL_PLAINTEXT", "LOGIN"), ("SASL_SSL", "SAFE_LOGIN")] {
        for mechanism in MECHANISMS {
            let reason: &[&str] = match mechanism {
                "OAUTHBEARER" => &["insufficient_scope"],
                _ => &["uthentication failed"],
            };
            for (password, outcome) in [
                (PASSWORD, Outcome::Connects),
                (WRONG_PASSWORD, Outcome::KeptOut(reason)),
            ] {
                let mut properties = login(protocol, mechanism, password);
                properties.push(format!("ssl.ca.location={}", world().authority_file));
                cases.push(Case {
                    name: format!("{protocol} {mechanism}, password `{password}`"),
                    listener,
                    properties,
                    outcome,
                });
            }
        }
    }
    check_all(&cases);
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_broker_is_reached_where_its_certificate_is_right() {
    let world = world();
    let stranger = world.file("stranger.pem", Authority::new("strangers").pem());
    const DISTRUST: Outcome = Outcome::KeptOut(&["certificate verify failed"]);
    let untrusting = vec!["security.protocol=SSL".to_owned()];
    let cases = [
        ("trusted", "OPEN", world.tls(), Outcome::Connects),
        ("no authority", "OPEN", untrusting.clone(), DISTRUST),
        (
            "another authority",
            "OPEN",
            with(untrusting.clone(), format!("ssl.ca.location={stranger}")),
            DISTRUST,
        ),
        (
            "authority as a text",
            "OPEN",
            with(
                untrusting.clone(),
                format!("ssl.ca.pem={}", world.authority.pem()),
            ),
            Outcome::Connects,
        ),
        (
            "unverified",
            "EXPIRED",
            with(untrusting, "enable.ssl.certificate.verification=false"),
            Outcome::Connects,
        ),
        ("expired", "EXPIRED", world.tls(), DISTRUST),
        ("another name", "ELSEWHERE", world.tls(), DISTRUST),
        (
            "another name, unchecked",
            "ELSEWHERE",
            with(world.tls(), "ssl.endpoint.identification.algorithm=none"),
            Outcome::Connects,
        ),
        (
            "TLS where there is none",
            "LOGIN",
            world.tls(),
            Outcome::KeptOut(&["connecting to a PLAINTEXT broker listener?"]),
        ),
    ];
    check_all(&cases.map(|(name, listener, properties, outcome)| Case {
        name: name.to_owned(),
        listener,
        properties,
        outcome,
    }));
}

/// Returns a client's key, encrypted by [`KEY_PASSWORD`].
fn encrypted(credential: &Credential) -> Vec<u8> {
    PKey::private_key_from_pem(credential.key.as_bytes())
        .and_then(|key| {
            key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), KEY_PASSWORD.as_bytes())
        })
        .expect("the key is sound")
}

/// Returns a client's certificate and key as PKCS#12, encrypted by [`KEY_PASSWORD`].
fn keystore(credential: &Credential) -> Vec<u8> {
    let Credential { certificate, key } = credential;
    let certificate = X509::from_pem(certificate.as_bytes()).expect("it is a certificate");
    let key = PKey::private_key_from_pem(key.as_bytes()).expect("it is a key");
    Pkcs12::builder()
        .cert(&certificate)
        .pkey(&key)
        .build2(KEY_PASSWORD)
        .and_then(|store| store.to_der())
        .expect("both are sound")
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_client_is_let_in_where_its_certificate_is_right() {
    let world = world();
    let client = world.authority.issue("client");
    let stranger = Authority::new("strangers").issue("client");
    let certificate = world.file("client.pem", &client.certificate);
    let key = world.file("client.key", &client.key);
    let encrypted = world.file("encrypted.key", encrypted(&client));
    let store = world.file("client.p12", keystore(&client));
    let stranger_certificate = world.file("stranger-client.pem", &stranger.certificate);
    let stranger_key = world.file("stranger-client.key", &stranger.key);
    let mut cases = Vec::new();
    let mut case = |name: &str, outcome, properties: &[String]| {
        cases.push(Case {
            name: name.to_owned(),
            listener: "CERTIFIED",
            properties: [world.tls(), properties.to_vec()].concat(),
            outcome,
        });
    };
    let certified = format!("ssl.certificate.location={certificate}");
    let encrypted = format!("ssl.key.location={encrypted}");
    let store = format!("ssl.keystore.location={store}");
    let no_certificate = Outcome::KeptOut(&[
        "alert bad certificate",
        "closed the connection after the SSL handshake",
    ]);
    case("no certificate", no_certificate, &[]);
    case(
        "a certificate",
        Outcome::Connects,
        &[certified.clone(), format!("ssl.key.location={key}")],
    );
    case(
        "a certificate as a text",
        Outcome::Connects,
        &[
            format!("ssl.certificate.pem={}", client.certificate),
            format!("ssl.key.pem={}", client.key),
        ],
    );
    case(
        "an encrypted key",
        Outcome::Connects,
        &[
            certified.clone(),
            encrypted.clone(),
            format!("ssl.key.password={KEY_PASSWORD}"),
        ],
    );
    case(
        "an encrypted key, wrong password",
        Outcome::Refused("`ssl.key.password`: the password does not decrypt the private key"),
        &[
            certified.clone(),
            encrypted.clone(),
            format!("ssl.key.password={WRONG_PASSWORD}"),
        ],
    );
    case(
        "an encrypted key, no password",
        Outcome::Refused("the private key is encrypted: set `ssl.key.password`"),
        &[certified, encrypted],
    );
    case(
        "a keystore",
        Outcome::Connects,
        &[
            store.clone(),
            format!("ssl.keystore.password={KEY_PASSWORD}"),
        ],
    );
    case(
        "a keystore, wrong password",
        Outcome::Refused("`ssl.keystore.password`: the password does not decrypt"),
        &[store, format!("ssl.keystore.password={WRONG_PASSWORD}")],
    );
    case(
        "a certificate of another authority",
        no_certificate,
        &[
            format!("ssl.certificate.location={stranger_certificate}"),
            format!("ssl.key.location={stranger_key}"),
        ],
    );
    check_all(&cases);
}

/// Returns how long the test of repeated log-ins takes.
fn reauthentication() -> Duration {
    let seconds = env::var("LAGWATCH_REAUTH_SECONDS").map_or(10, |text| {
        let number = text.parse();
        number.expect("LAGWATCH_REAUTH_SECONDS is a number")
    });
    Duration::from_secs(seconds)
}

/// Starts `serve` with the same cluster twice: one is polled, one is followed by librdkafka's half, too.
fn serve(mechanism: &str) -> Running {
    let properties: String = login("SASL_PLAINTEXT", mechanism, PASSWORD)
        .iter()
        .filter_map(|property| property.split_once('='))
        .map(|(name, value)| format!("    {name}: \"{value}\"\n"))
        .collect();
    let servers = world().kafka.servers_of("SHORT_LOGIN");
    let clusters = ["poll", "stream"].map(|mode| {
        format!(
            "- name: {mode}
  bootstrap-servers: [\"{servers}\"]
  mode: {mode}
  poll-interval: 500ms
  kafka-properties:
{properties}"
        )
    });
    Lagwatch::new("serve")
        .config(&format!("clusters:\n{}", clusters.concat()))
        .start()
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn clients_log_in_again_without_a_failed_poll() {
    let duration = reauthentication();
    let before = world().kafka.repeated_log_ins();
    let running = MECHANISMS.map(|mechanism| (mechanism, serve(mechanism)));
    for (_, running) in &running {
        running.wait_until_ready();
    }
    // What is tested is that time passes.
    thread::sleep(duration);
    for (mechanism, running) in &running {
        let samples = running.scrape();
        let polls = |result| samples.sum("lagwatch_polls_total", &[("result", result)]);
        assert_eq!(polls("failed"), 0.0, "{mechanism}: {}", running.log());
        let expected = duration.as_secs_f64();
        assert!(
            polls("complete") > expected,
            "{mechanism}: {}",
            running.log()
        );
        let up = samples.sum("lagwatch_up", &[]);
        assert!(
            (up - 2.0).abs() < f64::EPSILON,
            "{mechanism}: {up} of 2 clusters are up"
        );
    }
    // The broker closes a connection that does not log in again within two seconds: two clusters of each process do.
    let again = world().kafka.repeated_log_ins() - before;
    let least = duration.as_secs() / 2 * 2 * MECHANISMS.len() as u64;
    assert!(again >= least, "{again} repeated log-ins, expected {least}");
    for (mechanism, running) in running {
        let finished = running.stop().expect_success();
        for secret in SECRETS {
            assert!(!finished.stderr.contains(secret), "{mechanism}");
        }
        for level in ["WARN", "ERROR"] {
            assert!(
                !finished.stderr.contains(level),
                "{mechanism}: {}",
                finished.stderr
            );
        }
    }
}
