//! Placeholder of the tables that follow.
