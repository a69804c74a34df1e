//! `/metrics`: how volumes, bricks and devices fare.
//!
//! What is scraped is what the [`super::rounds`] saw last, with its age.

use std::sync::Arc;

use hyper::StatusCode;
use tokio::time::Instant;

use super::Manager;
use super::rounds::{Healths, Seen};
use super::state::State;
use crate::admin::{Answer, Ask, Route};
use crate::observe::exposition::{CONTENT_TYPE, Kind, Page};
use crate::observe::process;
use crate::storage::heketi::loods::HealthState;

pub(super) fn route(manager: Arc<Manager>, healths: Arc<Healths>) -> Route {
    Arc::new(move |ask: Ask| {
        let answer = match ask.path.as_str() {
            "/healthz" => Answer::text("ok\n"),
            "/readyz" if *manager.looked.borrow() => Answer::text("ready\n"),
            "/readyz" => Answer::refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready: not all volumes are known yet\n",
            ),
            "/metrics" => Answer {
                content_type: CONTENT_TYPE,
                ..Answer::text(page(&manager.state(), &healths.seen(), Instant::now()))
            },
            _ => Answer::refuse(StatusCode::NOT_FOUND, "/metrics, /healthz or /readyz\n"),
        };
        Box::pin(std::future::ready(answer))
    })
}

/// Pure. A volume's name is its PersistentVolume's, if a controller made it.
fn page(state: &State, seen: &Seen, now: Instant) -> String {
    let mut page = Page::default();
    volumes(&mut page, state, seen, now);
    bricks(&mut page, state, seen);
    devices(&mut page, state);
    process::write(&mut page);
    page.into_text()
}

fn volumes(page: &mut Page, state: &State, seen: &Seen, now: Instant) {
    page.family(
        "loods_storage_volume_size_bytes",
        Kind::Gauge,
        "What was asked for.",
    );
    for volume in state.volumes.values() {
        let bytes = u64::try_from(volume.record.size).unwrap_or(0) << 30;
        let labels = [("volume", &*volume.name), ("id", &*volume.record.id)];
        page.sample("loods_storage_volume_size_bytes", &labels, bytes);
    }
    let known = || {
        let all = seen.iter();
        all.filter_map(|(id, told)| Some((&*state.volumes.get(id)?.name, told)))
    };
    page.family(
        "loods_storage_volume_state_bool",
        Kind::Gauge,
        "1 = the state that the volume was in when it was looked at last.",
    );
    for (name, (health, _)) in known() {
        for (word, state) in [
            ("healthy", HealthState::Healthy),
            ("degraded", HealthState::Degraded),
            ("inaccessible", HealthState::Inaccessible),
            ("dataLoss", HealthState::DataLoss),
        ] {
            let labels = [("volume", name), ("state", word)];
            let is = u8::from(health.state == state);
            page.sample("loods_storage_volume_state_bool", &labels, is);
        }
    }
    page.family(
        "loods_storage_volume_look_age_seconds",
        Kind::Gauge,
        "Since the volume and its bricks were looked at.",
    );
    for (name, (_, at)) in known() {
        let age = now.saturating_duration_since(*at).as_secs();
        page.sample(
            "loods_storage_volume_look_age_seconds",
            &[("volume", name)],
            age,
        );
    }
}

fn bricks(page: &mut Page, state: &State, seen: &Seen) {
    let known = || {
        let all = seen.iter();
        all.filter_map(|(id, (health, _))| Some((&*state.volumes.get(id)?.name, health)))
            .flat_map(|(name, health)| health.bricks.iter().map(move |brick| (name, brick)))
    };
    type Figure = fn(&crate::storage::heketi::loods::BrickHealth) -> u64;
    let figures: [(&str, &str, Figure); 5] = [
        (
            "loods_storage_brick_online_bool",
            "1 = its process serves.",
            |brick| u64::from(brick.online),
        ),
        (
            "loods_storage_brick_heal_pending",
            "Files that wait to be healed.",
            |brick| brick.heal_pending,
        ),
        (
            "loods_storage_brick_split_brain",
            "Files whose copies differ.",
            |brick| brick.split_brain,
        ),
        (
            "loods_storage_brick_size_bytes",
            "Of its file system.",
            |brick| brick.size_bytes,
        ),
        (
            "loods_storage_brick_free_bytes",
            "Of its file system.",
            |brick| brick.free_bytes,
        ),
    ];
    for (metric, help, figure) in figures {
        page.family(metric, Kind::Gauge, help);
        for (name, brick) in known() {
            let labels = [
                ("volume", name),
                ("brick", &brick.id),
                ("host", &brick.host),
            ];
            page.sample(metric, &labels, figure(brick));
        }
    }
}

fn devices(page: &mut Page, state: &State) {
    let known = || {
        let all = state.devices.iter();
        all.filter_map(|(id, device)| {
            let host = state.nodes.get(&device.node)?.record.storage.first()?;
            Some((&**id, &**host, device))
        })
    };
    for (metric, help, free) in [
        ("loods_storage_device_size_bytes", "Of a device.", false),
        (
            "loods_storage_device_free_bytes",
            "What of a device is not given out.",
            true,
        ),
    ] {
        page.family(metric, Kind::Gauge, help);
        for (id, host, device) in known() {
            let space = device.space;
            let kib = if free { space.free } else { space.total };
            page.sample(metric, &[("device", id), ("host", host)], kib << 10);
        }
    }
    page.family(
        "loods_storage_agent_up_bool",
        Kind::Gauge,
        "1 = the agent of a storage host answered the last time.",
    );
    for node in state.nodes.values() {
        let host = node.record.storage.first().map_or("", |host| host);
        let up = u8::from(node.there);
        page.sample("loods_storage_agent_up_bool", &[("host", host)], up);
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::Volume;
    use super::*;
    use crate::storage::heketi::loods::{BrickHealth, Health};
    use std::time::Duration;

    #[test]
    fn a_volume_its_bricks_and_how_old_that_is() {
        let mut state = State::default();
        let mut volume = Volume {
            name: "pvc-1".into(),
            ..Volume::default()
        };
        volume.record.id = "v".into();
        volume.record.size = 2;
        state.volumes.insert("v".into(), volume);
        let health = Health {
            state: HealthState::Degraded,
            bricks: vec![BrickHealth {
                id: "b".into(),
                host: "h1".into(),
                heal_pending: 3,
                ..BrickHealth::default()
            }],
            ..Health::default()
        };
        let start = Instant::now();
        let seen = ["v", "gone"].map(|id| (id.into(), (health.clone(), start)));
        let page = page(&state, &seen.into(), start + Duration::from_secs(7));
        for line in [
            "loods_storage_volume_size_bytes{volume=\"pvc-1\",id=\"v\"} 2147483648",
            "loods_storage_volume_state_bool{volume=\"pvc-1\",state=\"degraded\"} 1",
            "loods_storage_volume_state_bool{volume=\"pvc-1\",state=\"healthy\"} 0",
            "loods_storage_volume_look_age_seconds{volume=\"pvc-1\"} 7",
            "loods_storage_brick_online_bool{volume=\"pvc-1\",brick=\"b\",host=\"h1\"} 0",
            "loods_storage_brick_heal_pending{volume=\"pvc-1\",brick=\"b\",host=\"h1\"} 3",
        ] {
            assert!(page.lines().any(|told| told == line), "{line}:\n{page}");
        }
        assert_eq!(page.matches("look_age_seconds{").count(), 1);
    }
}
