//! What to do next for a claim or a volume: pure, and told every outcome.
