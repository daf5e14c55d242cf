//! The HTTP server, the exposition formats and the API.

mod clients;
mod event_reader;
mod events;
mod golden;
mod limits;
mod openapi;
mod render;
mod routes;
mod server;
mod web_config;
mod world;
