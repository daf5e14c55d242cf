//! The phases that each exporter goes through.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::exporter::{Collects, Product, Subject};
use crate::figures::Figures;
use crate::process::{Exporter, Memory};
use crate::scrape::{Encoding, Scrape, Scraper, lines};
use crate::scrapers::{Plan, scrape_at_once, scrape_beside_slow, wait_until};
use crate::support::get;
use crate::window::{Cycle, Window};
use crate::world::World;

/// Scrapes that are made even where they take longer than the limit.
const FEWEST: u32 = 3;

/// How long what is not there yet is left alone.
const STEP: Duration = Duration::from_millis(5);

/// The label of the group whose commits are watched; the values of other labels are longer or shorter.
const PROBE_LABEL: &str = "=\"probe\"";

const FIRST_PARTITION: &str = "=\"0\"";

/// One exporter on its way through the phases.
struct Course<'a> {
    world: &'a World,
    args: &'a Args,
    product: Product,
    exporter: Exporter,
    scraper: Scraper,
    figures: Figures,
}

/// What has been found out about an exporter.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Of the phases that it has gone through.
    pub(crate) figures: Figures,
    /// Why there were no more: a scrape failed or took too long, or the exporter has ended.
    pub(crate) failure: Option<String>,
}

/// What is kept from one exporter to the next, as offsets only grow.
#[derive(Debug, Default)]
pub(crate) struct Past {
    rounds: u64,
    commits: i64,
}

/// Starts an exporter, measures it and ends it. A phase that fails is the last one.
pub(crate) fn measure(world: &World, subject: &Subject, args: &Args, past: &mut Past) -> Measured {
    let started = Instant::now();
    let exporter = Exporter::start(subject, world, args.poll_interval);
    let mut course = Course {
        world,
        args,
        product: subject.product,
        scraper: Scraper::new(exporter.address(), args.limit),
        exporter,
        figures: Figures::default(),
    };
    let Past { rounds, commits } = past;
    let result = course
        .wait_until_complete(started)
        .and_then(|()| world.changing(rounds, || course.go_through(commits)));
    Measured {
        failure: result
            .err()
            .map(|error| format!("{error}; its log ends:\n{}", course.exporter.log())),
        figures: course.figures,
    }
}

impl Course<'_> {
    fn go_through(&mut self, commits: &mut i64) -> io::Result<()> {
        // What comes right after the start belongs to the start.
        thread::sleep(self.args.poll_interval);
        if self.product.collects() == Collects::InBackground {
            self.figures.quiet_cpu = self.quiet_cycles()?;
        }
        self.scrape_what_is_new()?;
        self.scrape_again()?;
        self.figures.resident_scraped = Some(self.exporter.memory(Memory::Resident)?);
        if self.args.scrapers > 0 {
            let plan = Plan {
                scrapers: self.args.scrapers,
                rounds: self.args.cycles,
                period: self.args.poll_interval,
                limit: self.args.limit,
            };
            self.figures.crowd = Some(scrape_at_once(&self.exporter, plan)?);
            self.figures.beside_slow = Some(scrape_beside_slow(&self.exporter, plan)?);
        }
        self.watch_commits(commits)?;
        self.figures.peak = Some(self.exporter.memory(Memory::Peak)?);
        Ok(())
    }

    /// Waits for the first scrape that has every lag.
    fn wait_until_complete(&mut self, started: Instant) -> io::Result<()> {
        if let Some(path) = self.product.ready_path() {
            let address = self.exporter.address();
            while !get(address, path, &[]).is_ok_and(|answer| answer.status == 200) {
                self.wait_a_little(started)?;
            }
            self.figures.first_snapshot = Some(started.elapsed());
            self.figures.resident_first = Some(self.exporter.memory(Memory::Resident)?);
        }
        loop {
            // Until it listens, and while it has nothing to tell, an error is what is expected.
            if self.scraper.scrape().is_ok() {
                let ended = started.elapsed();
                let text = self.scraper.text();
                let lags = lines(&text, self.product.lag_metric()).count();
                if lags >= self.world.lag_series() {
                    self.figures.first_scrape = Some(ended);
                    self.figures.lag_series = lags;
                    self.figures.identity_bytes = text.len();
                    break;
                }
            }
            self.wait_a_little(started)?;
        }
        if self.product.ready_path().is_none() {
            self.figures.resident_first = Some(self.exporter.memory(Memory::Resident)?);
        }
        Ok(())
    }

    fn wait_a_little(&mut self, started: Instant) -> io::Result<()> {
        if self.exporter.has_ended() {
            return Err(io::Error::other("it has ended"));
        }
        if started.elapsed() > self.args.limit {
            return Err(io::Error::other("it is not complete in time"));
        }
        thread::sleep(STEP);
        Ok(())
    }

    /// Returns the processor time of a cycle while nobody scrapes; nothing where it has not come to one.
    fn quiet_cycles(&self) -> io::Result<Option<f64>> {
        let window = Window::open(&self.exporter, self.world)?;
        thread::sleep(self.args.poll_interval * self.args.cycles);
        Ok(window.close()?.map(|cycle| cycle.cpu))
    }

    /// Scrapes once a cycle, a little later in each.
    fn scrape_what_is_new(&mut self) -> io::Result<()> {
        let (interval, scrapes) = (self.args.poll_interval, self.args.scrapes);
        let period = interval + interval / scrapes;
        let window = Window::open(&self.exporter, self.world)?;
        let begun = Instant::now();
        let mut times = Vec::new();
        let mut next = begun;
        for number in 1..=scrapes {
            let Scrape {
                took,
                size,
                encoding,
            } = self.scraper.scrape()?;
            times.push(took);
            self.figures.gzip_bytes = (encoding == Encoding::Gzip).then_some(size);
            next = (next + period).max(Instant::now());
            wait_until(next);
            if number >= FEWEST && begun.elapsed() > self.args.limit {
                break;
            }
        }
        if let Some(Cycle { cpu, requests }) = window.close()? {
            self.figures.scraped_cpu = Some(cpu);
            self.figures.requests = requests;
        }
        self.figures.fresh = times.into_iter().collect();
        Ok(())
    }

    /// Scrapes in a row.
    fn scrape_again(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let mut times = Vec::new();
        for number in 1..=self.args.scrapes {
            times.push(self.scraper.scrape()?.took);
            if number >= FEWEST && begun.elapsed() > self.args.limit {
                break;
            }
        }
        self.figures.again = times.into_iter().collect();
        Ok(())
    }

    /// Times the way of commits to the end of the first scrape that shows them.
    fn watch_commits(&mut self, commits: &mut i64) -> io::Result<()> {
        let begun = Instant::now();
        let mut times = Vec::new();
        for number in 1..=self.args.commits {
            // Spread over the cycle: steps of the golden ratio never crowd.
            let phase = (f64::from(number) * 0.618_034).fract();
            thread::sleep(self.args.poll_interval.mul_f64(phase));
            *commits += 1;
            let lag = self.world.commit(*commits);
            let acknowledged = Instant::now();
            let seen = loop {
                self.scraper.scrape()?;
                let answered = acknowledged.elapsed();
                if self.probe_lag() == Some(lag) {
                    break answered;
                }
                if answered > self.args.limit {
                    return Err(io::Error::other("a commit is not seen"));
                }
            };
            times.push(seen);
            if number >= FEWEST && begun.elapsed() > self.args.limit {
                break;
            }
        }
        self.figures.visible = times.into_iter().collect();
        Ok(())
    }

    /// Returns the lag of the group whose commits are watched, from the newest scrape.
    fn probe_lag(&self) -> Option<i64> {
        let text = self.scraper.text();
        let mut lines = lines(&text, self.product.lag_metric());
        // Exporters name the labels differently, and some tell partitions that the group never committed on.
        let line =
            lines.find(|line| line.contains(PROBE_LABEL) && line.contains(FIRST_PARTITION))?;
        let value: f64 = line.rsplit_once(' ')?.1.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a count of records is whole"
        )]
        Some(value as i64)
    }
}
