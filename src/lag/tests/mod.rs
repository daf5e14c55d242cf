//! Tests across several files of `lag`: simulated logs and groups whose truth is known, one file a subject.

mod ages;
mod headroom;
mod scenarios;
mod searches;
mod world;
