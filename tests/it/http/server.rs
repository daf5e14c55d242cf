//! A server of this process on a port of its own, and a client that does what real clients do not.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use lagwatch::http::{self, HttpConfig, Sources};
use lagwatch::metrics::OwnMetrics;
use lagwatch::snapshot::{EventBounds, EventLog, SnapshotStore, World};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::world::store;
use crate::support::{Response, get};

/// Longer than anything here takes, unless it hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A running server; ends with its test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<SnapshotStore>,
    pub(crate) events: EventLog,
    pub(crate) own: OwnMetrics,
    shutdown: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves a world, and a log of events that is still empty.
    pub(crate) fn start(world: World, config: HttpConfig) -> Self {
        Self::start_with(world, EventBounds::default(), config)
    }

    /// Serves a world and a log of events.
    pub(crate) fn start_with(world: World, bounds: EventBounds, config: HttpConfig) -> Self {
        let store = store(world);
        let events = EventLog::new(SystemTime::now(), bounds);
        let own = OwnMetrics::new("2.0.0");
        let sources = Sources {
            store: Arc::clone(&store),
            events: events.clone(),
            own: own.clone(),
        };
        let shutdown = CancellationToken::new();
        let (bound, address) = mpsc::channel();
        let thread = thread::spawn({
            let shutdown = shutdown.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .expect("threads can be started");
                runtime.block_on(async move {
                    let listener = TcpListener::bind("127.0.0.1:0").await;
                    let listener = listener.expect("loopback has a free port");
                    let address = listener.local_addr().expect("it is bound");
                    bound.send(address).expect("the test waits for it");
                    let served = http::run(listener, config, sources, shutdown).await;
                    served.expect("the configuration is valid");
                });
            }
        });
        Self {
            address: address.recv_timeout(LIMIT).expect("the server starts"),
            store,
            events,
            own,
            shutdown,
            thread: Some(thread),
        }
    }

    /// Asks for a path.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.get_with(path, &[])
    }

    /// Asks for a path with headers.
    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        get(self.address, path, headers).expect("the server answers")
    }

    /// Asks for a path of the API and returns its status and JSON.
    pub(crate) fn json(&self, path: &str) -> (u16, serde_json::Value) {
        let answer = self.get(path);
        assert_eq!(answer.headers["content-type"], "application/json");
        let value = serde_json::from_slice(&answer.body).expect("the answer is JSON");
        (answer.status, value)
    }

    /// Opens a connection and sends `bytes`.
    pub(crate) fn send(&self, bytes: &str) -> Client {
        let stream = TcpStream::connect_timeout(&self.address, LIMIT).expect("the server listens");
        let limit = Some(LIMIT);
        stream.set_read_timeout(limit).expect("not zero");
        stream.set_write_timeout(limit).expect("not zero");
        let mut client = Client(stream);
        client.send(bytes).expect("the first bytes always fit");
        client
    }

    /// Begins the shutdown.
    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    /// Waits for the server to end.
    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server does not panic");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        // A panic of its own would hide the one that the test is failing with.
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(!matches!(ended, Some(Err(_))), "the server does not panic");
        }
    }
}

/// One connection.
pub(crate) struct Client(TcpStream);

impl Client {
    /// Sends more.
    pub(crate) fn send(&mut self, bytes: &str) -> io::Result<()> {
        self.0.write_all(bytes.as_bytes())
    }

    /// Reads one byte; nothing at the end.
    pub(crate) fn byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.0.read(&mut byte)? == 1).then_some(byte[0]))
    }

    /// Reads an answer's head, and not a byte more.
    pub(crate) fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = self.byte().expect("an answer comes");
            head.push(byte.expect("a whole head comes"));
        }
        String::from_utf8(head).expect("a head is ASCII")
    }

    /// Reads an answer with a body of known length.
    pub(crate) fn answer(&mut self) -> (String, Vec<u8>) {
        let head = self.head();
        let mut body = vec![0; content_length(&head)];
        self.0.read_exact(&mut body).expect("the whole body comes");
        (head, body)
    }

    /// Returns the connection itself.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.0
    }

    /// Reads until the server closes the connection, and returns how many bytes came; panics where it does not.
    pub(crate) fn drain(&mut self) -> usize {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection stays open: {error}"),
        }
        bytes.len()
    }
}

/// Returns the value of the header `Content-Length`.
pub(crate) fn content_length(head: &str) -> usize {
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.unwrap_or_else(|| panic!("no length in {head}"));
    length.parse().expect("the length is a number")
}
