//! The world against a model, with every call failing at every point.

mod health;
mod model;
