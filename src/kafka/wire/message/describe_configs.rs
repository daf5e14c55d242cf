//! DescribeConfigs: the configuration of topics.

use std::collections::BTreeMap;

use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;

use super::names::wire_string;
use super::request::{Request, Throttled, succeeded};
use crate::kafka::api::Api;
use crate::kafka::error::KafkaError;
use crate::lag::TopicName;
use crate::offsets_topic::Malformed;
use crate::offsets_topic::reader::Reader;

/// Kafka's number of the resource type "topic".
const TOPIC: i8 = 2;

/// Asks for the configuration of topics.
#[derive(Clone, Debug)]
pub(in crate::kafka) struct DescribeConfigs {
    /// The topics.
    pub(in crate::kafka) topics: Vec<TopicName>,
}

/// The properties of one topic, or why they are unknown.
type TopicConfig = Result<BTreeMap<String, String>, KafkaError>;

impl Request for DescribeConfigs {
    const API: Api = Api::DESCRIBE_CONFIGS;
    const VERSIONS: (i16, i16) = (1, 4);
    const FLEXIBLE: i16 = 4;
    type Message = DescribeConfigsRequest;
    /// The topics that were asked for and answered. Secrets and properties without a value are left out.
    type Response = BTreeMap<TopicName, TopicConfig>;

    fn message(&self, _version: i16) -> DescribeConfigsRequest {
        let resource = |topic: &TopicName| {
            DescribeConfigsResource::default()
                .with_resource_type(TOPIC)
                .with_resource_name(wire_string(topic.as_str()))
                .with_configuration_keys(None)
        };
        DescribeConfigsRequest::default()
            .with_resources(self.topics.iter().map(resource).collect())
            .with_include_synonyms(false)
            .with_include_documentation(false)
    }

    fn read(&self, body: &mut Reader<'_>) -> Result<Throttled<Self::Response>, Malformed> {
        let throttle_time_ms = body.i32("ThrottleTimeMs")?;
        let asked: BTreeMap<&[u8], &TopicName> = self
            .topics
            .iter()
            .map(|topic| (topic.as_str().as_bytes(), topic))
            .collect();
        let mut topics = BTreeMap::new();
        body.each("Results", |body| {
            let (topic, config) = read_topic(body)?;
            if let Some(topic) = topic.and_then(|name| asked.get(name)) {
                topics.entry(TopicName::clone(topic)).or_insert(config);
            }
            Ok(())
        })?;
        body.end()?;
        Ok(Throttled::new(throttle_time_ms, topics))
    }
}

/// Reads the result of one resource; without a name where it is not a topic.
fn read_topic<'a>(body: &mut Reader<'a>) -> Result<(Option<&'a [u8]>, TopicConfig), Malformed> {
    let code = body.i16("Results.ErrorCode")?;
    let message = body.nullable_lossy_string("Results.ErrorMessage")?;
    let resource_type = body.i8("Results.ResourceType")?;
    let name = body.string_bytes("Results.ResourceName")?;
    let mut properties = BTreeMap::new();
    body.each("Results.Configs", |body| {
        properties.extend(read_property(body)?);
        Ok(())
    })?;
    body.end()?;
    let config = succeeded(code, message.as_deref()).map(|()| properties);
    Ok(((resource_type == TOPIC).then_some(name), config))
}

/// Reads a property; nothing for a secret and for one without a value.
fn read_property(body: &mut Reader<'_>) -> Result<Option<(String, String)>, Malformed> {
    let name = body.lossy_string("Configs.Name")?;
    let value = body.nullable_lossy_string("Configs.Value")?;
    body.bool("Configs.ReadOnly")?;
    body.i8("Configs.ConfigSource")?;
    let is_sensitive = body.bool("Configs.IsSensitive")?;
    body.each("Configs.Synonyms", |body| {
        body.string_bytes("Synonyms.Name")?;
        body.nullable_string_bytes("Synonyms.Value")?;
        body.i8("Synonyms.Source")?;
        body.end()
    })?;
    if body.version() >= 3 {
        body.i8("Configs.ConfigType")?;
        body.nullable_string_bytes("Configs.Documentation")?;
    }
    body.end()?;
    let value = value.filter(|_| !is_sensitive);
    Ok(value.map(|value| (name.into_owned(), value.into_owned())))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::DescribeConfigsResponse;
    use kafka_protocol::messages::describe_configs_response::{
        DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
    };

    use super::super::tests::{read, sent, survives};
    use super::*;
    use crate::kafka::error::ErrorCode;

    fn request() -> DescribeConfigs {
        DescribeConfigs {
            topics: vec!["t".into(), "u".into()],
        }
    }

    fn property(version: i16, name: &str, value: Option<&str>) -> DescribeConfigsResourceResult {
        let synonym = DescribeConfigsSynonym::default().with_name(wire_string("log.x"));
        let mut property = DescribeConfigsResourceResult::default()
            .with_name(wire_string(name))
            .with_value(value.map(wire_string))
            .with_synonyms(vec![synonym]);
        if version >= 3 {
            property.documentation = Some(wire_string("What it does."));
        }
        property
    }

    fn topic(name: &str, properties: Vec<DescribeConfigsResourceResult>) -> DescribeConfigsResult {
        DescribeConfigsResult::default()
            .with_resource_type(TOPIC)
            .with_resource_name(wire_string(name))
            .with_configs(properties)
    }

    fn response(results: Vec<DescribeConfigsResult>) -> DescribeConfigsResponse {
        DescribeConfigsResponse::default().with_results(results)
    }

    #[test]
    fn properties_of_every_version_are_read_without_secrets_and_absent_values() {
        for version in 1..=4 {
            let secret = property(version, "password", Some("secret")).with_is_sensitive(true);
            let properties = vec![
                property(version, "retention.ms", Some("1000")),
                secret,
                property(version, "leader.replication.throttled.replicas", None),
                property(version, "cleanup.policy", Some("")),
            ];
            let response = response(vec![topic("t", properties)]);
            let topics = survives(&request(), version, &response);
            let expected = [("retention.ms", "1000"), ("cleanup.policy", "")];
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let expected = [("t".into(), Ok(expected.into()))];
            assert_eq!(topics, expected.into(), "version {version}");
        }
    }

    #[test]
    fn a_topic_that_failed_is_an_error_at_its_place() {
        for version in 1..=4 {
            let failed = topic("t", Vec::new())
                .with_error_code(29)
                .with_error_message(Some(wire_string("Topic authorization failed.")));
            let topics = read(
                &request(),
                version,
                &response(vec![failed, topic("u", vec![])]),
            );
            let codes = topics
                .into_values()
                .map(|topic| topic.map_err(|error| error.code));
            let expected = [
                Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
                Ok(BTreeMap::new()),
            ];
            assert_eq!(codes.collect::<Vec<_>>(), expected, "version {version}");
        }
    }

    #[test]
    fn what_was_not_asked_for_is_ignored() {
        for version in 1..=4 {
            let again = property(version, "a", Some("2"));
            let results = vec![
                topic("other", Vec::new()),
                topic("t", Vec::new()).with_resource_type(4),
                topic("u", vec![property(version, "a", Some("1"))]),
                topic("u", vec![again]),
            ];
            let topics = read(&request(), version, &response(results));
            let expected = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
            assert_eq!(topics, [("u".into(), Ok(expected))].into());
        }
    }

    #[test]
    fn topics_are_asked_for_all_properties() {
        for version in 1..=4 {
            let sent = sent(&request(), version);
            let resources = sent.resources.iter().map(|resource| {
                assert_eq!(resource.resource_type, 2);
                assert_eq!(resource.configuration_keys, None);
                resource.resource_name.as_str()
            });
            assert_eq!(
                resources.collect::<Vec<_>>(),
                ["t", "u"],
                "version {version}"
            );
            assert!(!sent.include_synonyms && !sent.include_documentation);
        }
    }
}
