//! The route of events: which ones are wanted, as one answer or as a stream.

use std::collections::VecDeque;
use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName};

use super::api::{self, JsonResponse};
use crate::diagnostics::nearest;
use crate::exposition::json::{self, Rest};
use crate::lag::ClusterName;
use crate::snapshot::{Event, EventKind, EventLog, EventPosition, World};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 10_000;

/// How many events are taken from the log at once.
const PAGE: usize = 512;

/// What a reader that connects again has seen last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    filter: EventFilter,
    limit: usize,
    after: Option<EventPosition>,
}

/// Which events are let through: all of them where nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EventFilter {
    cluster: Option<String>,
    group: Option<String>,
    kind: Option<&'static str>,
}

/// Where a stream starts.
#[derive(Debug)]
pub(super) struct Start {
    /// Events that come first.
    pub(super) events: Vec<Arc<Event>>,
    /// Then comes what follows this.
    pub(super) position: EventPosition,
}

impl Wanted {
    /// Reads what stands behind the question mark; whatever has another name is ignored.
    ///
    /// # Errors
    ///
    /// The answer that says what is wrong.
    pub(super) fn parse(query: &str, world: &World) -> Result<Self, JsonResponse> {
        let mut wanted = Self {
            filter: EventFilter::default(),
            limit: DEFAULT_LIMIT,
            after: None,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.is_empty() && ["cluster", "group", "kind", "after"].contains(&&*name) {
                continue;
            }
            match &*name {
                "cluster" => wanted.filter.cluster = Some(value.into_owned()),
                "group" => wanted.filter.group = Some(value.into_owned()),
                "kind" => wanted.filter.kind = Some(kind(&value)?),
                "limit" => {
                    let limit = api::number(&name, &value).map_err(api::malformed)?;
                    wanted.limit = limit.min(MAX_LIMIT);
                }
                "after" => wanted.after = Some(after(&value)?),
                _ => {}
            }
        }
        match wanted.filter.cluster.as_deref() {
            Some(cluster) if api::selected(world, Some(cluster)).next().is_none() => {
                Err(api::unknown_cluster(world, cluster))
            }
            _ => Ok(wanted),
        }
    }

    /// Answers with the events after an id, oldest first; without one, with the newest.
    pub(super) fn answer(&self, log: &EventLog) -> JsonResponse {
        match self.after {
            Some(id) => self.following(log, id),
            None => {
                let Start { events, position } = self.newest(log);
                api::ok(&json::events(None, &events, position, Rest::None))
            }
        }
    }

    /// Returns where a stream begins: after the header or the query's id, else with the newest events.
    pub(super) fn start(&self, log: &EventLog, headers: &HeaderMap) -> Start {
        let seen = headers.get(LAST_EVENT_ID).map(|value| {
            let id = value.to_str().ok().and_then(|text| text.parse().ok());
            // Whatever it was, it was given out by somebody else: all that was before is missed.
            id.unwrap_or_default()
        });
        match seen.or(self.after) {
            Some(position) => Start {
                events: Vec::new(),
                position,
            },
            None => self.newest(log),
        }
    }

    /// Returns what the events of a stream have to pass.
    pub(super) fn into_filter(self) -> EventFilter {
        self.filter
    }

    fn following(&self, log: &EventLog, id: EventPosition) -> JsonResponse {
        let mut page = log.after(id, PAGE);
        let (gap, mut events) = (page.gap, Vec::new());
        let mut last = page.last;
        let rest = 'pages: loop {
            for event in page.events {
                if events.len() == self.limit {
                    break 'pages Rest::More;
                }
                last = event.id;
                if self.filter.lets_through(&event) {
                    events.push(event);
                }
            }
            if page.left == 0 {
                break Rest::None;
            }
            page = log.after(last, PAGE);
            if page.gap.is_some() {
                // The next answer tells it, in its place between the events.
                break Rest::More;
            }
        };
        api::ok(&json::events(gap, &events, last, rest))
    }

    fn newest(&self, log: &EventLog) -> Start {
        let mut events = VecDeque::new();
        let mut position = log.start();
        loop {
            let page = log.after(position, PAGE);
            position = page.last;
            for event in page.events {
                if self.filter.lets_through(&event) {
                    events.push_back(event);
                }
            }
            let surplus = events.len().saturating_sub(self.limit);
            events.drain(..surplus);
            if page.left == 0 {
                return Start {
                    events: events.into(),
                    position,
                };
            }
        }
    }
}

impl EventFilter {
    /// Returns whether an event is wanted.
    pub(super) fn lets_through(&self, event: &Arc<Event>) -> bool {
        let Self {
            cluster,
            group,
            kind,
        } = self;
        let is_cluster =
            |wanted: &str| event.cluster.as_ref().map(ClusterName::as_str) == Some(wanted);
        cluster.as_deref().is_none_or(is_cluster)
            && group
                .as_deref()
                .is_none_or(|wanted| wanted == event.group.as_str())
            && kind.is_none_or(|wanted| wanted == event.kind.as_str())
    }
}

fn kind(value: &str) -> Result<&'static str, JsonResponse> {
    let mut words = EventKind::WORDS.into_iter();
    words.find(|word| *word == value).ok_or_else(|| {
        let [one, other] = EventKind::WORDS;
        let error = format!("`kind` is `{one}` or `{other}`, not `{value}`");
        let nearest = nearest(value, EventKind::WORDS);
        api::failure(StatusCode::BAD_REQUEST, error, nearest)
    })
}

fn after(value: &str) -> Result<EventPosition, JsonResponse> {
    let parsed = value.parse::<EventPosition>();
    parsed.map_err(|error| {
        api::malformed(format!("`after` is an event's id, not `{value}`: {error}"))
    })
}
