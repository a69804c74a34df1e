//! The client of Heketi's REST against a stand-in that answers as was recorded,
//! and loses, delays, repeats and lies where it is told to.

#[path = "../support/heketi/mod.rs"]
mod stand_in;

#[path = "../support/python.rs"]
mod session;

mod doctor;
mod faults;
mod good;
mod lies;
mod python;
mod tls;

use std::time::Duration;

use loods::storage::heketi::client::{Credentials, Heketi, Limits, Trust};
use loods::storage::heketi::ensure::Pauses;
use loods::storage::heketi::wire::{Durability, VolumeCreate};
use stand_in::StandIn;

const KEY: &str = "adminkey-lab";

/// Limits for a server on the same host: a failure should not take a minute.
fn limits() -> Limits {
    Limits {
        call: Duration::from_secs(5),
        whole: Duration::from_secs(20),
        pauses: Pauses {
            first: Duration::from_millis(1),
            most: Duration::from_millis(50),
            losses: 3,
        },
        ..Limits::default()
    }
}

fn client_of(server: &StandIn) -> Heketi {
    client(server, KEY, limits())
}

fn client(server: &StandIn, key: &str, limits: Limits) -> Heketi {
    let credentials = Credentials::new("admin", key.as_bytes()).expect("a key");
    Heketi::new(&server.url(), Some(credentials), &Trust::Host, limits).expect("a URL")
}

/// As the article's class has it.
fn wanted(name: &str) -> VolumeCreate {
    VolumeCreate {
        size: 2,
        name: name.into(),
        durability: Durability::replicate(2),
        gid: 2000,
        ..VolumeCreate::default()
    }
}
