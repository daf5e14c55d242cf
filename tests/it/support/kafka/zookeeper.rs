//! A ZooKeeper server, for brokers that keep their metadata there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

use super::install::java_from;
use crate::support::process::{Guarded, free_port};

/// One server on loopback, with its data in a folder of its cluster.
#[derive(Debug)]
pub(super) struct ZooKeeper {
    pub(super) port: u16,
    folder: PathBuf,
    process: Mutex<Option<Guarded>>,
}

impl ZooKeeper {
    /// Lays the server out without starting it.
    pub(super) fn create(cluster: &Path) -> Self {
        let folder = cluster.join("zookeeper");
        fs::create_dir(&folder).expect("the folder is writable");
        let port = free_port();
        let data = folder.join("data");
        let properties = format!(
            "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\ntickTime=500\nadmin.enableServer=false\n",
            data.display()
        );
        fs::write(folder.join("zookeeper.properties"), properties).expect("the folder is writable");
        Self {
            port,
            folder,
            process: Mutex::new(None),
        }
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Starts the server; brokers wait for it.
    pub(super) fn start(&self, class_path: &str) {
        let log = File::create(self.log()).expect("the folder is writable");
        let main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
        let mut java = java_from(class_path, main, 128);
        java.arg(self.folder.join("zookeeper.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be opened twice"))
            .stderr(log);
        let mut process = self
            .process
            .lock()
            .expect("no test panics while it starts the server");
        assert!(process.is_none(), "ZooKeeper is running");
        *process = Some(Guarded::spawn(&mut java));
    }
}
