//! The integration tests: the public API and the binary, on the embedded cluster and on real Apache Kafka.

mod admin_kafka;
mod cli_bad_input;
mod cli_demo;
mod cli_help;
mod cli_serve;
mod describe_kafka;
mod docs;
mod faults_kafka;
mod http_clients;
mod http_golden;
mod http_limits;
mod http_openapi;
mod http_render;
mod http_routes;
mod http_server;
mod http_world;
mod layers;
mod poller_embedded;
mod poller_kafka;
mod scale_kafka;
mod support;
mod support_kafka;
mod task_embedded;
mod task_lessons;
mod task_sharing;
mod task_world;
