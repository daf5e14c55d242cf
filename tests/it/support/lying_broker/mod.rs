//! A broker that answers byte for byte what a test wants: the truth, or a lie at a place of the test's choice.
//!
//! Each connection has a thread, which ends when its peer closes it or when the script changes.

use super::process::free_port;
mod truth;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

pub(crate) use kafka_protocol::messages::ApiKey as Api;

pub(crate) use self::truth::{Answer, Profile};

/// More than any client sends here; a longer request is a bug of the client.
const LONGEST_REQUEST: usize = 1 << 20;

/// What becomes of an answer, or of a new connection.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    Send(Vec<u8>),
    /// Bytes, possibly none, and then the end of the connection.
    SendAndClose(Vec<u8>),
    /// Bytes, possibly none, and then nothing more, while the connection stays.
    SendAndFallSilent(Vec<u8>),
    /// The end of the connection by RST instead of FIN.
    Reset,
}

type Twist = Arc<dyn Fn(Answer) -> Delivery + Send + Sync>;

/// How a broker behaves.
#[derive(Clone)]
pub(crate) enum Script {
    Truth(Profile),
    /// Treats every new connection so, before it says anything.
    OnAccept(Delivery),
    /// Tells the truth, but for the answers of one API, or of every API but ApiVersions.
    Lie(Option<Api>, Twist),
}

/// A broker on loopback; it lets its port go when dropped.
pub(crate) struct FakeBroker {
    address: SocketAddr,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

struct State {
    script: Mutex<Script>,
    /// Connections that were not left in silence.
    connections: Mutex<Vec<(usize, TcpStream)>>,
    accepted: AtomicUsize,
    lies: AtomicUsize,
    is_ending: AtomicBool,
}

impl Script {
    /// Answers one API with a lie.
    pub(crate) fn lie(
        api: Api,
        twist: impl Fn(Answer) -> Delivery + Send + Sync + 'static,
    ) -> Self {
        Self::Lie(Some(api), Arc::new(twist))
    }

    /// Answers every API but ApiVersions with a lie.
    pub(crate) fn lies(twist: impl Fn(Answer) -> Delivery + Send + Sync + 'static) -> Self {
        Self::Lie(None, Arc::new(twist))
    }
}

impl FakeBroker {
    pub(crate) fn start(script: Script) -> Self {
        // Not a port of the system's choice: that may be one that an embedded broker that is down comes back to, and
        // librdkafka aborts the process where it is taken.
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).ok();
        // A port that was free a moment ago may be another test's by now.
        let listener = std::iter::repeat_with(bind).flatten().next();
        Self::listen(listener.expect("some port is free"), script)
    }

    /// Starts it on a port of the caller's.
    pub(crate) fn start_on(port: u16, script: Script) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        Self::listen(listener, script)
    }

    fn listen(listener: TcpListener, script: Script) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State {
            script: Mutex::new(script),
            connections: Mutex::default(),
            accepted: AtomicUsize::new(0),
            lies: AtomicUsize::new(0),
            is_ending: AtomicBool::new(false),
        });
        let acceptor = {
            let state = Arc::clone(&state);
            thread::spawn(move || accept(&listener, &state))
        };
        Self {
            address,
            state,
            acceptor: Some(acceptor),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves otherwise from now on. Connections end as if the broker had been restarted, except those that were left
    /// in silence: they stay silent.
    pub(crate) fn play(&self, script: Script) {
        *self.state.script() = script;
        self.state.lies.store(0, Ordering::SeqCst);
        self.state.close_connections();
    }

    /// Returns how many connections it has accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Returns how many lies it has told since its script changed; on accept they count, too.
    pub(crate) fn lies(&self) -> usize {
        self.state.lies.load(Ordering::SeqCst)
    }
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        self.state.is_ending.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.state.close_connections();
    }
}

impl State {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("nobody panics with it")
    }

    fn connections(&self) -> MutexGuard<'_, Vec<(usize, TcpStream)>> {
        self.connections.lock().expect("nobody panics with it")
    }

    fn close_connections(&self) {
        for (_, stream) in self.connections().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Serves until the broker is dropped.
fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.is_ending.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let id = state.accepted.fetch_add(1, Ordering::SeqCst);
        let copy = stream.try_clone().expect("a socket can be opened twice");
        state.connections().push((id, copy));
        let state = Arc::clone(state);
        thread::spawn(move || {
            // An error is the end of the connection, by whichever side.
            let _ = serve(stream, id, &state);
            state.connections().retain(|(other, _)| *other != id);
        });
    }
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Request,
    End,
}

fn serve(mut stream: TcpStream, id: usize, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let port = stream.local_addr()?.port();
    let on_accept = match &*state.script() {
        Script::OnAccept(delivery) => Some(delivery.clone()),
        Script::Truth(_) | Script::Lie(..) => None,
    };
    if let Some(delivery) = on_accept {
        state.lies.fetch_add(1, Ordering::SeqCst);
        if deliver(&mut stream, id, state, delivery)? == Next::End {
            return Ok(());
        }
    }
    loop {
        let request = read_frame(&mut stream)?;
        let (profile, lie) = match &*state.script() {
            Script::Truth(profile) => (*profile, None),
            Script::OnAccept(_) => return Ok(()),
            Script::Lie(api, twist) => (Profile::Modern, Some((*api, Arc::clone(twist)))),
        };
        let Some(answer) = Answer::new(&request, profile, port) else {
            // As Kafka does with what it does not know.
            return Ok(());
        };
        let is_meant = |api: Option<Api>| match api {
            Some(api) => answer.api == api,
            None => answer.api != Api::ApiVersions,
        };
        let delivery = match lie {
            Some((api, twist)) if is_meant(api) => {
                state.lies.fetch_add(1, Ordering::SeqCst);
                twist(answer)
            }
            _ => Delivery::Send(answer.frame()),
        };
        if deliver(&mut stream, id, state, delivery)? == Next::End {
            return Ok(());
        }
    }
}

fn deliver(
    stream: &mut TcpStream,
    id: usize,
    state: &State,
    delivery: Delivery,
) -> io::Result<Next> {
    match delivery {
        Delivery::Send(bytes) => {
            stream.write_all(&bytes)?;
            Ok(Next::Request)
        }
        Delivery::SendAndClose(bytes) => {
            stream.write_all(&bytes)?;
            Ok(Next::End)
        }
        Delivery::SendAndFallSilent(bytes) => {
            state.connections().retain(|(other, _)| *other != id);
            stream.write_all(&bytes)?;
            // Until the other side closes.
            io::copy(stream, &mut io::sink())?;
            Ok(Next::End)
        }
        Delivery::Reset => {
            state.connections().retain(|(other, _)| *other != id);
            reset_on_close(stream);
            Ok(Next::End)
        }
    }
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).expect("64 bits");
    if length > LONGEST_REQUEST {
        return Err(io::Error::other("a request that long"));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

/// Lets the close of a connection be an RST.
#[expect(unsafe_code, reason = "std cannot set SO_LINGER yet")]
fn reset_on_close(stream: &TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).expect("a few bytes");
    // SAFETY: the descriptor is open while `stream` is borrowed, and `linger` lives through the call.
    let set = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size,
        )
    };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}
