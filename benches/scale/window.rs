//! What an exporter takes over some cycles.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::figures::Requests;
use crate::process::Exporter;
use crate::world::World;

/// A stretch of time that has begun.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    exporter: &'a Exporter,
    world: &'a World,
    spent: Duration,
    answered: Requests,
}

/// What a cycle takes on average.
#[derive(Clone, Debug)]
pub(crate) struct Cycle {
    /// Seconds of processor time.
    pub(crate) cpu: f64,
    pub(crate) requests: BTreeMap<String, f64>,
}

impl<'a> Window<'a> {
    /// Begins to count.
    ///
    /// # Errors
    ///
    /// The exporter has ended.
    pub(crate) fn open(exporter: &'a Exporter, world: &'a World) -> io::Result<Self> {
        Ok(Self {
            exporter,
            world,
            spent: exporter.processor_time()?,
            answered: world.requests(),
        })
    }

    /// Returns what a cycle took; nothing where there was none.
    ///
    /// # Errors
    ///
    /// The exporter has ended.
    pub(crate) fn close(self) -> io::Result<Option<Cycle>> {
        let spent = self.exporter.processor_time()? - self.spent;
        let answered = self.world.requests();
        let count = |of: &Requests, api: &str| of.get(api).copied().unwrap_or(0);
        let since = |api: &str| (count(&answered, api) - count(&self.answered, api)) as f64;
        // Some are skipped where one takes longer than the interval. In each that there is the one broker is asked for a
        // listing, or, where that is kept for longer, for the offsets of every group.
        let cycles = since("ListGroups").max(since("OffsetFetch") / self.world.group_count());
        if cycles == 0.0 {
            return Ok(None);
        }
        let requests = answered
            .keys()
            .map(|api| (api.clone(), since(api) / cycles))
            .filter(|(_, count)| *count > 0.0);
        Ok(Some(Cycle {
            cpu: spent.as_secs_f64() / cycles,
            requests: requests.collect(),
        }))
    }
}
