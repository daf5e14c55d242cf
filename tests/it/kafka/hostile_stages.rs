//! What hostile members say: subscriptions, assignments and names that no client of Kafka's would send.

use std::collections::BTreeSet;
use std::env;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::{RawIdentity, assignment, subscription};

/// The topic that exists.
pub(crate) const TOPIC: &str = "orders";
/// Members at a time.
const MEMBERS: usize = 100;
/// Just below `message.max.bytes`, which bounds what a coordinator can store of a group.
const ONE_MEGABYTE: usize = 1_040_000;
/// The longest text that the protocol can carry.
const LONGEST_NAME: usize = 32_767;

/// Group ids that break naive C strings, quoting, splitting, paths and label escaping; each has its own offset.
pub(crate) const ODD_NAMES: [&str; 14] = [
    "",
    "a",
    "a\0b",
    "a\0",
    "\0",
    "with\na line feed",
    "with\r\na line break",
    r#"with "quotes" and 'quotes'"#,
    r"with \ and \n and \",
    "..",
    "../../etc/passwd",
    "🦀 größe 漢字 \u{202e}",
    "{a=\"b\"} 1\n# HELP x y",
    "\u{1b}[31m\u{7f}\t",
];

/// Whether the assignments of a stage are errors that have to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assignments {
    Sound,
    /// A client may refuse some of them, or show them.
    Doubtful,
    Malformed,
}

/// A name, the members, and what their assignments are.
pub(crate) type Stage = (String, Vec<RawIdentity>, Assignments);

/// Returns what members say, stage by stage.
pub(crate) fn stages() -> Vec<Stage> {
    let mut stages = vec![
        (
            "assignments of 0 to 6 bytes".to_owned(),
            short_blobs().into_iter().map(with_assignment).collect(),
            Assignments::Malformed,
        ),
        (
            "subscriptions of 0 to 6 bytes".to_owned(),
            short_blobs().into_iter().map(with_metadata).collect(),
            Assignments::Doubtful,
        ),
        (
            "assignments cut at every byte".to_owned(),
            prefixes(&assignment(&[
                (TOPIC.as_bytes(), &[0, 1, 2]),
                (b"payments", &[0]),
            ]))
            .map(with_assignment)
            .collect(),
            Assignments::Malformed,
        ),
        (
            "subscriptions cut at every byte".to_owned(),
            prefixes(&subscription(&[TOPIC.as_bytes(), b"payments"]))
                .map(with_metadata)
                .collect(),
            Assignments::Doubtful,
        ),
        (
            "other kinds of groups".to_owned(),
            other_kinds(),
            Assignments::Sound,
        ),
        (
            "odd client ids".to_owned(),
            odd_client_ids(),
            Assignments::Sound,
        ),
        (
            "names that are not UTF-8".to_owned(),
            not_utf8(),
            Assignments::Doubtful,
        ),
    ];
    stages.extend(random_blobs());
    stages.extend([
        (
            "counts that are not true".to_owned(),
            false_counts(),
            Assignments::Malformed,
        ),
        ("long names".to_owned(), long_names(), Assignments::Doubtful),
        (
            "100,000 partitions".to_owned(),
            many_partitions(),
            Assignments::Doubtful,
        ),
        (
            "one megabyte of one name".to_owned(),
            one_name_repeated(),
            Assignments::Doubtful,
        ),
    ]);
    stages
}

/// Returns members that say what Kafka's own clients say.
pub(crate) fn ordinary() -> Vec<RawIdentity> {
    let partitions: &[i32] = &[0, 1, 2];
    (0..MEMBERS)
        .map(|_| RawIdentity {
            metadata: subscription(&[TOPIC.as_bytes()]),
            assignment: assignment(&[(TOPIC.as_bytes(), partitions)]),
            ..RawIdentity::consumer("")
        })
        .collect()
}

fn short_blobs() -> Vec<Vec<u8>> {
    let contents: [&[u8; 6]; 6] = [
        &[0; 6],
        &[0xff; 6],
        &[0, 0, 0, 0, 0, 1],
        &[0, 0, 0x7f, 0xff, 0xff, 0xff],
        &[0x7f, 0xff, 0, 0, 0, 0],
        &[0, 3, 0xff, 0xff, 0xff, 0xff],
    ];
    let blobs: BTreeSet<Vec<u8>> = (0..=6)
        .flat_map(|length| contents.map(|content| content[..length].to_vec()))
        .collect();
    blobs.into_iter().collect()
}

fn prefixes(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len()).map(|length| bytes[..length].to_vec())
}

fn random_blobs() -> Vec<Stage> {
    let is_full = env::var("LAGWATCH_SCALE").is_ok_and(|scale| scale == "full");
    let count = if is_full { 2_000 } else { 300 };
    let seed = match env::var("LAGWATCH_SEED") {
        Ok(seed) => seed.parse().expect("LAGWATCH_SEED is a number"),
        Err(_) => rand::random(),
    };
    let mut random = StdRng::seed_from_u64(seed);
    let mut blob = || -> Vec<u8> {
        let length = random.random_range(0..200);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
        // Every second one begins as a version that is known, so that its fields are looked at.
        if length > 2 && random.random() {
            bytes[..2].copy_from_slice(&[0, random.random_range(0..4)]);
        }
        bytes
    };
    // Kafka reads a subscription itself and may refuse it: each blob is either.
    let blobs: Vec<RawIdentity> = (0..count)
        .map(|number| match number % 4 {
            0 => with_metadata(blob()),
            _ => with_assignment(blob()),
        })
        .collect();
    blobs
        .chunks(MEMBERS)
        .enumerate()
        .map(|(batch, blobs)| {
            let name = format!("batch {batch} of random bytes, LAGWATCH_SEED={seed}");
            (name, blobs.to_vec(), Assignments::Malformed)
        })
        .collect()
}

/// A sound assignment but for one count.
fn false_counts() -> Vec<RawIdentity> {
    let sound = assignment(&[(TOPIC.as_bytes(), &[0, 1])]);
    let (topics, name) = (2, 6);
    let partitions = name + 2 + TOPIC.len();
    let user_data = partitions + 4 + 2 * 4;
    let int32 = [topics, partitions, user_data]
        .into_iter()
        .flat_map(|at| [i32::MAX, 1_000_000, 3, -2, i32::MIN].map(|count| (at, count)))
        .map(|(at, count)| (at, count.to_be_bytes().to_vec()));
    let int16 = [i16::MAX, 7, -1, i16::MIN].map(|length| (name, length.to_be_bytes().to_vec()));
    int32
        .chain(int16)
        .map(|(at, count)| {
            let mut bytes = sound.clone();
            bytes[at..at + count.len()].copy_from_slice(&count);
            with_assignment(bytes)
        })
        .collect()
}

fn long_names() -> Vec<RawIdentity> {
    let longest = vec![b'x'; LONGEST_NAME];
    // The longest that Kafka accepts has 249 bytes.
    [249, 250, LONGEST_NAME]
        .into_iter()
        .map(|length| {
            let name = &longest[..length];
            RawIdentity {
                metadata: subscription(&[name]),
                assignment: assignment(&[(name, &[0, 1, i32::MAX, i32::MIN])]),
                ..RawIdentity::consumer("")
            }
        })
        .collect()
}

fn many_partitions() -> Vec<RawIdentity> {
    let partitions: Vec<i32> = (0..100_000).collect();
    let longest = vec![b'x'; LONGEST_NAME];
    let names: [&[u8]; 3] = [b"absent", &longest, TOPIC.as_bytes()];
    names
        .into_iter()
        .map(|name| with_assignment(assignment(&[(name, &partitions)])))
        .collect()
}

fn one_name_repeated() -> Vec<RawIdentity> {
    let in_subscription = ONE_MEGABYTE / (2 + TOPIC.len());
    let in_assignment = ONE_MEGABYTE / (2 + TOPIC.len() + 4 + 4);
    vec![
        with_metadata(subscription(&vec![TOPIC.as_bytes(); in_subscription])),
        with_assignment(assignment(&vec![
            (TOPIC.as_bytes(), &[0][..]);
            in_assignment
        ])),
    ]
}

fn not_utf8() -> Vec<RawIdentity> {
    let names: [&[u8]; 5] = [
        b"\xff\xfe",
        b"\xc3",
        b"ord\xe9rs",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
    ];
    names
        .into_iter()
        .map(|name| RawIdentity {
            metadata: subscription(&[name]),
            assignment: assignment(&[(name, &[0])]),
            client_id: name.to_vec(),
            ..RawIdentity::consumer("")
        })
        .collect()
}

fn odd_client_ids() -> Vec<RawIdentity> {
    let long = "c".repeat(200);
    let ids = ODD_NAMES.into_iter().chain([long.as_str()]);
    ids.map(|id| RawIdentity {
        client_id: id.as_bytes().to_vec(),
        assignment: assignment(&[(TOPIC.as_bytes(), &[0])]),
        ..RawIdentity::consumer("")
    })
    .collect()
}

fn other_kinds() -> Vec<RawIdentity> {
    let types = ["connect", "sr", "consumer\0", "CONSUMER", "🦀", "\n", "\""];
    let protocols = ["v0", "a\0b", "with \"quotes\"\n", "🦀"];
    types
        .into_iter()
        .zip(protocols.into_iter().cycle())
        .map(|(protocol_type, protocol)| RawIdentity {
            protocol_type: protocol_type.as_bytes().to_vec(),
            protocol: protocol.as_bytes().to_vec(),
            metadata: vec![0],
            assignment: vec![0],
            ..RawIdentity::consumer("")
        })
        .collect()
}

fn with_assignment(assignment: Vec<u8>) -> RawIdentity {
    RawIdentity {
        assignment,
        ..RawIdentity::consumer("")
    }
}

fn with_metadata(metadata: Vec<u8>) -> RawIdentity {
    RawIdentity {
        metadata,
        ..RawIdentity::consumer("")
    }
}
