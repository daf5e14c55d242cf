//! The binary against a broker that lies.

mod commands;
mod lies;
mod twists;
