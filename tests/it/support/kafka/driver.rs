//! The one Java process in which Kafka's own clients and tools run for every test.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::Value;

use super::install::java;
use crate::support::process::{Guarded, Scratch, tail};

#[derive(Debug)]
struct Driver {
    port: u16,
    scratch: Scratch,
    /// Its standard input is held open with it: the driver ends when that closes.
    _process: Guarded,
}

/// Sends a request and returns the answer, or what Kafka's client says is wrong.
pub(super) fn call(request: &Value) -> Result<Value, String> {
    static DRIVER: OnceLock<Driver> = OnceLock::new();
    let driver = DRIVER.get_or_init(Driver::start);
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, driver.port))
        .unwrap_or_else(|error| panic!("the driver is gone: {error}\n{}", driver.log()));
    writeln!(connection, "{request}").expect("the driver reads");
    let mut answer = String::new();
    BufReader::new(connection)
        .read_line(&mut answer)
        .unwrap_or_else(|error| panic!("the driver has died: {error}\n{}", driver.log()));
    let mut answer: Value = serde_json::from_str(&answer)
        .unwrap_or_else(|error| panic!("{error} in `{answer}`\n{}", driver.log()));
    match answer["error"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(answer["ok"].take()),
    }
}

impl Driver {
    fn start() -> Self {
        let scratch = Scratch::new();
        let log = File::create(scratch.path().join("log")).expect("the folder is writable");
        let mut process = Guarded::spawn(
            java("Driver", 256)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(log),
        );
        let stdout = process.child().stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the driver prints its port");
        let port = line
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("no port: {}", tail(&scratch.path().join("log"))));
        Self {
            port,
            scratch,
            _process: process,
        }
    }

    fn log(&self) -> String {
        tail(&self.scratch.path().join("log"))
    }
}
