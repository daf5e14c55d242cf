//! The API is what its description says: each route answers, and each answer has the fields, no more and no fewer.

use std::time::Instant;

use lagwatch::http::HttpConfig;
use serde_json::Value;

use super::event_reader::{commit, rebalance};
use super::server::Server;
use super::world::rich;

/// The description, as served.
struct Description(Value);

impl Description {
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            None => schema,
            Some(path) => {
                let pointer = path.strip_prefix('#').expect("references stay in the file");
                let target = self.0.pointer(pointer);
                self.resolve(target.unwrap_or_else(|| panic!("{path} leads nowhere")))
            }
        }
    }

    /// Returns what is wrong with `value`, and where; nothing where it is as the schema says.
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = self.resolve(schema);
        if let Some(options) = schema["oneOf"].as_array() {
            let mut results = options.iter().map(|option| self.check(option, value, at));
            return match results.any(|result| result.is_ok()) {
                true => Ok(()),
                false => Err(format!("{at}: {value} is none of {options:?}")),
            };
        }
        let types = match &schema["type"] {
            Value::Array(types) => types.clone(),
            one => vec![one.clone()],
        };
        if !types
            .iter()
            .any(|name| has_type(value, name.as_str().unwrap_or_default()))
        {
            return Err(format!("{at}: {value} is not of {types:?}"));
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            return Err(format!("{at}: {value} is not one of {words:?}"));
        }
        match value {
            Value::Object(fields) => {
                let properties = schema["properties"].as_object();
                let properties =
                    properties.ok_or_else(|| format!("{at}: fields are not described"))?;
                for name in properties.keys() {
                    let value = fields
                        .get(name)
                        .ok_or_else(|| format!("{at}: no `{name}`"))?;
                    self.check(&properties[name], value, &format!("{at}.{name}"))?;
                }
                let undescribed = fields.keys().find(|name| !properties.contains_key(*name));
                undescribed.map_or(Ok(()), |name| {
                    Err(format!("{at}: `{name}` is not described"))
                })
            }
            Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                self.check(&schema["items"], item, &format!("{at}[{index}]"))
            }),
            _ => Ok(()),
        }
    }
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the description has a type `{other}`"),
    }
}

#[test]
fn every_described_route_answers_as_described() {
    let server = Server::start(rich(Instant::now()), HttpConfig::default());
    let events = server.events.writer(Some("prod".into()));
    events.append_all([commit("billing", 7), rebalance("billing", 9)]);
    let (status, description) = server.json("/openapi.json");
    assert_eq!(status, 200);
    let description = Description(description);
    let paths = description.0["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), 6);
    for (path, methods) in paths {
        let requests: &[(&str, u16)] = match path.as_str() {
            "/api/v1/groups" => &[("", 200), ("?limit=x", 400), ("?cluster=none", 404)],
            "/api/v1/groups/{group}" => &[("billing", 200), ("unreadable", 200), ("none", 404)],
            "/api/v1/events" => &[
                ("", 200),
                ("?after=1-1", 200),
                ("?kind=x", 400),
                ("?cluster=none", 404),
            ],
            "/readyz" => &[("", 503)],
            _ => &[("", 200)],
        };
        let base = path.strip_suffix("{group}").unwrap_or(path);
        for (rest, expected) in requests {
            let target = format!("{base}{rest}");
            let answer = server.get(&target);
            assert_eq!(answer.status, *expected, "{target}");
            let described = &methods["get"]["responses"][expected.to_string()]["content"];
            let content = described.as_object().and_then(|types| types.iter().next());
            let (content_type, media) =
                content.unwrap_or_else(|| panic!("{target} is not described"));
            let sent = &answer.headers["content-type"];
            assert!(sent.starts_with(content_type), "{target}: {sent}");
            if content_type == "application/json" {
                let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
                let checked = description.check(&media["schema"], &body, &target);
                checked.unwrap_or_else(|wrong| panic!("{wrong}"));
            }
        }
    }
}
