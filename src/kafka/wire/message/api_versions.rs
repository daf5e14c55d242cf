//! ApiVersions: which requests a broker knows, and in which versions.

use std::collections::BTreeMap;

use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::protocol::StrBytes;

use super::request::{Request, Throttled, read_throttle_time, succeeded};
use crate::kafka::api::Api;
use crate::kafka::error::KafkaError;
use crate::offsets_topic::Malformed;
use crate::offsets_topic::reader::Reader;

/// Asks for the versions.
pub(in crate::kafka) struct ApiVersions;

/// The oldest and the newest version of each request that a broker knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::kafka) struct SupportedVersions(BTreeMap<Api, (i16, i16)>);

impl SupportedVersions {
    /// Returns the newest version that a broker and this client know; nothing where they have none in common that
    /// can carry the request.
    pub(in crate::kafka) fn newest<R: Request>(&self, request: &R) -> Option<i16> {
        let (oldest, newest) = (request.oldest(), request.newest());
        let (least, most) = *self.0.get(&R::API)?;
        let version = newest.min(most);
        (version >= oldest.max(least)).then_some(version)
    }
}

impl Request for ApiVersions {
    const API: Api = Api::API_VERSIONS;
    const VERSIONS: (i16, i16) = (0, 3);
    const FLEXIBLE: i16 = 3;
    type Message = ApiVersionsRequest;
    type Response = Result<SupportedVersions, KafkaError>;

    fn message(&self, _version: i16) -> ApiVersionsRequest {
        ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("lagwatch"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")))
    }

    fn read(&self, body: &mut Reader<'_>) -> Result<Throttled<Self::Response>, Malformed> {
        let code = body.i16("ErrorCode")?;
        let apis = body.list("ApiKeys", |body| {
            let api = Api::new(body.i16("ApiKey")?);
            let versions = (body.i16("MinVersion")?, body.i16("MaxVersion")?);
            body.end()?;
            Ok((api, versions))
        })?;
        let throttle_time_ms = read_throttle_time(body, 1)?;
        let response = succeeded(code, None);
        let response = response.map(|()| SupportedVersions(apis.into_iter().collect()));
        Ok(Throttled::new(throttle_time_ms, response))
    }
}
