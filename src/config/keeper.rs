//! Which configuration is in force: the last good one, whatever comes.

use std::fmt;
use std::sync::Arc;

use super::Config;

/// What the ConfigMap says now.
#[derive(Clone, PartialEq, Eq)]
pub enum Seen {
    /// Its key holds this text.
    Text(Arc<str>),
    /// It is there without the key: an empty text would be a valid, empty
    /// configuration, but nobody takes all his peers away by leaving out a key.
    NoKey,
    /// It is not there.
    Missing,
}

/// The text holds passwords: only its length shows.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::Text(text) => write!(f, "Text of {} bytes", text.len()),
            Seen::NoKey => f.write_str("NoKey"),
            Seen::Missing => f.write_str("Missing"),
        }
    }
}

/// Keeps the configuration in force. Has no Debug: its texts hold passwords.
#[derive(Default)]
pub struct Keeper {
    current: Option<InForce>,
    previous: Option<Arc<Config>>,
    fault: Option<String>,
    notes: Vec<String>,
}

struct InForce {
    text: Arc<str>,
    config: Arc<Config>,
    /// It is the copy that the leader kept, not what the ConfigMap says.
    copy: bool,
}

/// What a look at the ConfigMap changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Another configuration is in force.
    pub config: Option<Arc<Config>>,
    /// Something is wrong that was not, or not in this way: to be said in an Event.
    pub fault: Option<String>,
}

impl Keeper {
    /// With nothing in force yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the ConfigMap. `last_good` is the kept copy, used while
    /// nothing is in force yet.
    pub fn look(&mut self, seen: &Seen, last_good: Option<&Arc<str>>) -> Change {
        let wrong = match seen {
            Seen::Text(text) if self.current.as_ref().is_some_and(|c| c.text == *text) => {
                // Good again, or the kept copy came first and was the same.
                self.fault = None;
                if let Some(current) = &mut self.current {
                    current.copy = false;
                }
                return Change::default();
            }
            Seen::Text(text) => match super::parse(text) {
                Ok(parsed) => {
                    self.notes = parsed.notes.iter().map(ToString::to_string).collect();
                    self.fault = None;
                    if self.current.is_none() {
                        // What was in force before this process started.
                        self.previous = last_good.and_then(|copy| super::parse(copy).ok()).map(|p| Arc::new(p.config));
                    }
                    return self.accept(text, Arc::new(parsed.config), false);
                }
                Err(errors) => errors.render("config"),
            },
            Seen::NoKey => "the ConfigMap has no key `config`; an empty text there would be an empty configuration".into(),
            Seen::Missing => "the ConfigMap is not there".into(),
        };
        let fault = (self.fault.as_deref() != Some(&*wrong)).then(|| wrong.clone());
        self.fault = Some(wrong);
        let change = match (
            &self.current,
            last_good.map(|copy| (copy, super::parse(copy))),
        ) {
            (None, Some((copy, Ok(parsed)))) => self.accept(copy, Arc::new(parsed.config), true),
            _ => Change::default(),
        };
        Change { fault, ..change }
    }

    /// The configuration in force.
    pub fn config(&self) -> Option<&Arc<Config>> {
        self.current.as_ref().map(|current| &current.config)
    }

    /// The one before it, for what only that one knew: how an address of a
    /// pool that is gone was announced.
    pub fn previous(&self) -> Option<&Arc<Config>> {
        self.previous.as_ref()
    }

    /// The text in force, to be kept as the last good one.
    pub fn text(&self) -> Option<&Arc<str>> {
        self.current.as_ref().map(|current| &current.text)
    }

    /// Whether the text in force is the kept copy.
    pub fn is_copy(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.copy)
    }

    /// What is wrong with what the ConfigMap says, if anything is.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Accepted, but worth knowing.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn accept(&mut self, text: &Arc<str>, config: Arc<Config>, copy: bool) -> Change {
        if let Some(before) = self.current.take() {
            self.previous = Some(before.config);
        }
        self.current = Some(InForce {
            text: Arc::clone(text),
            config: Arc::clone(&config),
            copy,
        });
        Change {
            config: Some(config),
            fault: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(asn: u32) -> Arc<str> {
        format!("peers: [{{my-asn: {asn}, peer-asn: 1, peer-address: 192.0.2.1}}]").into()
    }

    /// Our AS in the configuration in force: tells one text from another.
    fn in_force(config: Option<&Arc<Config>>) -> Option<u32> {
        Some(config?.peers.first()?.my_asn.0)
    }

    #[test]
    fn whatever_comes_the_last_good_text_stays_in_force() {
        let mut keeper = Keeper::new();
        keeper.look(&Seen::Text(text(1)), None);
        for bad in [Seen::Text("peers: 1".into()), Seen::NoKey, Seen::Missing] {
            let change = keeper.look(&bad, None);
            assert_eq!(change.config, None, "{bad:?}");
            assert!(change.fault.is_some(), "{bad:?} is told");
            assert_eq!(
                keeper.look(&bad, None),
                Change::default(),
                "{bad:?} is told once"
            );
            assert_eq!(in_force(keeper.config()), Some(1));
        }
        let good_again = keeper.look(&Seen::Text(text(1)), None);
        assert_eq!(good_again, Change::default(), "nothing to apply anew");
        assert_eq!(keeper.fault(), None);
    }

    #[test]
    fn a_process_that_starts_on_a_bad_text_takes_the_kept_copy() {
        for bad in [Seen::Text("peers: 1".into()), Seen::NoKey, Seen::Missing] {
            let mut keeper = Keeper::new();
            let change = keeper.look(&bad, Some(&text(7)));
            assert_eq!(in_force(change.config.as_ref()), Some(7), "{bad:?}");
            assert!(change.fault.is_some() && keeper.is_copy(), "{bad:?}");
            keeper.look(&Seen::Text(text(7)), Some(&text(7)));
            assert!(!keeper.is_copy(), "the ConfigMap says the same now");
            assert_eq!(keeper.fault(), None);
        }
    }

    #[test]
    fn a_kept_copy_that_is_bad_itself_puts_nothing_in_force() {
        let mut keeper = Keeper::new();
        let change = keeper.look(&Seen::Missing, Some(&"peers: 1".into()));
        assert_eq!(change.config, None);
        assert!(change.fault.is_some());
    }

    #[test]
    fn the_configuration_before_is_known_over_an_edit_and_over_a_restart() {
        let mut keeper = Keeper::new();
        keeper.look(&Seen::Text(text(2)), Some(&text(1)));
        assert_eq!(in_force(keeper.previous()), Some(1), "from the kept copy");
        keeper.look(&Seen::Text(text(3)), Some(&text(1)));
        assert_eq!(in_force(keeper.previous()), Some(2), "from before the edit");
    }

    #[test]
    fn an_empty_text_is_an_empty_configuration() {
        let mut keeper = Keeper::new();
        keeper.look(&Seen::Text(text(1)), None);
        let change = keeper.look(&Seen::Text("".into()), None);
        assert_eq!(change.config.map(|config| config.peers.len()), Some(0));
    }
}
