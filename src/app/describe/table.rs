//! Text tables as Kafka's own tools print them: left-aligned columns of a least width, one space between them.

use std::fmt::Write as _;

/// What stands where there is no value.
pub(super) const NO_VALUE: &str = "-";

/// A column: its heading and its least width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    heading: &'static str,
    width: usize,
}

impl Column {
    pub(super) const fn new(heading: &'static str, width: usize) -> Self {
        Self { heading, width }
    }
}

/// Returns the table, headings first, one line a row; the last column is not padded. Cells without a column are left out.
///
/// Control characters in cells are escaped: a row stays a row, and a name cannot drive the terminal.
pub(super) fn render(columns: &[Column], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| escape(cell)).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            column.width.max(column.heading.len()).max(widest)
        })
        .collect();
    let headings = columns.iter().map(|column| column.heading.to_owned());
    let headings: Vec<String> = headings.collect();
    let mut text = String::new();
    for row in std::iter::once(&headings).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            write!(line, "{cell:<width$} ").expect("writing to a string cannot fail");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns `text` with control characters escaped as Rust writes them: `\n`, `\u{1b}`.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::new("GROUP", 8),
        Column::new("LAG", 0),
        Column::new("HOST", 15),
    ];

    fn row(cells: [&str; 3]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_the_last_is_not_padded() {
        let rows = [
            row(["a", "123456", "/10.0.0.1"]),
            row(["a longer group", "0", "-"]),
        ];
        assert_eq!(
            render(&COLUMNS, &rows),
            "GROUP          LAG    HOST\n\
             a              123456 /10.0.0.1\n\
             a longer group 0      -\n"
        );
    }

    #[test]
    fn a_name_with_control_characters_stays_in_its_row() {
        let text = render(&COLUMNS, &[row(["a\nb\u{1b}[2J", "1", "-"])]);
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("a\\nb\\u{1b}[2J"), "{text}");
    }

    #[test]
    fn quotes_and_letters_of_any_script_are_kept() {
        assert_eq!(escape("grün \"x\" ö: 群"), "grün \"x\" ö: 群");
    }
}
