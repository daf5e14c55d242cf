//! The table that `kafka-consumer-groups --describe` and `lagwatch describe` print.

/// One row, as it is printed: `-` where there is no value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OffsetsRow {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) current_offset: String,
    pub(crate) log_end_offset: String,
    pub(crate) lag: String,
    pub(crate) consumer_id: String,
    pub(crate) host: String,
    pub(crate) client_id: String,
}

/// Returns the rows in the order of the text. Headings and remarks are passed over.
pub(crate) fn offsets_table(text: &str) -> Vec<OffsetsRow> {
    text.lines().filter_map(row).collect()
}

/// Reads a row from its end: the group's name alone may hold spaces.
fn row(line: &str) -> Option<OffsetsRow> {
    let mut rest = line;
    let mut last = || {
        let (before, field) = rest.trim_end().rsplit_once(char::is_whitespace)?;
        rest = before;
        Some(field.to_owned())
    };
    let (client_id, host, consumer_id) = (last()?, last()?, last()?);
    let (lag, log_end_offset, current_offset) = (last()?, last()?, last()?);
    let partition = last()?.parse().ok()?;
    let topic = last()?;
    Some(OffsetsRow {
        group: rest.trim_end().to_owned(),
        topic,
        partition,
        current_offset,
        log_end_offset,
        lag,
        consumer_id,
        host,
        client_id,
    })
}

#[test]
fn group_names_with_spaces_are_read_whole() {
    let text = "\nConsumer group 'a  b: 1' has no active members.\n\nGROUP           TOPIC    PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG  CONSUMER-ID  HOST  CLIENT-ID\na  b: 1         orders   0          -               7               -    -            -     -   \n";
    let rows = offsets_table(text);
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].group.as_str(), rows[0].partition), ("a  b: 1", 0));
    assert_eq!(
        (rows[0].current_offset.as_str(), rows[0].lag.as_str()),
        ("-", "-")
    );
}
