//! Kafka's encoding, read with every bound checked.
//!
//! The one place that touches bytes. Nothing is allocated from a length field: a list grows by the elements that
//! were really read, and each of them takes at least one byte.

use std::borrow::Cow;

use crate::lag::ids::{PartitionId, TopicId};

use super::encoding::FieldEncoding;
use super::error::{Malformed, Problem, Schema};

/// Reads fields from the beginning of a key or a value to its end.
///
/// A clone reads the same bytes again.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    /// The key or value from its beginning, so that positions count from there, up to where this reader may read.
    input: &'a [u8],
    position: usize,
    schema: Schema,
    encoding: FieldEncoding,
    version: i16,
}

/// How many bytes a length of the fixed encoding takes.
#[derive(Clone, Copy)]
enum Width {
    Two,
    Four,
}

type Read<T> = Result<T, Malformed>;

impl<'a> Reader<'a> {
    /// Returns a reader of the fixed encoding, in which every key and every version is written.
    pub(crate) fn new(input: &'a [u8], schema: Schema) -> Self {
        Self {
            input,
            position: 0,
            schema,
            encoding: FieldEncoding::Fixed,
            version: 0,
        }
    }

    /// Names what is read from here on.
    pub(crate) fn name(&mut self, schema: Schema) {
        self.schema = schema;
    }

    /// Sets the version of what is read from here on, and its encoding.
    pub(crate) fn set_version(&mut self, version: i16, encoding: FieldEncoding) {
        self.version = version;
        self.encoding = encoding;
    }

    pub(crate) fn version(&self) -> i16 {
        self.version
    }

    pub(crate) fn encoding(&self) -> FieldEncoding {
        self.encoding
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Returns the bytes that are left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        // `position` only ever moves over bytes that were there.
        self.input.get(self.position..).unwrap_or_default()
    }

    pub(crate) fn i8(&mut self, field: &'static str) -> Read<i8> {
        self.array(field).map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self, field: &'static str) -> Read<i16> {
        self.array(field).map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self, field: &'static str) -> Read<i32> {
        self.array(field).map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self, field: &'static str) -> Read<i64> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// Reads a number of seven bits a byte, the lowest first.
    pub(crate) fn varint(&mut self, field: &'static str) -> Read<u32> {
        let position = self.position;
        let mut number = 0_u32;
        for shift in (0..=28).step_by(7) {
            let [byte] = self.array(field)?;
            let bits = u32::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.malformed(position, field, Problem::TooLong))
    }

    /// Reads a number that Kafka writes as -1 where there is none.
    pub(crate) fn optional_i32(&mut self, field: &'static str) -> Read<Option<i32>> {
        let number = self.i32(field)?;
        Ok((number >= 0).then_some(number))
    }

    /// Reads the id of a topic; nothing for zeros.
    pub(crate) fn optional_topic_id(&mut self, field: &'static str) -> Read<Option<TopicId>> {
        self.array(field).map(TopicId::from_bytes)
    }

    pub(crate) fn topic_id(&mut self, field: &'static str) -> Read<TopicId> {
        let position = self.position;
        let id = self.optional_topic_id(field)?;
        id.ok_or(self.malformed(position, field, Problem::Null))
    }

    pub(crate) fn bool(&mut self, field: &'static str) -> Read<bool> {
        Ok(self.i8(field)? != 0)
    }

    /// Reads a string; bytes that are not UTF-8 become replacement characters.
    pub(crate) fn lossy_string(&mut self, field: &'static str) -> Read<Cow<'a, str>> {
        self.string_bytes(field).map(String::from_utf8_lossy)
    }

    /// Reads a string that may be null; bytes that are not UTF-8 become replacement characters.
    pub(crate) fn nullable_lossy_string(
        &mut self,
        field: &'static str,
    ) -> Read<Option<Cow<'a, str>>> {
        let bytes = self.nullable_string_bytes(field)?;
        Ok(bytes.map(String::from_utf8_lossy))
    }

    /// Reads a list, one element at a time.
    pub(crate) fn each(
        &mut self,
        field: &'static str,
        mut element: impl FnMut(&mut Self) -> Read<()>,
    ) -> Read<()> {
        for _ in 0..self.list_length(field)? {
            element(self)?;
        }
        Ok(())
    }

    /// Reads a list that may be null, one element at a time.
    pub(crate) fn each_of_nullable(
        &mut self,
        field: &'static str,
        mut element: impl FnMut(&mut Self) -> Read<()>,
    ) -> Read<()> {
        for _ in 0..self.nullable_list_length(field)?.unwrap_or_default() {
            element(self)?;
        }
        Ok(())
    }

    /// Reads a list that may be null, one element at a time, and returns its bytes without the length before them.
    pub(crate) fn nullable_list_bytes(
        &mut self,
        field: &'static str,
        mut element: impl FnMut(&mut Self) -> Read<()>,
    ) -> Read<Option<&'a [u8]>> {
        let (count, start) = (self.nullable_list_length(field)?, self.position);
        for _ in 0..count.unwrap_or_default() {
            element(self)?;
        }
        let bytes = self.input.get(start..self.position).unwrap_or_default();
        Ok(count.map(|_| bytes))
    }

    /// Reads exactly `N` bytes.
    fn array<const N: usize>(&mut self, field: &'static str) -> Read<[u8; N]> {
        let Some((bytes, _)) = self.rest().split_first_chunk() else {
            return Err(self.truncated(self.position, field, N));
        };
        self.position += N;
        Ok(*bytes)
    }

    /// Returns the pieces of `N` bytes that come next, at most `most`, up to the first that `is_expected` refuses, and skips them.
    pub(crate) fn arrays_while<const N: usize>(
        &mut self,
        most: usize,
        mut is_expected: impl FnMut(&[u8; N]) -> bool,
    ) -> &'a [[u8; N]] {
        let (arrays, _) = self.rest().as_chunks();
        let expected = arrays.iter().take(most);
        let count = expected.take_while(|bytes| is_expected(bytes)).count();
        self.position += count * N;
        arrays.get(..count).unwrap_or_default()
    }

    pub(crate) fn string(&mut self, field: &'static str) -> Read<&'a str> {
        let position = self.position;
        let text = self.nullable_string(field)?;
        text.ok_or(self.malformed(position, field, Problem::Null))
    }

    pub(crate) fn nullable_string(&mut self, field: &'static str) -> Read<Option<&'a str>> {
        let position = self.position;
        let Some(bytes) = self.nullable_string_bytes(field)? else {
            return Ok(None);
        };
        let text = str::from_utf8(bytes);
        let text = text.map_err(|_| self.malformed(position, field, Problem::NotUtf8))?;
        Ok(Some(text))
    }

    /// Reads a string as the bytes it is written in, whether they are UTF-8 or not.
    pub(crate) fn string_bytes(&mut self, field: &'static str) -> Read<&'a [u8]> {
        let position = self.position;
        let bytes = self.nullable_string_bytes(field)?;
        bytes.ok_or(self.malformed(position, field, Problem::Null))
    }

    pub(crate) fn nullable_string_bytes(&mut self, field: &'static str) -> Read<Option<&'a [u8]>> {
        let position = self.position;
        match self.length(field, Width::Two)? {
            Some(length) => self.take(position, field, length).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn nullable_bytes(&mut self, field: &'static str) -> Read<Option<&'a [u8]>> {
        let position = self.position;
        match self.length(field, Width::Four)? {
            Some(length) => self.take(position, field, length).map(Some),
            None => Ok(None),
        }
    }

    /// Skips bytes and returns a reader of the fixed encoding that sees them alone.
    pub(crate) fn embedded(&mut self, field: &'static str, schema: Schema) -> Read<Self> {
        let position = self.position;
        let length = self.length(field, Width::Four)?;
        let length = length.ok_or(self.malformed(position, field, Problem::Null))?;
        let mut embedded = self.split(position, field, length)?;
        embedded.name(schema);
        embedded.set_version(0, FieldEncoding::Fixed);
        Ok(embedded)
    }

    /// Reads a list. Every element takes at least one byte, so that the list is no longer than the bytes are.
    pub(crate) fn list<T>(
        &mut self,
        field: &'static str,
        mut element: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        let count = self.list_length(field)?;
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    pub(crate) fn partitions(&mut self, field: &'static str) -> Read<Vec<PartitionId>> {
        self.list(field, |reader| reader.i32(field).map(PartitionId))
    }

    /// Reads the tagged fields at the end of a structure: `field` gets each tag with a reader of its bytes alone.
    pub(crate) fn tagged(&mut self, mut field: impl FnMut(u32, &mut Self) -> Read<()>) -> Read<()> {
        const NAME: &str = "tagged fields";
        if self.encoding == FieldEncoding::Fixed {
            return Ok(());
        }
        for _ in 0..self.varint(NAME)? {
            let position = self.position;
            let tag = self.varint(NAME)?;
            let length = self.varint(NAME)?;
            let mut bytes = self.split(position, NAME, length as usize)?;
            field(tag, &mut bytes)?;
        }
        Ok(())
    }

    /// Skips the tagged fields at the end of a structure.
    pub(crate) fn end(&mut self) -> Read<()> {
        self.tagged(|_, _| Ok(()))
    }

    /// Returns an error about a field that begins at `position`.
    pub(crate) fn malformed(
        &self,
        position: usize,
        field: &'static str,
        problem: Problem,
    ) -> Malformed {
        Malformed {
            schema: self.schema,
            field,
            position,
            problem,
        }
    }

    fn truncated(&self, position: usize, field: &'static str, needed: usize) -> Malformed {
        let left = self.rest().len();
        self.malformed(position, field, Problem::Truncated { needed, left })
    }

    fn take(&mut self, position: usize, field: &'static str, length: usize) -> Read<&'a [u8]> {
        let Some((bytes, _)) = self.rest().split_at_checked(length) else {
            return Err(self.truncated(position, field, length));
        };
        self.position += length;
        Ok(bytes)
    }

    /// Skips `length` bytes and returns a reader that sees them alone.
    fn split(&mut self, position: usize, field: &'static str, length: usize) -> Read<Self> {
        let mut part = self.clone();
        self.take(position, field, length)?;
        part.input = self.input.get(..self.position).unwrap_or_default();
        Ok(part)
    }

    /// Reads the length of a list; it is no longer than the bytes that follow.
    pub(crate) fn list_length(&mut self, field: &'static str) -> Read<usize> {
        let position = self.position;
        let count = self.nullable_list_length(field)?;
        count.ok_or(self.malformed(position, field, Problem::Null))
    }

    /// Reads the length of a list that may be null; it is no longer than the bytes that follow.
    fn nullable_list_length(&mut self, field: &'static str) -> Read<Option<usize>> {
        let position = self.position;
        let count = self.length(field, Width::Four)?;
        match count {
            Some(count) if count > self.rest().len() => Err(self.truncated(position, field, count)),
            _ => Ok(count),
        }
    }

    /// Reads the length of a string, of bytes or of a list; nothing for null.
    fn length(&mut self, field: &'static str, width: Width) -> Read<Option<usize>> {
        Ok(match (self.encoding, width) {
            (FieldEncoding::Flexible, _) => (self.varint(field)? as usize).checked_sub(1),
            (FieldEncoding::Fixed, Width::Two) => usize::try_from(self.i16(field)?).ok(),
            (FieldEncoding::Fixed, Width::Four) => usize::try_from(self.i32(field)?).ok(),
        })
    }
}
