//! Connections that end, and connections that only seem to be there.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{ApiVersionsResponse, BrokerId as WireBrokerId, MetadataResponse};
use kafka_protocol::protocol::{Encodable, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What a broker does with a connection.
#[derive(Clone, Copy)]
enum Habit {
    /// It answers this many requests for metadata, then closes the connection.
    CloseAfter(usize),
    /// It answers this many requests for metadata, then neither answers nor closes, as where the network drops everything.
    SilentAfter(usize),
}

/// A broker of nothing but metadata; the first connections have the habits, later ones answer everything.
struct Broker {
    address: String,
    accepted: Arc<AtomicUsize>,
}

impl Broker {
    async fn start(habits: Vec<Habit>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        // Ends with the test's runtime.
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let index = count.fetch_add(1, Ordering::SeqCst);
                let habit = habits.get(index).copied();
                tokio::spawn(answer(stream, port, habit));
            }
        });
        Self {
            address: format!("127.0.0.1:{port}"),
            accepted,
        }
    }

    fn admin(&self) -> KafkaAdmin {
        let connection = Connection::plain([self.address.as_str()]);
        KafkaAdmin::connect(&connection, ()).expect("it is valid")
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TcpStream, port: u16, habit: Option<Habit>) -> Option<()> {
    let mut answered = 0;
    loop {
        let length = stream.read_i32().await.ok()?;
        let mut request = vec![0; usize::try_from(length).ok()?];
        stream.read_exact(&mut request).await.ok()?;
        let api = i16::from_be_bytes([request[0], request[1]]);
        let version = i16::from_be_bytes([request[2], request[3]]);
        let is_metadata = api == Api::METADATA.key();
        match habit {
            Some(Habit::CloseAfter(most)) if is_metadata && answered == most => return None,
            Some(Habit::SilentAfter(most)) if is_metadata && answered == most => {
                return std::future::pending().await;
            }
            _ => {}
        }
        let mut body = BytesMut::from(&request[4..8]);
        if is_metadata {
            answered += 1;
            // The tagged fields of the header.
            body.put_u8(0);
            metadata(port).encode(&mut body, version).ok()?;
        } else {
            versions().encode(&mut body, version).ok()?;
        }
        stream
            .write_i32(i32::try_from(body.len()).ok()?)
            .await
            .ok()?;
        stream.write_all(&body).await.ok()?;
    }
}

fn versions() -> ApiVersionsResponse {
    let metadata = ApiVersion::default()
        .with_api_key(Api::METADATA.key())
        .with_min_version(9)
        .with_max_version(12);
    ApiVersionsResponse::default().with_api_keys(vec![metadata])
}

fn metadata(port: u16) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(WireBrokerId(1))
        .with_host(StrBytes::from_static_str("127.0.0.1"))
        .with_port(port.into());
    MetadataResponse::default().with_brokers(vec![broker])
}

async fn read(admin: &KafkaAdmin, timeout: Duration) -> Result<(), KafkaError> {
    let metadata = admin.metadata(TopicSelection::All, timeout).await?;
    assert_eq!(metadata.brokers.len(), 1);
    Ok(())
}

#[tokio::test]
async fn requests_in_flight_are_sent_again_where_a_broker_closes_after_each_answer() {
    let broker = Broker::start(vec![Habit::CloseAfter(1); 20]).await;
    let admin = broker.admin();
    let readings = join_all((0..10).map(|_| read(&admin, TIMEOUT))).await;
    assert!(readings.iter().all(Result::is_ok), "{readings:?}");
    // One answer a connection, and a first one whose answer was lost: the broker closed it with requests unread.
    assert!(
        (10..=11).contains(&broker.accepted()),
        "{}",
        broker.accepted()
    );
}

#[tokio::test]
async fn a_broker_that_closes_without_any_answer_is_not_asked_for_ever() {
    let broker = Broker::start(vec![Habit::CloseAfter(0); 50]).await;
    let admin = broker.admin();
    let error = read(&admin, TIMEOUT).await.expect_err("it never answers");
    assert_eq!(error.code, ErrorCode::TRANSPORT);
    assert!(error.message.contains(&broker.address), "{error}");
    assert_eq!(broker.accepted(), 2);
}

#[tokio::test]
async fn a_connection_that_only_seems_to_be_there_costs_one_deadline() {
    let broker = Broker::start(vec![Habit::SilentAfter(1)]).await;
    let admin = broker.admin();
    assert_eq!(read(&admin, TIMEOUT).await, Ok(()));
    let error = read(&admin, SHORT).await.expect_err("nothing arrives");
    assert_eq!(error.code, ErrorCode::TIMED_OUT);
    assert_eq!(broker.accepted(), 1);
    assert_eq!(read(&admin, TIMEOUT).await, Ok(()));
    assert_eq!(broker.accepted(), 2);
}

#[tokio::test]
async fn calls_that_are_given_up_leave_nothing_behind() {
    let broker = Broker::start(Vec::new()).await;
    let admin = broker.admin();
    for _ in 0..1_000 {
        // Most are dropped before their response arrives.
        let call = read(&admin, TIMEOUT);
        let _ = tokio::time::timeout(Duration::ZERO, call).await;
    }
    assert_eq!(read(&admin, TIMEOUT).await, Ok(()));
    assert_eq!(broker.accepted(), 1);
    admin.close(TIMEOUT).await;
}
