//! Where a broker listens, and how to get there.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::settings::{AddressFamily, Settings};
use crate::kafka::error::{ErrorCode, KafkaError};

/// How long a connection is silent before the system asks for a sign of life, and how often it does.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The most addresses of one host that are tried.
const MOST_ADDRESSES: usize = 8;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Endpoint {
    /// A name or an address, without brackets.
    pub(super) host: String,
    /// 1 to 65535.
    pub(super) port: u16,
}

impl Endpoint {
    /// Connects to the first of the host's addresses that accepts.
    ///
    /// # Errors
    ///
    /// `_RESOLVE` where the name has no address; `_TRANSPORT` with the reason of the last address; `_TIMED_OUT`.
    pub(super) async fn connect(
        &self,
        settings: &Settings,
        deadline: Instant,
    ) -> Result<TcpStream, KafkaError> {
        let found = timeout_at(deadline, lookup_host((self.host.as_str(), self.port))).await;
        let found = found
            .map_err(|_| self.failure(ErrorCode::TIMED_OUT, "the name is not resolved in time"))?;
        let found = found.map_err(|error| self.failure(ErrorCode::RESOLVE, &error))?;
        let is_usable = |address: &SocketAddr| match settings.family {
            AddressFamily::Any => true,
            AddressFamily::V4 => address.is_ipv4(),
            AddressFamily::V6 => address.is_ipv6(),
        };
        let addresses: Vec<_> = found.filter(is_usable).take(MOST_ADDRESSES).collect();
        let mut failure = self.failure(ErrorCode::RESOLVE, "the name has no usable address");
        let mut left = u32::try_from(addresses.len()).unwrap_or(1);
        for address in addresses {
            // Each address gets its share of the time, so that one that is silent does not hide the next.
            let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
            left = left.saturating_sub(1);
            match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    tune(&stream, settings);
                    return Ok(stream);
                }
                Ok(Err(error)) => failure = self.failure(ErrorCode::TRANSPORT, &error),
                Err(_) => failure = self.failure(ErrorCode::TIMED_OUT, "nobody accepts in time"),
            }
        }
        Err(failure)
    }

    fn failure(&self, code: ErrorCode, reason: impl fmt::Display) -> KafkaError {
        let what = match code {
            ErrorCode::RESOLVE => "cannot resolve",
            _ => "cannot connect to",
        };
        KafkaError {
            code,
            message: format!("{what} `{self}`: {reason}"),
        }
    }
}

/// Sets what is of use and no harm where the system refuses it.
fn tune(stream: &TcpStream, settings: &Settings) {
    let _ = stream.set_nodelay(true);
    if settings.keepalive {
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE);
        let _: io::Result<()> = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_shown_in_brackets() {
        for (host, shown) in [("::1", "[::1]:9093"), ("kafka-1", "kafka-1:9093")] {
            let endpoint = Endpoint {
                host: host.to_owned(),
                port: 9093,
            };
            assert_eq!(endpoint.to_string(), shown);
        }
    }
}
