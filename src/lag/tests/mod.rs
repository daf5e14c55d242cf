//! Time lag against simulated logs whose true ages are known: one file a subject.

mod ages;
mod searches;
mod world;
