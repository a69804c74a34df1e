//! Every key that a configuration may hold, section by section.
//!
//! The parser refuses what is not here, suggests from here, and the reference
//! in `docs/configuration.md` is checked against it.

/// A kind of mapping and the keys that it may hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Section {
    /// Where it stands, as the documentation writes it: `peers[]`; empty at the top.
    pub path: &'static str,
    /// In the order of the documentation.
    pub keys: &'static [&'static str],
}

pub(super) const TOP: Section = Section {
    path: "",
    keys: &[
        "peers",
        "address-pools",
        "bgp-communities",
        "bfd-profiles",
        "origin",
        "on-removed-pool",
    ],
};

pub(super) const PEER: Section = Section {
    path: "peers[]",
    keys: &[
        "my-asn",
        "peer-asn",
        "peer-address",
        "peer-port",
        "source-address",
        "hold-time",
        "keepalive-time",
        "router-id",
        "node-selectors",
        "password",
        "bfd-profile",
        "ebgp-multihop",
    ],
};

pub(super) const NODE_SELECTOR: Section = Section {
    path: "peers[].node-selectors[]",
    keys: &["match-labels", "match-expressions"],
};

pub(super) const MATCH_EXPRESSION: Section = Section {
    path: "peers[].node-selectors[].match-expressions[]",
    keys: &["key", "operator", "values"],
};

pub(super) const POOL: Section = Section {
    path: "address-pools[]",
    keys: &[
        "name",
        "protocol",
        "addresses",
        "avoid-buggy-ips",
        "auto-assign",
        "bgp-advertisements",
    ],
};

pub(super) const ADVERTISEMENT: Section = Section {
    path: "address-pools[].bgp-advertisements[]",
    keys: &[
        "aggregation-length",
        "aggregation-length-v6",
        "localpref",
        "communities",
    ],
};

pub(super) const BFD_PROFILE: Section = Section {
    path: "bfd-profiles[]",
    keys: &[
        "name",
        "receive-interval",
        "transmit-interval",
        "detect-multiplier",
        "echo-interval",
        "echo-mode",
        "passive-mode",
        "minimum-ttl",
    ],
};

/// All sections.
pub const KEYS: &[&Section] = &[
    &TOP,
    &PEER,
    &NODE_SELECTOR,
    &MATCH_EXPRESSION,
    &POOL,
    &ADVERTISEMENT,
    &BFD_PROFILE,
];

impl Section {
    /// The key that was probably meant: at most two letters away, or the same
    /// but for case, dashes and underscores.
    pub(super) fn suggestion(&self, written: &str) -> Option<&'static str> {
        let plain = squash(written);
        self.keys
            .iter()
            .map(|key| (distance(&plain, &squash(key)), *key))
            .filter(|(far, key)| *far <= 2 && *far < key.len() / 2)
            .min()
            .map(|(_, key)| key)
    }
}

fn squash(key: &str) -> Vec<u8> {
    let letters = key.bytes().filter(u8::is_ascii_alphanumeric);
    letters.take(64).map(|b| b.to_ascii_lowercase()).collect()
}

/// Levenshtein distance.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let changed = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = changed.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions() {
        for (written, meant) in [
            ("my_asn", Some("my-asn")),
            ("PeerASN", Some("peer-asn")),
            ("peer-addres", Some("peer-address")),
            ("holdtime", Some("hold-time")),
            ("pasword", Some("password")),
            ("metric", None),
            ("x", None),
        ] {
            assert_eq!(PEER.suggestion(written), meant, "{written}");
        }
        assert_eq!(TOP.suggestion("address_pool"), Some("address-pools"));
    }
}
