//! The Kafka layer: the admin client, the log reader, security, and brokers that fail, lie, or are old.

mod admin_kafka;
mod faults_kafka;
mod hostile_kafka;
mod hostile_stages;
mod log_reader_kafka;
mod lying_broker;
mod old_brokers_kafka;
mod rolling_restart_kafka;
mod secured_kafka;
mod security_matrix_kafka;
