//! What an expression of PromQL names, as far as tests ask: its metrics with their matchers, and the labels it groups by.
//!
//! Whether it is valid at all is for Prometheus to say.

/// A metric and what its series have to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    /// Label, operator, value without its quotes.
    pub(crate) matchers: Vec<(String, String, String)>,
}

/// What an expression names, in the order in which it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) selectors: Vec<Selector>,
    /// Labels that are grouped by or matched on.
    pub(crate) grouping: Vec<String>,
}

/// Words that a list of labels follows.
const GROUPINGS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Words that stand where a metric could.
const KEYWORDS: [&str; 7] = ["and", "or", "unless", "offset", "bool", "Inf", "NaN"];

/// Aggregations: their grouping may stand between them and what they aggregate.
const AGGREGATIONS: [&str; 8] = [
    "sum", "min", "max", "count", "avg", "group", "topk", "bottomk",
];

impl Selector {
    /// Returns whether series have to match this.
    pub(crate) fn has(&self, label: &str, operator: &str, value: &str) -> bool {
        let matcher = (label.to_owned(), operator.to_owned(), value.to_owned());
        self.matchers.contains(&matcher)
    }
}

impl Names {
    /// Reads an expression; panics where it ends too early.
    pub(crate) fn of(expression: &str) -> Self {
        let mut names = Self::default();
        let mut rest = expression;
        while let Some(first) = rest.chars().next() {
            rest = match first {
                '"' => string(rest).1,
                // A range, which names nothing.
                '[' => after(rest, ']'),
                first if first.is_ascii_digit() => word(rest).1,
                first if is_word(first) => names.read_word(rest),
                first => &rest[first.len_utf8()..],
            };
        }
        names
    }

    fn read_word<'a>(&mut self, text: &'a str) -> &'a str {
        let (word, rest) = word(text);
        let next = rest.trim_start();
        if GROUPINGS.contains(&word) {
            let Some(list) = next.strip_prefix('(') else {
                return rest;
            };
            let (labels, rest) = list.split_once(')').expect("a list of labels ends");
            let labels = labels.split(',').map(str::trim).map(ToOwned::to_owned);
            self.grouping
                .extend(labels.filter(|label| !label.is_empty()));
            return rest;
        }
        if KEYWORDS.contains(&word) || AGGREGATIONS.contains(&word) || next.starts_with('(') {
            return rest;
        }
        let (matchers, rest) = match next.strip_prefix('{') {
            Some(inside) => matchers(inside),
            None => (Vec::new(), rest),
        };
        self.selectors.push(Selector {
            metric: word.to_owned(),
            matchers,
        });
        rest
    }
}

fn is_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_' || char == ':'
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|char| !is_word(char)).unwrap_or(text.len());
    text.split_at(end)
}

/// Reads a string, which has no escapes here; returns it without its quotes, and the rest.
fn string(text: &str) -> (&str, &str) {
    let inside = text.strip_prefix('"').expect("a string begins");
    inside.split_once('"').expect("a string ends")
}

fn after(text: &str, end: char) -> &str {
    text.split_once(end).expect("what is open is closed").1
}

/// Reads what follows `{`, up to and with `}`.
fn matchers(mut text: &str) -> (Vec<(String, String, String)>, &str) {
    let mut matchers = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ', '\n']);
        if let Some(rest) = text.strip_prefix('}') {
            return (matchers, rest);
        }
        let (label, rest) = word(text);
        let begin = rest.find('"').expect("a matcher has a value");
        let (operator, rest) = rest.split_at(begin);
        let (value, rest) = string(rest);
        matchers.push((
            label.to_owned(),
            operator.trim().to_owned(),
            value.to_owned(),
        ));
        text = rest;
    }
}

#[test]
fn names_are_found_between_functions_and_groupings() {
    let names = Names::of(
        r#"topk(5, sum by (a, b) (rate(m_total{x=~"$y", z!="}"}[1m])) / on (a) group_left (c) n) or clamp_max(o @ end(), 1e9) < Inf"#,
    );
    let metrics: Vec<&str> = names
        .selectors
        .iter()
        .map(|selector| selector.metric.as_str())
        .collect();
    assert_eq!(metrics, ["m_total", "n", "o"]);
    assert!(names.selectors[0].has("x", "=~", "$y") && names.selectors[0].has("z", "!=", "}"));
    assert_eq!(names.grouping, ["a", "b", "a", "c"]);
}
