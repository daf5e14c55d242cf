//! Several scrapers at once, and one that reads so slowly that it holds its answer for the whole time.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::{Crowd, Latencies};
use crate::process::{Exporter, Memory};
use crate::scrape::{Scraper, ask, connect};

/// How often the slow reader takes a byte.
const BYTE: Duration = Duration::from_secs(1);

/// How the scrapers go about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) scrapers: usize,
    /// How often all of them scrape at once.
    pub(crate) rounds: u32,
    /// From the start of one round to the start of the next, if it takes no longer.
    pub(crate) period: Duration,
    pub(crate) limit: Duration,
}

/// Lets all scrape at once, round by round.
///
/// # Errors
///
/// Any of the scrapes fails, or the exporter ends.
pub(crate) fn scrape_at_once(exporter: &Exporter, plan: Plan) -> io::Result<Crowd> {
    let address = exporter.address();
    let mut scrapers: Vec<Scraper> = (0..plan.scrapers)
        .map(|_| Scraper::new(address, plan.limit))
        .collect();
    let spent = exporter.processor_time()?;
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut rounds = 0;
    for round in 0..plan.rounds {
        wait_until(begun + plan.period * round);
        times.extend(scrape_round(&mut scrapers)?);
        rounds += 1;
        if begun.elapsed() > plan.limit {
            break;
        }
    }
    // The last round has its whole cycle, as the others have.
    wait_until(begun + plan.period * rounds);
    let cpu = (exporter.processor_time()? - spent).as_secs_f64();
    Ok(Crowd {
        latencies: times.into_iter().collect::<Latencies>(),
        cpu: cpu / f64::from(rounds),
        resident: exporter.memory(Memory::Resident)?,
    })
}

fn scrape_round(scrapers: &mut [Scraper]) -> io::Result<Vec<Duration>> {
    thread::scope(|scope| {
        let running: Vec<_> = scrapers
            .iter_mut()
            .map(|scraper| scope.spawn(|| scraper.scrape()))
            .collect();
        running
            .into_iter()
            .map(|scrape| Ok(scrape.join().expect("a scrape does not panic")?.took))
            .collect()
    })
}

/// The same, beside one that asks for plain text and reads a byte of it in a second.
///
/// # Errors
///
/// Any of the scrapes fails. The slow reader may be cut off; that is no error.
pub(crate) fn scrape_beside_slow(exporter: &Exporter, plan: Plan) -> io::Result<Crowd> {
    let address = exporter.address();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| read_slowly(address, &is_over, plan.limit));
        let crowd = scrape_at_once(exporter, plan);
        is_over.store(true, Ordering::Relaxed);
        crowd
    })
}

fn read_slowly(address: SocketAddr, is_over: &AtomicBool, limit: Duration) -> io::Result<()> {
    let mut stream = connect(address, limit)?;
    ask(&mut stream)?;
    let mut byte = [0];
    while !is_over.load(Ordering::Relaxed) && stream.read(&mut byte)? > 0 {
        thread::sleep(BYTE);
    }
    Ok(())
}

/// Sleeps until a moment that is part of what is measured.
pub(crate) fn wait_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}
