//! Whether a `lagwatch` on this machine is alive: one question to its `/healthz`.
//!
//! For container images without a shell. It asks the address that the server was told to listen on, and nobody else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::{ListenAddress, WebSettings};
use crate::http::WebConfig;

/// A status line is shorter than this.
const HEAD: u64 = 64;

/// Asks the server with these settings whether it is alive.
///
/// With TLS it is enough that the port is open: the question would need a certificate where clients have to show one.
/// Whoever answers that a user is missing is alive.
///
/// # Errors
///
/// Nobody answers within `limit`, or not with 200 or 401; or the web configuration file cannot be used.
pub async fn ask(web: &WebSettings, limit: Duration) -> anyhow::Result<()> {
    let has_tls = web
        .read_config_file()?
        .as_ref()
        .is_some_and(WebConfig::has_tls);
    let address = reachable(&web.listen_address);
    let asking = async {
        let mut stream = TcpStream::connect(&address).await?;
        if has_tls {
            return Ok(());
        }
        let request =
            format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        stream.take(HEAD).read_to_end(&mut head).await?;
        let head = String::from_utf8_lossy(&head);
        match head.split(' ').nth(1) {
            Some("200" | "401") => Ok(()),
            _ => bail!("answered `{}`", head.lines().next().unwrap_or_default()),
        }
    };
    let asked = timeout(limit, asking).await;
    let asked =
        asked.unwrap_or_else(|_| bail!("no answer within {}", humantime::format_duration(limit)));
    asked.with_context(|| format!("asking `{address}`"))
}

/// Returns where a server that listens on `listen` can be reached from its own machine.
fn reachable(listen: &ListenAddress) -> String {
    let ListenAddress { host, port } = listen;
    let host = host.as_deref().unwrap_or("0.0.0.0");
    let host = match host.parse() {
        Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => "127.0.0.1",
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => "::1",
        _ => host,
    };
    let reachable = ListenAddress {
        host: Some(host.to_owned()),
        port: *port,
    };
    reachable.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_is_asked_on_loopback_and_one_of_them_on_itself() {
        for (listen, asked) in [
            (":9308", "127.0.0.1:9308"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.1.2.3:80", "10.1.2.3:80"),
            ("localhost:80", "localhost:80"),
        ] {
            let listen = listen.parse().expect("an address");
            assert_eq!(reachable(&listen), asked);
        }
    }
}
