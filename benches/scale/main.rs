//! What lagwatch costs on a real Kafka with many groups, beside other builds of it and beside other exporters.
//!
//! ```text
//! cargo bench --bench scale                                            # small: how it works, in two minutes
//! cargo bench --bench scale -- --groups 1000 --partitions 100 --poll-interval 2s --scrapes 50
//! cargo bench --bench scale -- --lagwatch before=OTHER/lagwatch --lagwatch after=target/release/lagwatch
//! cargo bench --bench scale -- --peer kafka_exporter=PATH --peer kminion=PATH --peer klag-exporter=PATH
//! cargo bench --bench scale -- --help
//! ```
//!
//! It takes Java 17 and Maven, and Linux. Apache Kafka comes from Maven and runs on loopback; on it are the topics and the
//! groups, and each exporter runs alone, one after the other, as it comes but for the poll interval, series of single
//! partitions, and no topics of Kafka's own. Each goes through the same phases, and the tables tell every figure:
//!
//! 1. start, until a scrape has the lag of every group on every partition;
//! 2. `--cycles` cycles that nobody looks at;
//! 3. `--scrapes` scrapes as Prometheus makes them, gzip and one connection, one after each cycle, at ever other moments
//!    of it, so that each finds what is new; then as many in a row;
//! 4. `--scrapers` at once, and then again while another reads its answer at one byte a second;
//! 5. `--commits` commits, and after each of them scrapes in a row until one shows it.
//!
//! Kafka requests are those that the broker has counted, whoever sent them. Where an exporter collects inside the scrape, a
//! scrape is its cycle.

mod args;
mod exporter;
mod figures;
mod measure;
mod process;
mod scrape;
mod scrapers;
#[path = "../../tests/it/support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the tests' harness has more than one user"
)]
mod support;
mod table;
mod window;
mod world;

use std::io::Write;

use clap::Parser;

use self::args::Args;
use self::measure::{Measured, Past};
use self::world::World;

fn main() {
    // `cargo test --all-targets` starts it too, where nobody waits for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let args = Args::parse();
    let subjects = args.subjects();
    let world = World::create(&args);
    print(&world.describe());
    let mut columns = Vec::new();
    let mut past = Past::default();
    for subject in &subjects {
        print(&format!("measuring {}", subject.name()));
        let Measured { figures, failure } = measure::measure(&world, subject, &args, &mut past);
        if let Some(failure) = failure {
            print(&format!("{} failed: {failure}", subject.name()));
        }
        // Without a complete scrape there is nothing to compare.
        if figures.first_scrape.is_some() {
            columns.push((subject, figures));
        }
    }
    for (subject, figures) in &columns {
        print(&table::requests(subject, figures));
    }
    print(&table::figures(&columns));
    print(&table::ratios(&columns));
}

fn print(text: &str) {
    // A bench has no other output than this.
    let _ = writeln!(std::io::stdout(), "{text}");
}
