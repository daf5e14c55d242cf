//! The samples that rows have in one family, as text or as their number and size alone.

use super::writer::{Labels, Value, write_line};

/// Lines of one family.
pub(super) struct Lines<'a> {
    name: &'a str,
    keep: Keep,
    /// The lines; where they are not kept, nothing between two samples.
    text: Vec<u8>,
    is_kept: bool,
    /// The size of the lines that were not kept.
    unkept_bytes: u64,
    count: u64,
    /// The size of everything up to the end of the last row.
    row_start: u64,
    smallest_row_bytes: Option<u64>,
}

/// How much text is kept. Lines beyond it are counted and measured only.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keep {
    /// Lines that are short on average.
    ShortLines,
    /// Lines of this many bytes together.
    UpTo(u64),
}

/// The average that short lines may have. Most lines take about 100 bytes; a topic and a group of 249 characters take 600.
const SHORT_LINE_BYTES: u64 = 1024;

/// What short lines may take above their average, so that a few long ones are kept.
const SPARE_BYTES: u64 = 64 * 1024;

impl Keep {
    fn is_within(self, lines: u64, bytes: u64) -> bool {
        bytes
            <= match self {
                Self::ShortLines => SPARE_BYTES + lines * SHORT_LINE_BYTES,
                Self::UpTo(most) => most,
            }
    }
}

impl<'a> Lines<'a> {
    /// Returns no lines yet.
    pub(super) fn new(name: &'a str, keep: Keep) -> Self {
        Self {
            name,
            keep,
            text: Vec::new(),
            is_kept: true,
            unkept_bytes: 0,
            count: 0,
            row_start: 0,
            smallest_row_bytes: None,
        }
    }

    /// Writes a sample.
    pub(super) fn sample(&mut self, labels: &Labels, value: impl Into<Value>) {
        self.count += 1;
        write_line(&mut self.text, self.name, labels, value.into());
        if self.is_kept && self.keep.is_within(self.count, self.bytes()) {
            return;
        }
        self.unkept_bytes = self.bytes();
        if self.is_kept {
            // Frees what was written, which may be much.
            self.text = Vec::new();
            self.is_kept = false;
        }
        self.text.clear();
    }

    /// Ends the lines of a row.
    pub(super) fn end_row(&mut self) {
        let bytes = self.bytes() - self.row_start;
        if bytes == 0 {
            return;
        }
        self.row_start += bytes;
        let smallest = self.smallest_row_bytes.unwrap_or(bytes);
        self.smallest_row_bytes = Some(smallest.min(bytes));
    }

    /// Returns what was written; nothing where it was too much to be kept.
    pub(super) fn text(&self) -> Option<&[u8]> {
        self.is_kept.then_some(&self.text)
    }

    /// Returns how many lines were written.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the size of all lines, kept or not.
    pub(super) fn bytes(&self) -> u64 {
        self.unkept_bytes + self.text.len() as u64
    }

    /// Returns the size of the smallest row that has lines; that of all lines where no row was ended.
    pub(super) fn smallest_row_bytes(&self) -> u64 {
        self.smallest_row_bytes.unwrap_or_else(|| self.bytes())
    }

    /// Forgets what was written.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.is_kept = true;
        self.unkept_bytes = 0;
        self.count = 0;
        self.row_start = 0;
        self.smallest_row_bytes = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(keep: Keep, rows: &[(usize, usize)]) -> Lines<'static> {
        let mut lines = Lines::new("m", keep);
        for &(length, count) in rows {
            let mut labels = Labels::default();
            labels.push("l", &"x".repeat(length));
            (0..count).for_each(|_| lines.sample(&labels, 1_u64));
            lines.end_row();
        }
        lines
    }

    #[test]
    fn what_is_not_kept_is_counted_and_measured_as_if_it_were() {
        for rows in [
            &[(32_000, 100)][..],
            &[(10, 5), (32_000, 3), (2, 1)],
            &[(10, 5), (0, 0), (20, 2)],
        ] {
            let kept = lines(Keep::UpTo(u64::MAX), rows);
            let text = kept.text().expect("everything is kept");
            assert_eq!(kept.bytes(), text.len() as u64);
            let unkept = lines(Keep::UpTo(0), rows);
            assert_eq!(unkept.text(), None);
            assert_eq!(unkept.bytes(), kept.bytes());
            assert_eq!(unkept.count(), kept.count());
            assert_eq!(unkept.smallest_row_bytes(), kept.smallest_row_bytes());
        }
    }

    #[test]
    fn long_lines_are_not_kept_unless_they_are_few() {
        for (rows, is_kept) in [
            (&[(600, 10_000)][..], true),
            (&[(32_000, 1), (100, 1_000)], true),
            (&[(32_000, 3)], false),
            (&[(2_000, 100)], false),
        ] {
            let lines = lines(Keep::ShortLines, rows);
            assert_eq!(lines.text().is_some(), is_kept, "{rows:?}");
        }
    }
}
