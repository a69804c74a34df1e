//! One claim step by step, and then many with every call failing.

mod model;
mod steps;
