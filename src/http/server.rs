//! Accepting connections, serving each in a task of its own, and ending them all.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::config::{HttpConfig, Limits};
use super::guard::{Guarded, HttpExchange};
use super::respond::{Responder, Sources};
use super::routes::{HttpError, Routes};
use super::seat::Seats;
use super::stream::{STALLED, Streams};
use super::web_config::WebConfig;
use crate::metrics::HttpMetrics;

/// How long to wait after a failed accept: most often the process has no file descriptor left.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How long the reader of an event stream has at shutdown to take what was written: the stream itself ends at once.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves until `shutdown`, then lets the answers under way end for at most the drain timeout.
///
/// # Errors
///
/// Where the configuration cannot be served; afterwards nothing ends the server but `shutdown`.
///
/// # Cancel safety
///
/// A dropped future closes every connection at once.
pub async fn run(
    listener: TcpListener,
    config: HttpConfig,
    sources: Sources,
    shutdown: CancellationToken,
) -> Result<(), HttpError> {
    let HttpConfig {
        telemetry_path,
        web_config,
        limits,
    } = config;
    let routes = Routes::new(&telemetry_path)?;
    let metrics = sources.own.http().clone();
    let log = sources.events.clone();
    let streams = Streams::new(log, &limits, metrics.clone(), shutdown.clone());
    let server = Arc::new(Server {
        responder: Responder::new(routes, sources, streams, web_config.clone()),
        web_config,
        metrics,
        limits,
        shutdown,
    });
    let watching = async {
        match &server.web_config {
            Some(web_config) => web_config.watch().await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = Arc::clone(&server).serve(listener) => Ok(()),
        never = watching => match never {},
        never = server.responder.render_ahead() => match never {},
    }
}

struct Server {
    responder: Responder,
    web_config: Option<WebConfig>,
    metrics: HttpMetrics,
    limits: Limits,
    shutdown: CancellationToken,
}

impl Server {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        let connected = self.metrics.connections.clone();
        let seats = Seats::new(self.limits.max_connections, connected);
        // Each ends with its connection, by the deadlines of `Guarded` at the latest, or with the set.
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "accepting a connection failed");
                    sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            let Some(seat) = seats.take() else {
                self.metrics.rejected.inc();
                debug!("connection closed: the limit is reached");
                continue;
            };
            let server = Arc::clone(&self);
            connections.spawn(async move {
                if let Err(error) = server.connection(stream).await {
                    debug!(%error, "connection ended early");
                }
                drop(seat);
            });
        }
        drop(listener);
        let drained = timeout(self.limits.drain_timeout, async {
            while connections.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            warn!(open = connections.len(), "connections aborted at shutdown");
            connections.shutdown().await;
        }
    }

    /// Serves one connection to its end.
    async fn connection(&self, stream: TcpStream) -> Result<(), hyper::Error> {
        // An answer is written at once, so there is nothing to be gained by holding its last packet back.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "setting TCP_NODELAY failed");
        }
        let web = self.web_config.as_ref().map(WebConfig::current);
        match web.and_then(|web| web.tls.clone()) {
            None => self.http(stream).await,
            Some(tls) => match self.handshake(tls, stream).await {
                Some(stream) => self.http(stream).await,
                None => Ok(()),
            },
        }
    }

    /// Agrees on TLS; nothing where the client cannot, is too slow, or the server ends meanwhile.
    async fn handshake(
        &self,
        tls: Arc<ServerConfig>,
        stream: TcpStream,
    ) -> Option<TlsStream<TcpStream>> {
        let handshake = TlsAcceptor::from(tls).accept(stream);
        let outcome = tokio::select! {
            outcome = timeout(self.limits.header_timeout, handshake) => outcome,
            () = self.shutdown.cancelled() => return None,
        };
        let outcome = outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Err(error) = &outcome {
            self.metrics.tls_handshake_errors.inc();
            debug!(%error, "TLS handshake failed");
        }
        outcome.ok()
    }

    async fn http<S>(&self, stream: S) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let exchange = HttpExchange::default();
        let guarded = Guarded::new(stream, self.limits, exchange.clone());
        let service = service_fn(|request| {
            exchange.begin();
            let exchange = &exchange;
            async move { Ok::<_, Infallible>(self.responder.respond(&request, exchange).await) }
        });
        let connection = http1::Builder::new()
            .max_header_size(self.limits.max_header_bytes)
            // The deadlines are those of `Guarded`.
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(guarded), service);
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = &ended && exchange.is_streaming() && is_timeout(error) {
                    info!("the reader of an event stream took nothing for too long: dropped");
                    let dropped = &self.metrics.event_streams_dropped;
                    dropped.with_label_values(&[STALLED]).inc();
                }
                return ended;
            }
            () = self.shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        if !exchange.is_streaming() {
            return connection.await;
        }
        let ended = timeout(FAREWELL, connection).await;
        ended.unwrap_or_else(|_| {
            debug!("an event stream's reader did not take its end");
            Ok(())
        })
    }
}

fn is_timeout(error: &hyper::Error) -> bool {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}
