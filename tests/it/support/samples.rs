//! A scrape in the text format, as values that tests can ask for.

use std::collections::BTreeMap;

/// One line of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A whole scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Sample>);

impl Samples {
    /// Parses the text format 0.0.4; panics at a line that is none.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(
            lines
                .map(|line| parse_line(line).unwrap_or_else(|| panic!("no sample: {line}")))
                .collect(),
        )
    }

    /// Returns the samples of a name whose labels contain `labels`.
    pub(crate) fn all<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.0
            .iter()
            .filter(move |sample| sample.name == name && sample.has(labels))
    }

    /// Returns the value of the one sample that matches, nothing where there is none; panics where there are several.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut matching = self.all(name, labels);
        let value = matching.next()?.value;
        assert!(
            matching.next().is_none(),
            "several samples of {name} match {labels:?}"
        );
        Some(value)
    }

    /// Returns the sum over the samples that match.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).map(|sample| sample.value).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }
}

impl Sample {
    /// Returns the value of a label; panics where it is absent.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels
            .get(name)
            .unwrap_or_else(|| panic!("no label {name} on {self:?}"))
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels
            .iter()
            .all(|(name, value)| self.labels.get(*name).is_some_and(|found| found == value))
    }
}

fn parse_line(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => parse_labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_ascii_whitespace().next()?;
    Some(Sample {
        name: name.to_owned(),
        labels,
        value: value.parse().ok()?,
    })
}

/// Parses what follows `{`, up to and with `}`; returns the labels and the rest of the line.
fn parse_labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let (value, rest) = parse_value(rest)?;
        labels.insert(name.to_owned(), value);
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// Parses a label's value up to its closing quote; returns it without escapes, and the rest.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[test]
fn label_values_lose_their_escapes() {
    let samples =
        Samples::parse("# HELP m h\nm{a=\"x \\\"y\\\\\\n}, z\",b=\"\"} 1.5 1700\nn +Inf\n");
    let labels = [("a", "x \"y\\\n}, z"), ("b", "")];
    assert_eq!(samples.value("m", &labels), Some(1.5));
    assert_eq!(samples.value("n", &[]), Some(f64::INFINITY));
    assert_eq!(samples.value("m", &[("b", "c")]), None);
}
