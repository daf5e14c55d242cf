//! Where the HTTP server listens: `host:port`, `[v6]:port`, or `:port` for every interface.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// A name or an address; nothing for every interface.
    pub host: Option<String>,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

/// The text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected `:9308`, `127.0.0.1:9308` or `[::1]:9308`")]
pub struct NoAddress;

impl Default for ListenAddress {
    /// Every interface, on the port registered for Kafka exporters.
    fn default() -> Self {
        Self {
            host: None,
            port: 9308,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(NoAddress)?;
        let port = port.parse().map_err(|_| NoAddress)?;
        let host = match host.strip_prefix('[') {
            Some(inside) => inside.strip_suffix(']').ok_or(NoAddress)?,
            None if host.contains(':') => return Err(NoAddress),
            None => host,
        };
        if host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(NoAddress);
        }
        let host = (!host.is_empty()).then(|| host.to_owned());
        Ok(Self { host, port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
            None => write!(f, ":{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_they_are_written() {
        for text in [":9308", "127.0.0.1:0", "localhost:80", "[::1]:9308"] {
            let address: Result<ListenAddress, _> = text.parse();
            assert_eq!(
                address.map(|address| address.to_string()).as_deref(),
                Ok(text)
            );
        }
    }

    #[test]
    fn what_is_no_host_and_port_is_refused() {
        for text in [
            "",
            "9308",
            "host",
            ":",
            ":x",
            ":65536",
            "::1:80",
            "[::1:80",
            "a b:1",
            "http://x:1",
        ] {
            assert_eq!(text.parse::<ListenAddress>(), Err(NoAddress), "{text}");
        }
    }
}
