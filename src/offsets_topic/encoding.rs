//! The two ways in which Kafka encodes the fields of a structure.

/// How lengths are written, and whether structures end with tagged fields (KIP-482).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldEncoding {
    /// Lengths of two or four bytes, negative for null; no tagged fields.
    Fixed,
    /// Lengths of variable size plus one, zero for null; tagged fields at the end of every structure.
    Flexible,
}
