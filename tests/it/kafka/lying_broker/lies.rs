//! The lies of a broker: what it does instead of answering the truth.

use std::iter;

use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{BrokerId, ResponseKind};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::twists::{
    HEAD, LENGTH, fail, garbage, half, http, throttle, with_commits, with_first_count, with_length,
    with_log_ends,
};
use crate::support::{Answer, Api, Delivery, Profile, Script};

/// The APIs that a poll cycle is made of, in its order.
const APIS: [Api; 6] = [
    Api::ApiVersions,
    Api::Metadata,
    Api::ListGroups,
    Api::DescribeGroups,
    Api::OffsetFetch,
    Api::ListOffsets,
];
/// Answers with one byte changed by chance, for each API.
const CHANGED_BYTES: u64 = 6;
const NOT_COORDINATOR: i16 = 16;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const NOT_LEADER: i16 = 6;
const UNHEARD_OF: i16 = 9_999;

/// One way to behave badly.
#[derive(Clone)]
pub(crate) struct Lie {
    pub(crate) name: String,
    pub(crate) script: Script,
    pub(crate) sort: Sort,
}

/// What a client can make of a lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Nobody can describe the group from this: an error has to be reported.
    Plain,
    /// A client may not notice, or may do without the answer.
    Subtle,
    /// A client may never ask for what would be lied about.
    Avoidable,
}

impl Lie {
    fn new(name: impl Into<String>, sort: Sort, script: Script) -> Self {
        Self {
            name: name.into(),
            script,
            sort,
        }
    }
}

/// Returns every lie; lies about the same API stay together.
pub(crate) fn lies() -> Vec<Lie> {
    let of_apis = APIS.into_iter().flat_map(|api| {
        frames(api)
            .into_iter()
            .chain(counts(api))
            .chain(changed_bytes(api))
    });
    connections()
        .into_iter()
        .chain(of_apis)
        .chain(metadata())
        .chain(figures())
        .chain(codes())
        .collect()
}

/// What can happen to a connection before the first answer.
fn connections() -> Vec<Lie> {
    let on_accept = |name, delivery| Lie::new(name, Sort::Plain, Script::OnAccept(delivery));
    vec![
        on_accept("a close after accept", Delivery::SendAndClose(Vec::new())),
        on_accept("a reset after accept", Delivery::Reset),
        on_accept("silence", Delivery::SendAndFallSilent(Vec::new())),
        on_accept("HTTP before a request", Delivery::SendAndClose(http())),
        on_accept("garbage before a request", Delivery::Send(garbage(1))),
    ]
}

/// What can happen to the bytes of any answer.
fn frames(api: Api) -> Vec<Lie> {
    let lie = |name: &str, sort, twist: fn(Vec<u8>) -> Delivery| {
        let script = Script::lie(api, move |answer: Answer| twist(answer.frame()));
        Lie::new(format!("{api:?}: {name}"), sort, script)
    };
    let plain = |name, twist| lie(name, Sort::Plain, twist);
    vec![
        plain("a frame of 2 GiB", |frame| {
            Delivery::Send(with_length(frame, i32::MAX))
        }),
        plain("a frame of 100 MB that never comes", |frame| {
            Delivery::SendAndFallSilent(with_length(frame, 100_000_000))
        }),
        plain("a frame of negative length", |frame| {
            Delivery::Send(with_length(frame, -1))
        }),
        plain("an empty frame", |_| {
            Delivery::SendAndFallSilent(vec![0; LENGTH])
        }),
        plain("another correlation id", |mut frame| {
            frame[LENGTH] ^= 0x40;
            Delivery::Send(frame)
        }),
        plain("half and silence", |frame| {
            Delivery::SendAndFallSilent(half(frame))
        }),
        plain("half and a close", |frame| {
            Delivery::SendAndClose(half(frame))
        }),
        plain("a whole frame with half of the body", |frame| {
            let cut = half(frame);
            let length = i32::try_from(cut.len() - LENGTH).expect("it is short");
            Delivery::Send(with_length(cut, length))
        }),
        plain("garbage", |_| Delivery::Send(garbage(2))),
        plain("HTTP", |_| Delivery::SendAndClose(http())),
        plain("a close", |_| Delivery::SendAndClose(Vec::new())),
        plain("a reset", |_| Delivery::Reset),
        plain("silence", |_| Delivery::SendAndFallSilent(Vec::new())),
        lie("bytes behind the body", Sort::Subtle, |mut frame| {
            frame.extend([0xff; 1000]);
            let length = i32::try_from(frame.len() - LENGTH).expect("it is short");
            Delivery::Send(with_length(frame, length))
        }),
        lie("the same answer twice", Sort::Subtle, |frame| {
            Delivery::Send(frame.repeat(2))
        }),
    ]
}

/// Wrong counts of the first array of an answer.
fn counts(api: Api) -> Vec<Lie> {
    let lie = |name: &str, sort, count: fn(i32) -> i32| {
        let script = Script::lie(api, move |answer| {
            Delivery::Send(with_first_count(&answer, count))
        });
        Lie::new(format!("{api:?}: {name}"), sort, script)
    };
    vec![
        lie("2,147,483,646 elements", Sort::Plain, |_| i32::MAX - 1),
        lie("1,000,000 elements", Sort::Plain, |_| 1_000_000),
        lie("one element too many", Sort::Plain, |count| count + 1),
        lie("one element too few", Sort::Subtle, |count| count - 1),
        lie("-2 elements", Sort::Subtle, |_| -2),
        lie("null elements", Sort::Subtle, |_| -1),
    ]
}

fn changed_bytes(api: Api) -> impl Iterator<Item = Lie> {
    (0..CHANGED_BYTES).map(move |seed| {
        let script = Script::lie(api, move |answer| {
            let mut frame = answer.frame();
            let mut random = StdRng::seed_from_u64(seed);
            let at = random.random_range(HEAD..frame.len());
            frame[at] = frame[at].wrapping_add(random.random_range(1..=255));
            Delivery::Send(frame)
        });
        Lie::new(
            format!("{api:?}: a changed byte, seed {seed}"),
            Sort::Subtle,
            script,
        )
    })
}

/// Brokers that are nowhere.
fn metadata() -> Vec<Lie> {
    let lie = |name, sort, brokers: fn(u16) -> Vec<(i32, &'static str, i32)>| {
        let script = Script::lie(Api::Metadata, move |mut answer| {
            let brokers = brokers(answer.port).into_iter().map(|(id, host, port)| {
                MetadataResponseBroker::default()
                    .with_node_id(BrokerId(id))
                    .with_host(host.into())
                    .with_port(port)
            });
            let ResponseKind::Metadata(metadata) = &mut answer.body else {
                unreachable!("it answers Metadata");
            };
            metadata.brokers = brokers.collect();
            Delivery::Send(answer.frame())
        });
        Lie::new(format!("Metadata: {name}"), sort, script)
    };
    vec![
        lie("no brokers", Sort::Plain, |_| Vec::new()),
        lie("port 0", Sort::Plain, |_| vec![(1, "127.0.0.1", 0)]),
        lie("a negative port", Sort::Plain, |_| {
            vec![(1, "127.0.0.1", -9092)]
        }),
        lie("port 70,000", Sort::Plain, |_| {
            vec![(1, "127.0.0.1", 70_000)]
        }),
        lie("a port where nobody listens", Sort::Plain, |_| {
            vec![(1, "127.0.0.1", 1)]
        }),
        lie("an empty host", Sort::Plain, |port| {
            vec![(1, "", i32::from(port))]
        }),
        lie("a host with NUL and a line feed", Sort::Plain, |port| {
            vec![(1, "127.0.0.1\0\n.", i32::from(port))]
        }),
        lie("one broker with two addresses", Sort::Subtle, |port| {
            vec![(1, "127.0.0.1", i32::from(port)), (1, "127.0.0.1", 1)]
        }),
        lie("a negative broker id", Sort::Subtle, |port| {
            vec![
                (1, "127.0.0.1", i32::from(port)),
                (-1, "127.0.0.1", i32::from(port)),
            ]
        }),
        lie("itself a second time", Sort::Subtle, |port| {
            vec![
                (1, "127.0.0.1", i32::from(port)),
                (2, "127.0.0.1", i32::from(port)),
            ]
        }),
        lie("itself 10,000 times", Sort::Subtle, |port| {
            (1..=10_000)
                .map(|id| (id, "127.0.0.1", i32::from(port)))
                .collect()
        }),
        lie("10,000 brokers that are not there", Sort::Subtle, |port| {
            let absent = (2..=10_000).map(|id| (id, "127.0.0.1", 1));
            iter::once((1, "127.0.0.1", i32::from(port)))
                .chain(absent)
                .collect()
        }),
    ]
}

/// Answers that can be read, with figures that cannot be.
fn figures() -> Vec<Lie> {
    let lie = |name, api, twist: fn(&mut Answer)| {
        let script = Script::lie(api, move |mut answer| {
            twist(&mut answer);
            Delivery::Send(answer.frame())
        });
        Lie::new(name, Sort::Subtle, script)
    };
    vec![
        lie(
            "OffsetFetch: every partition twice",
            Api::OffsetFetch,
            |answer| {
                let ResponseKind::OffsetFetch(body) = &mut answer.body else {
                    return;
                };
                for topic in &mut body.topics {
                    topic.partitions.extend(topic.partitions.clone());
                }
                for topic in body.groups.iter_mut().flat_map(|group| &mut group.topics) {
                    topic.partitions.extend(topic.partitions.clone());
                }
            },
        ),
        lie(
            "OffsetFetch: every group twice",
            Api::OffsetFetch,
            |answer| {
                if let ResponseKind::OffsetFetch(body) = &mut answer.body {
                    body.groups.extend(body.groups.clone());
                    body.topics.extend(body.topics.clone());
                }
            },
        ),
        lie(
            "OffsetFetch: offsets far below 0",
            Api::OffsetFetch,
            |answer| with_commits(answer, i64::MIN),
        ),
        lie(
            "OffsetFetch: offsets past every end",
            Api::OffsetFetch,
            |answer| with_commits(answer, i64::MAX),
        ),
        lie(
            "ListOffsets: offsets far below 0",
            Api::ListOffsets,
            |answer| with_log_ends(answer, i64::MIN),
        ),
        lie(
            "ListOffsets: the greatest offset",
            Api::ListOffsets,
            |answer| with_log_ends(answer, i64::MAX),
        ),
        lie(
            "ListOffsets: every partition twice",
            Api::ListOffsets,
            |answer| {
                let ResponseKind::ListOffsets(body) = &mut answer.body else {
                    return;
                };
                for topic in &mut body.topics {
                    topic.partitions.extend(topic.partitions.clone());
                }
            },
        ),
        lie(
            "ListOffsets: partitions that nobody asked for",
            Api::ListOffsets,
            |answer| {
                let ResponseKind::ListOffsets(body) = &mut answer.body else {
                    return;
                };
                for partition in body.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                    partition.partition_index = i32::MIN;
                }
            },
        ),
        lie(
            "ListGroups: every group 1,000 times",
            Api::ListGroups,
            |answer| {
                if let ResponseKind::ListGroups(body) = &mut answer.body {
                    body.groups = vec![body.groups[0].clone(); 1_000];
                }
            },
        ),
        lie(
            "DescribeGroups: no group at all",
            Api::DescribeGroups,
            |answer| {
                if let ResponseKind::DescribeGroups(body) = &mut answer.body {
                    body.groups.clear();
                }
            },
        ),
        lie(
            "DescribeGroups: an assignment of one byte",
            Api::DescribeGroups,
            |answer| {
                let ResponseKind::DescribeGroups(body) = &mut answer.body else {
                    return;
                };
                for member in body.groups.iter_mut().flat_map(|group| &mut group.members) {
                    member.member_assignment = vec![0].into();
                }
            },
        ),
        lie(
            "Metadata: partitions with an index far below 0",
            Api::Metadata,
            |answer| {
                let ResponseKind::Metadata(body) = &mut answer.body else {
                    return;
                };
                for partition in body.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                    partition.partition_index = i32::MIN;
                }
            },
        ),
        lie("Metadata: every topic twice", Api::Metadata, |answer| {
            if let ResponseKind::Metadata(body) = &mut answer.body {
                body.topics.extend(body.topics.clone());
            }
        }),
        lie(
            "ApiVersions: no common version",
            Api::ApiVersions,
            |answer| {
                let ResponseKind::ApiVersions(body) = &mut answer.body else {
                    return;
                };
                for api in &mut body.api_keys {
                    (api.min_version, api.max_version) = (900, 901);
                }
            },
        ),
        lie(
            "ApiVersions: ranges that are reversed",
            Api::ApiVersions,
            |answer| {
                let ResponseKind::ApiVersions(body) = &mut answer.body else {
                    return;
                };
                for api in &mut body.api_keys {
                    (api.min_version, api.max_version) = (i16::MAX, i16::MIN);
                }
            },
        ),
    ]
}

/// Errors that never end, and a throttle time that never does.
fn codes() -> Vec<Lie> {
    let lie = |name, sort, api, code: i16| {
        let script = Script::lie(api, move |mut answer| {
            fail(&mut answer, code);
            Delivery::Send(answer.frame())
        });
        Lie::new(name, sort, script)
    };
    let plain = |name, api, code| lie(name, Sort::Plain, api, code);
    let unheard_of = APIS
        .into_iter()
        .map(|api| plain(format!("{api:?}: error {UNHEARD_OF}"), api, UNHEARD_OF));
    let endless = [
        plain(
            "OffsetFetch: NOT_COORDINATOR without end".to_owned(),
            Api::OffsetFetch,
            NOT_COORDINATOR,
        ),
        lie(
            "DescribeGroups: NOT_COORDINATOR without end".to_owned(),
            Sort::Subtle,
            Api::DescribeGroups,
            NOT_COORDINATOR,
        ),
        lie(
            "FindCoordinator: COORDINATOR_NOT_AVAILABLE without end".to_owned(),
            Sort::Avoidable,
            Api::FindCoordinator,
            COORDINATOR_NOT_AVAILABLE,
        ),
        plain(
            "ListGroups: COORDINATOR_NOT_AVAILABLE without end".to_owned(),
            Api::ListGroups,
            COORDINATOR_NOT_AVAILABLE,
        ),
        plain(
            "ListOffsets: NOT_LEADER_OR_FOLLOWER without end".to_owned(),
            Api::ListOffsets,
            NOT_LEADER,
        ),
    ];
    let throttled = Lie::new(
        "every API: throttled for 24 days",
        Sort::Subtle,
        Script::lies(|mut answer| {
            throttle(&mut answer);
            Delivery::Send(answer.frame())
        }),
    );
    // No lie, but rare: version 3 of ApiVersions is refused in version 0.
    let old = Lie::new(
        "ApiVersions: error 35, and then version 0",
        Sort::Subtle,
        Script::Truth(Profile::Old),
    );
    unheard_of.chain(endless).chain([throttled, old]).collect()
}
