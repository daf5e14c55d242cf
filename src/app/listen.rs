//! Binding the HTTP port, before anything else starts.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Context;
use tokio::net::TcpListener;

use super::config::ListenAddress;

/// Binds `address`; without a host, every interface, IPv6 included where there is any.
///
/// # Errors
///
/// One line that names the address, and what to do when it is taken.
pub async fn bind(address: &ListenAddress) -> anyhow::Result<TcpListener> {
    let ListenAddress { host, port } = address;
    let bound = match host {
        Some(host) => TcpListener::bind((host.as_str(), *port)).await,
        // Bound to `::`, a socket takes IPv4 as well; a machine without IPv6 refuses it.
        None => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).await
            }
            bound => bound,
        },
    };
    bound.with_context(|| format!("listening on `{address}` (another one: `--web.listen-address`)"))
}

/// Returns whether `error` says that the port is taken.
pub fn is_taken(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// Returns the address of the server as a browser on this machine would open it.
///
/// # Errors
///
/// The listener's own address is unknown to the system.
pub fn url(scheme: &str, listener: &TcpListener) -> io::Result<String> {
    let address = listener.local_addr()?;
    Ok(if address.ip().is_unspecified() {
        format!("{scheme}://localhost:{}", address.port())
    } else {
        format!("{scheme}://{address}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_told_as_such() {
        let first = bind(&"127.0.0.1:0".parse().expect("an address")).await;
        let first = first.expect("the system finds a free port");
        let port = first.local_addr().expect("it is bound").port();
        let address = ListenAddress {
            host: Some("127.0.0.1".to_owned()),
            port,
        };
        let error = bind(&address)
            .await
            .expect_err("the first one still listens");
        assert!(is_taken(&error));
        assert!(format!("{error:#}").starts_with(&format!("listening on `127.0.0.1:{port}`")));
        assert_eq!(
            url("https", &first).ok(),
            Some(format!("https://127.0.0.1:{port}"))
        );
    }
}
