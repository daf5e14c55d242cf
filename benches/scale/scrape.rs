//! Scrapes as Prometheus makes them: one connection that is kept, and gzip where the exporter knows it.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;

/// What Prometheus 2.50 and later accept.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                      text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// How an answer is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Identity,
}

/// One that scrapes, again and again.
#[derive(Debug)]
pub(crate) struct Scraper {
    address: SocketAddr,
    limit: Duration,
    connection: Option<BufReader<TcpStream>>,
    body: Vec<u8>,
    encoding: Encoding,
}

/// A scrape that has been answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scrape {
    /// From the first byte of the request to the last one of the answer.
    pub(crate) took: Duration,
    pub(crate) size: usize,
    /// As it came, not as it was asked for.
    pub(crate) encoding: Encoding,
}

impl Scraper {
    /// Begins with no connection. No answer is waited for longer than `limit`.
    pub(crate) fn new(address: SocketAddr, limit: Duration) -> Self {
        Self {
            address,
            limit,
            connection: None,
            body: Vec::new(),
            encoding: Encoding::Identity,
        }
    }

    /// Scrapes once.
    ///
    /// # Errors
    ///
    /// Nobody listens, the answer takes too long, or it is no success.
    pub(crate) fn scrape(&mut self) -> io::Result<Scrape> {
        if let Some(connection) = self.connection.take()
            && let Ok(scrape) = self.scrape_over(connection)
        {
            return Ok(scrape);
        }
        // Servers close what was idle for long; so Prometheus tries a new connection, too.
        let connection = connect(self.address, self.limit)?;
        self.scrape_over(BufReader::with_capacity(1 << 18, connection))
    }

    fn scrape_over(&mut self, mut connection: BufReader<TcpStream>) -> io::Result<Scrape> {
        let asked = Instant::now();
        ask(connection.get_mut())?;
        let head = Head::read(&mut connection)?;
        self.body.clear();
        match head.length {
            Length::Known(length) => read_exactly(&mut connection, length, &mut self.body)?,
            Length::Chunked => read_chunks(&mut connection, &mut self.body)?,
        }
        let took = asked.elapsed();
        self.connection = Some(connection);
        if head.status != 200 {
            let body = String::from_utf8_lossy(&self.body);
            return Err(io::Error::other(format!(
                "status {}: {body:.300}",
                head.status
            )));
        }
        self.encoding = head.encoding;
        Ok(Scrape {
            took,
            size: self.body.len(),
            encoding: head.encoding,
        })
    }

    /// Returns the text of the newest answer.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self.encoding {
            Encoding::Identity => String::from_utf8_lossy(&self.body),
            Encoding::Gzip => {
                let mut text = String::new();
                let read = MultiGzDecoder::new(self.body.as_slice()).read_to_string(&mut text);
                read.expect("the body is a gzip stream of text");
                text.into()
            }
        }
    }
}

/// Returns the lines that begin with a metric's name and a brace.
pub(crate) fn lines<'a>(text: &'a str, metric: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter(move |line| {
        line.strip_prefix(metric)
            .is_some_and(|rest| rest.starts_with('{'))
    })
}

/// Opens a connection on which nothing takes longer than `limit`.
pub(crate) fn connect(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(limit))?;
    Ok(stream)
}

/// Sends the request for the metrics.
pub(crate) fn ask(stream: &mut impl Write) -> io::Result<()> {
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Prometheus/2.55.1\r\nAccept: {ACCEPT}\r\n\
         Accept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 60\r\n\r\n"
    );
    stream.write_all(request.as_bytes())
}

struct Head {
    status: u16,
    encoding: Encoding,
    length: Length,
}

enum Length {
    Known(u64),
    Chunked,
}

impl Head {
    fn read(connection: &mut impl BufRead) -> io::Result<Self> {
        let status = read_line(connection)?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut head = Self {
            status: status.ok_or_else(|| io::Error::other("the answer is no HTTP"))?,
            encoding: Encoding::Identity,
            length: Length::Known(0),
        };
        loop {
            let line = read_line(connection)?;
            let Some((name, value)) = line.split_once(':') else {
                return Ok(head);
            };
            match (name.to_ascii_lowercase().as_str(), value.trim()) {
                ("content-encoding", "gzip") => head.encoding = Encoding::Gzip,
                ("transfer-encoding", "chunked") => head.length = Length::Chunked,
                ("content-length", length) => {
                    head.length = Length::Known(length.parse().map_err(io::Error::other)?);
                }
                _ => {}
            }
        }
    }
}

fn read_chunks(connection: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(connection)?;
        let length = u64::from_str_radix(&line, 16).map_err(io::Error::other)?;
        read_exactly(connection, length, body)?;
        read_line(connection)?;
        if length == 0 {
            return Ok(());
        }
    }
}

fn read_exactly(connection: &mut impl Read, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    if connection.take(length).read_to_end(body)? as u64 == length {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn read_line(connection: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}
