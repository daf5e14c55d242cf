//! What `deploy/` holds, tested by the programs that it is for.

mod acls_kafka;
mod chart;
mod files;
mod helm;
mod image;
mod objects;
mod programs;
mod texts;
