//! What flags and environment say, laid over what the file says.
//!
//! Both are the same types, so a key that exists can be overridden by construction. Each function destructures what
//! lies above: a new key breaks the build here until it is overridden too.

use super::schema::{
    AuditLogFile, BackoffFile, ClusterFile, CommitFile, ConsumerFile, LogFile, SelectionFile,
    ShardFile, WebFile,
};
use super::setting::Setting;

/// Something that a more important source may replace in part.
pub(super) trait Overlay {
    /// Replaces whatever `over` gives.
    fn overlay(&mut self, over: Self);
}

impl<T> Overlay for Option<Setting<T>> {
    fn overlay(&mut self, over: Self) {
        if over.is_some() {
            *self = over;
        }
    }
}

impl<T> Overlay for Vec<Setting<T>> {
    fn overlay(&mut self, over: Self) {
        if !over.is_empty() {
            *self = over;
        }
    }
}

impl Overlay for ClusterFile {
    fn overlay(&mut self, over: Self) {
        let Self {
            name,
            bootstrap_servers,
            kafka_properties,
            mode,
            poll_interval,
            reconcile_interval,
            request_timeout,
            max_in_flight,
            groups,
            topics,
            granularity,
            uncommitted,
            abandoned,
            read_committed_groups,
            owner_info,
            shard,
            stale_after,
            max_series,
            max_series_bytes,
        } = over;
        self.name.overlay(name);
        self.bootstrap_servers.overlay(bootstrap_servers);
        self.kafka_properties.extend(kafka_properties);
        self.mode.overlay(mode);
        self.poll_interval.overlay(poll_interval);
        self.reconcile_interval.overlay(reconcile_interval);
        self.request_timeout.overlay(request_timeout);
        self.max_in_flight.overlay(max_in_flight);
        self.groups.overlay(groups);
        self.topics.overlay(topics);
        self.granularity.overlay(granularity);
        self.uncommitted.overlay(uncommitted);
        self.abandoned.overlay(abandoned);
        self.read_committed_groups.overlay(read_committed_groups);
        self.owner_info.overlay(owner_info);
        self.shard.overlay(shard);
        self.stale_after.overlay(stale_after);
        self.max_series.overlay(max_series);
        self.max_series_bytes.overlay(max_series_bytes);
    }
}

impl Overlay for Option<ShardFile> {
    fn overlay(&mut self, over: Self) {
        // One way of sharing does not mix with another.
        if over.is_some() {
            *self = over;
        }
    }
}

impl Overlay for Option<SelectionFile> {
    fn overlay(&mut self, over: Self) {
        let Some(SelectionFile {
            include,
            exclude,
            names,
        }) = over
        else {
            return;
        };
        let selection = self.get_or_insert_default();
        selection.include = include.or(selection.include.take());
        selection.exclude = exclude.or(selection.exclude.take());
        selection.names.overlay(names);
    }
}

impl Overlay for ConsumerFile {
    fn overlay(&mut self, over: Self) {
        let Self {
            cluster,
            topics,
            group,
            preset,
            auto_offset_reset,
            commit:
                CommitFile {
                    strategy,
                    records,
                    interval,
                    mode,
                },
            max_attempts,
            backoff: BackoffFile { initial, max },
            dead_letter_topic,
            audit_log: AuditLogFile { path },
            processing_delay,
            grace_period,
            client_id,
            kafka_properties,
        } = over;
        self.cluster.overlay(cluster);
        self.topics.overlay(topics);
        self.group.overlay(group);
        self.preset.overlay(preset);
        self.auto_offset_reset.overlay(auto_offset_reset);
        self.commit.strategy.overlay(strategy);
        self.commit.records.overlay(records);
        self.commit.interval.overlay(interval);
        self.commit.mode.overlay(mode);
        self.max_attempts.overlay(max_attempts);
        self.backoff.initial.overlay(initial);
        self.backoff.max.overlay(max);
        self.dead_letter_topic.overlay(dead_letter_topic);
        self.audit_log.path.overlay(path);
        self.processing_delay.overlay(processing_delay);
        self.grace_period.overlay(grace_period);
        self.client_id.overlay(client_id);
        self.kafka_properties.extend(kafka_properties);
    }
}

impl Overlay for WebFile {
    fn overlay(&mut self, over: Self) {
        let Self {
            listen_address,
            telemetry_path,
            config_file,
        } = over;
        self.listen_address.overlay(listen_address);
        self.telemetry_path.overlay(telemetry_path);
        self.config_file.overlay(config_file);
    }
}

impl Overlay for LogFile {
    fn overlay(&mut self, over: Self) {
        let Self { level, format } = over;
        self.level.overlay(level);
        self.format.overlay(format);
    }
}
