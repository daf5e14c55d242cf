//! Kafka's encoding, written.

use crate::lag::ids::{PartitionId, TopicId};

use super::super::encoding::FieldEncoding;

/// A key, a value or a part of one being written.
pub(super) struct Writer<'u> {
    pub(super) bytes: Vec<u8>,
    pub(super) encoding: FieldEncoding,
    pub(super) unknown: &'u [(u32, Vec<u8>)],
}

impl<'u> Writer<'u> {
    pub(super) fn new(encoding: FieldEncoding, unknown: &'u [(u32, Vec<u8>)]) -> Self {
        Self {
            bytes: Vec::new(),
            encoding,
            unknown,
        }
    }

    pub(super) fn start(&mut self, number: i16, group: &str) {
        self.i16(number);
        self.string(group);
    }

    pub(super) fn i16(&mut self, number: i16) {
        self.bytes.extend(number.to_be_bytes());
    }

    pub(super) fn i32(&mut self, number: i32) {
        self.bytes.extend(number.to_be_bytes());
    }

    pub(super) fn i64(&mut self, number: i64) {
        self.bytes.extend(number.to_be_bytes());
    }

    pub(super) fn varint(&mut self, mut number: u32) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    pub(super) fn short_length(&mut self, length: Option<usize>) {
        let length = length.map_or(-1, |length| length as i32);
        match self.encoding {
            FieldEncoding::Fixed => self.i16(length as i16),
            FieldEncoding::Flexible => self.varint((length + 1) as u32),
        }
    }

    pub(super) fn length(&mut self, length: Option<usize>) {
        let length = length.map_or(-1, |length| length as i32);
        match self.encoding {
            FieldEncoding::Fixed => self.i32(length),
            FieldEncoding::Flexible => self.varint((length + 1) as u32),
        }
    }

    pub(super) fn string(&mut self, text: &str) {
        self.nullable_string(Some(text));
    }

    pub(super) fn nullable_string(&mut self, text: Option<&str>) {
        self.short_length(text.map(str::len));
        self.bytes.extend(text.unwrap_or_default().as_bytes());
    }

    pub(super) fn nullable_bytes(&mut self, bytes: Option<&[u8]>) {
        self.length(bytes.map(<[u8]>::len));
        self.bytes.extend(bytes.unwrap_or_default());
    }

    pub(super) fn list<T>(&mut self, elements: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.length(Some(elements.len()));
        for element in elements {
            write(self, element);
        }
    }

    pub(super) fn strings(&mut self, texts: &[&str]) {
        self.list(texts, |writer, text| writer.string(text));
    }

    pub(super) fn partitions(&mut self, partitions: &[PartitionId]) {
        self.list(partitions, |writer, partition| writer.i32(partition.0));
    }

    pub(super) fn topic_id(&mut self, id: TopicId) {
        self.bytes.extend(id.to_bytes());
    }

    /// Ends a structure with these tagged fields and the unknown ones.
    pub(super) fn end(&mut self, known: &[(u32, Vec<u8>)]) {
        if self.encoding == FieldEncoding::Fixed {
            return;
        }
        let unknown = self.unknown;
        self.varint((known.len() + unknown.len()) as u32);
        for (tag, bytes) in known.iter().chain(unknown) {
            self.varint(*tag);
            self.varint(bytes.len() as u32);
            self.bytes.extend(bytes);
        }
    }
}
