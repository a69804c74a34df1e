//! The program `loods`.

fn main() {}
