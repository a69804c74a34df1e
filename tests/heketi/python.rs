//! The official Python client drives the stand-in.
