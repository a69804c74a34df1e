//! Logs: where they go, how they look, and how to change their level while running.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

use crate::k8s::client::LOG_FILTER;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; coloured on a terminal.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Changes the level of a running daemon.
#[derive(Clone, Debug)]
pub struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// Sets a filter such as `debug` or `info,loods::speaker=trace`; an error says what is wrong with it.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        let filter = filter_of(filter)?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }

    /// The filter in force.
    pub fn current(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }
}

/// Starts logging to standard error.
pub fn start(filter: &str, format: Format) -> Result<Level, String> {
    let (filter, handle) = reload::Layer::new(filter_of(filter)?);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let started = match format {
        Format::Text => registry
            .with(lines.with_ansi(std::io::stderr().is_terminal()))
            .try_init(),
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|error| error.to_string())?;
    Ok(Level(handle))
}

fn filter_of(text: &str) -> Result<EnvFilter, String> {
    let text = text.trim();
    let whole = format!("{LOG_FILTER},{text}");
    EnvFilter::try_new(whole).map_err(|error| {
        format!("'{text}' is no log level: {error}; write error, warn, info, debug or trace")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_level_is_named() {
        let refused = filter_of("loud=very").expect_err("no such level");
        assert!(refused.contains("'loud=very'"), "{refused}");
        assert!(filter_of("info,loods::speaker=trace").is_ok());
    }
}
