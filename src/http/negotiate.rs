//! Which of the formats and encodings that exist a client likes best.
//!
//! Source: RFC 9110, section 12.5; the media types that Prometheus asks for.

use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

use crate::exposition::{Encoding, Format, sse};

/// Returns the format of a scrape; text where nothing that exists is asked for, as exporters do.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let accepted = Preferences::of(headers, &ACCEPT);
    let of_version = |range: &Range, version: &str| match range.parameter("version") {
        None => Some(Specificity::Type),
        Some(other) => (other == version).then_some(Specificity::Exact),
    };
    let text = accepted.quality(|range| match range.media_type.as_str() {
        "text/plain" => of_version(range, "0.0.4"),
        "text/*" | "*/*" => Some(Specificity::Wildcard),
        _ => None,
    });
    let openmetrics = accepted.quality(|range| match range.media_type.as_str() {
        "application/openmetrics-text" => of_version(range, "1.0.0"),
        _ => None,
    });
    // At equal liking OpenMetrics says more; a wildcard alone gets what every client understands.
    if openmetrics > 0.0 && openmetrics >= text {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// Returns the encoding of a scrape; one that compresses wherever that is accepted at all.
pub(super) fn encoding(headers: &HeaderMap) -> Encoding {
    let accepted = Preferences::of(headers, &ACCEPT_ENCODING);
    let quality = |names: &[&str]| {
        accepted.quality(|range| match range.media_type.as_str() {
            "*" => Some(Specificity::Wildcard),
            name => names.contains(&name).then_some(Specificity::Exact),
        })
    };
    let (gzip, zstd) = (quality(&["gzip", "x-gzip"]), quality(&["zstd"]));
    // At equal liking gzip, of which there is one already: it is what Prometheus asks for.
    if zstd > gzip {
        Encoding::Zstd
    } else if gzip > 0.0 {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

/// How events are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// Those that there are, as one answer.
    Once,
    /// Also those to come, as a stream.
    Stream,
}

/// Returns how events are to be told; once, unless a stream is asked for by its name.
pub(super) fn telling(headers: &HeaderMap) -> Telling {
    let accepted = Preferences::of(headers, &ACCEPT);
    let quality = |name: &str| {
        accepted.quality(|range| (range.media_type == name).then_some(Specificity::Exact))
    };
    let (stream, once) = (quality(sse::CONTENT_TYPE), quality("application/json"));
    if stream > 0.0 && stream >= once {
        Telling::Stream
    } else {
        Telling::Once
    }
}

/// How closely a range names what exists; the closest one decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Wildcard,
    Type,
    Exact,
}

/// The ranges of a header, in any order.
struct Preferences(Vec<Range>);

/// One element: `text/plain; version=0.0.4; q=0.5`.
struct Range {
    media_type: String,
    parameters: Vec<(String, String)>,
    quality: f32,
}

impl Preferences {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        let values = headers.get_all(name).iter();
        let text = values.filter_map(|value| value.to_str().ok());
        Self(
            text.flat_map(|text| text.split(','))
                .map(Range::parse)
                .collect(),
        )
    }

    /// Returns how much something is liked, 0 to 1: by the closest of the ranges that match it, else not at all.
    fn quality(&self, matches: impl Fn(&Range) -> Option<Specificity>) -> f32 {
        let matching = self.0.iter();
        let matching = matching.filter_map(|range| Some((matches(range)?, range.quality)));
        matching
            .max_by(|(one, a), (other, b)| one.cmp(other).then(a.total_cmp(b)))
            .map_or(0.0, |(_, quality)| quality)
    }
}

impl Range {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
        let mut range = Self {
            media_type: parts.next().unwrap_or_default(),
            parameters: Vec::new(),
            quality: 1.0,
        };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else {
                continue;
            };
            match (name.trim(), value.trim().trim_matches('"')) {
                // What is no number is liked as if it were not there.
                ("q", value) => range.quality = value.parse().unwrap_or(1.0),
                (name, value) => range.parameters.push((name.to_owned(), value.to_owned())),
            }
        }
        range
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        let (_, value) = parameters.find(|(its_name, _)| its_name == name)?;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_format_a_client_likes_best_is_chosen() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let protobuf_first = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
            encoding=delimited;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (prometheus_2, Format::OpenMetrics),
            (prometheus_3, Format::OpenMetrics),
            (protobuf_first, Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "Application/OpenMetrics-Text; Version=1.0.0",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            (
                "application/openmetrics-text;q=0.1,text/plain;q=0.2",
                Format::Text,
            ),
            ("application/openmetrics-text;q=0,*/*", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("application/json", Format::Text),
            ("", Format::Text),
        ] {
            assert_eq!(format(&headers(ACCEPT, accept)), expected, "{accept}");
        }
        assert_eq!(format(&HeaderMap::new()), Format::Text);
    }

    #[test]
    fn events_are_streamed_where_a_stream_is_asked_for_by_its_name() {
        for (accept, expected) in [
            ("text/event-stream", Telling::Stream),
            ("text/event-stream, */*", Telling::Stream),
            ("application/json, text/event-stream", Telling::Stream),
            ("application/json, text/event-stream;q=0.5", Telling::Once),
            ("text/event-stream;q=0", Telling::Once),
            ("text/*", Telling::Once),
            ("*/*", Telling::Once),
        ] {
            assert_eq!(telling(&headers(ACCEPT, accept)), expected, "{accept}");
        }
        assert_eq!(telling(&HeaderMap::new()), Telling::Once);
    }

    #[test]
    fn what_compresses_is_used_wherever_it_is_not_refused() {
        for (accept, expected) in [
            ("gzip", Encoding::Gzip),
            ("deflate, gzip;q=0.5, br", Encoding::Gzip),
            ("*", Encoding::Gzip),
            ("gzip;q=0, *", Encoding::Zstd),
            ("gzip;q=0, zstd;q=0, *", Encoding::Identity),
            ("zstd", Encoding::Zstd),
            ("gzip;q=0.5, zstd", Encoding::Zstd),
            ("zstd;q=0.5, gzip", Encoding::Gzip),
            ("gzip, deflate, br, zstd", Encoding::Gzip),
            ("zstd;q=0", Encoding::Identity),
            ("identity", Encoding::Identity),
            ("br", Encoding::Identity),
            ("", Encoding::Identity),
        ] {
            let headers = headers(ACCEPT_ENCODING, accept);
            assert_eq!(encoding(&headers), expected, "{accept}");
        }
    }
}
