//! Stands in for librdkafka's names of error codes and its sentences for them.

/// Returns no name: decoding does not ask for one.
pub(in crate::kafka) fn name(_code: i32) -> Option<&'static str> {
    None
}

/// Returns a sentence as long as librdkafka's longest, so that an error costs as much memory as it can.
pub(in crate::kafka) fn describe(_code: i32) -> String {
    const LONGEST: &str = "Broker: Indicates that the transaction coordinator sending a WriteTxnMarker is no longer \
        the current coordinator for a given producer";
    LONGEST.to_owned()
}
