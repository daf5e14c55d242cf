//! The requests that lagwatch sends and the responses it reads: one file each.
//!
//! Every request states the versions it is known in; the newest that the broker knows, too, is sent. A response is read
//! into lagwatch's own types at once. What a broker sends is not trusted: nothing is allocated from a length field.

mod api_versions;
mod consumer_group_describe;
mod describe_configs;
mod describe_groups;
mod described_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod modern_group_describe;
mod names;
mod offset_fetch;
mod request;
mod sasl;
mod share_group_describe;
mod streams_group_describe;
#[cfg(test)]
mod tests;

pub(in crate::kafka) use self::api_versions::{ApiVersions, SupportedVersions};
pub(in crate::kafka) use self::consumer_group_describe::ConsumerGroupDescribe;
pub(in crate::kafka) use self::describe_configs::DescribeConfigs;
pub(in crate::kafka) use self::describe_groups::{AuthorizedOperations, DescribeGroups};
pub(in crate::kafka) use self::described_group::DescribedGroup;
pub(in crate::kafka) use self::list_groups::ListGroups;
pub(in crate::kafka) use self::list_offsets::ListOffsets;
pub(in crate::kafka) use self::metadata::{MetadataRequest, MetadataResponse, TopicMetadata};
pub(in crate::kafka) use self::offset_fetch::OffsetFetch;
pub(in crate::kafka) use self::request::{Request, Throttled, decode, encode};
pub(in crate::kafka) use self::sasl::{SaslAuthenticate, SaslHandshake};
pub(in crate::kafka) use self::share_group_describe::ShareGroupDescribe;
pub(in crate::kafka) use self::streams_group_describe::StreamsGroupDescribe;
