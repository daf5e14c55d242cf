//! The index page: what this process watches, how it is, and where to look.

use std::fmt::Write;
use std::time::Instant;

use crate::snapshot::World;

/// A route as the page lists it.
#[derive(Clone, Debug)]
pub struct RouteLink {
    /// The path; not a link where it has a placeholder in braces.
    pub path: String,
    /// What it answers, in a few words.
    pub summary: &'static str,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--dim:#8a8a8a}\
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}\
h1{margin:0}p{color:var(--dim);margin:.2rem 0 2rem}h2{font-size:1rem;margin:2rem 0 .5rem}\
table{border-collapse:collapse;width:100%}th{font-weight:600}\
td,th{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid var(--line)}\
code{font:.9em ui-monospace,monospace}.up{color:#1a7f37}.down{color:#cf222e}";

/// Renders the page.
pub fn index(world: &World, links: &[RouteLink], now: Instant) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>lagwatch</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>lagwatch {}</h1>\n\
         <p>How far every Kafka consumer group is behind, why, and what happens next.</p>\n",
        env!("CARGO_PKG_VERSION")
    );
    page.push_str("<h2>Clusters</h2>\n<table>\n<tr><th>Cluster</th><th>Status</th><th>Groups</th><th>Topics</th><th>Read</th></tr>\n");
    for (name, snapshot) in &world.clusters {
        let name = name.as_ref().map_or("(unnamed)", |name| name.as_str());
        let name = escaped(name);
        let row = match snapshot {
            None => format!(
                "<tr><td>{name}</td><td class=\"down\">not read yet</td><td>-</td><td>-</td><td>-</td></tr>"
            ),
            Some(snapshot) => {
                let (class, word) = match snapshot.is_up(now) {
                    true => ("up", "up"),
                    false => ("down", "down"),
                };
                format!(
                    "<tr><td>{name}</td><td class=\"{class}\">{word} ({})</td><td>{}</td><td>{}</td><td>{} s ago</td></tr>",
                    snapshot.outcome.as_str(),
                    snapshot.groups.len(),
                    snapshot.topics_shown().count(),
                    now.saturating_duration_since(snapshot.taken).as_secs(),
                )
            }
        };
        page.push_str(&row);
        page.push('\n');
    }
    page.push_str("</table>\n<h2>Routes</h2>\n<table>\n");
    for RouteLink { path, summary } in links {
        let path = escaped(path);
        let path = match path.contains('{') {
            true => format!("<code>{path}</code>"),
            false => format!("<a href=\"{path}\"><code>{path}</code></a>"),
        };
        writeln!(page, "<tr><td>{path}</td><td>{summary}</td></tr>")
            .expect("writing to memory cannot fail");
    }
    page.push_str("</table>\n</body>\n</html>\n");
    page
}

/// Returns `text` with whatever HTML would take for markup escaped.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, char| {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let world = World {
            generation: 0,
            clusters: vec![(Some("<script>\"&'".into()), None)],
        };
        let page = index(&world, &[], Instant::now());
        assert!(page.contains("&lt;script&gt;&quot;&amp;&#39;"), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }
}
