//! Looks at the health of volumes: what is told, when, and how often.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::super::*;
use super::model::Model;
use crate::k8s::objects::VolumeFact;
use crate::storage::heketi::loods::HealthState::{self, *};

const EVERY: Duration = Duration::from_secs(60);

/// Claims that have their PVs, and how their volumes fare.
struct Watch {
    model: Model,
    /// As the API server has them.
    noted: Vec<(Box<str>, Box<str>)>,
}

impl Watch {
    fn of(claims: u8) -> Self {
        let mut model = Model::new("Delete");
        (0..claims).for_each(|n| model.make_claim(n));
        model.settle();
        model.world.options.health = Some(EVERY);
        model.world.notices();
        Self {
            model,
            noted: Vec::new(),
        }
    }

    /// The next round, in which each volume fares as `fares` says.
    fn round(&mut self, fares: impl Fn(&VolumeFact) -> Seen) -> Vec<&'static str> {
        self.begin();
        while let Some(errand) = self.model.world.errand(self.model.now) {
            let seen = match &errand.what {
                What::Ask(_) => fares(&errand.volume),
                What::Note(state) => {
                    let word = note(*state).unwrap_or_default();
                    self.noted.push((errand.volume.name.clone(), word.into()));
                    let mut volume = errand.volume.clone();
                    volume.health = word.into();
                    Seen::Noted(Some(volume))
                }
            };
            self.model.world.errand_done(errand, seen, self.model.now);
        }
        self.told()
    }

    fn begin(&mut self) {
        let world = &mut self.model.world;
        if world.errand_at().is_none() {
            assert_eq!(world.errand(self.model.now), None, "not before its time");
        }
        self.model.now = world.errand_at().expect("a next round");
    }

    fn told(&mut self) -> Vec<&'static str> {
        let notices = self.model.world.notices();
        for notice in &notices {
            assert_eq!(notice.regarding.kind, "PersistentVolumeClaim");
            assert!(notice.note.starts_with("volume pvc-"), "{}", notice.note);
        }
        notices.iter().map(|notice| notice.reason).collect()
    }

    /// A new process: it knows what the API server has.
    fn restart(&mut self) {
        for (name, word) in std::mem::take(&mut self.noted) {
            if let Some(volume) = self.model.pvs.get_mut(&name) {
                volume.health = word;
            }
        }
        self.model.restart();
        self.model.settle();
        self.model.world.options.health = Some(EVERY);
        self.model.world.notices();
    }
}

fn is(state: HealthState) -> impl Fn(&VolumeFact) -> Seen {
    move |_| Seen::Fares(state, "a reason".into())
}

#[test]
fn a_change_is_told_once_when_two_looks_say_so() {
    let mut watch = Watch::of(1);
    for (state, told) in [
        (Healthy, &[][..]),
        // Files that are being written look like that.
        (Degraded, &[]),
        (Healthy, &[]),
        (Degraded, &[]),
        (Degraded, &["VolumeDegraded"]),
        (Degraded, &[]),
        (Healthy, &[]),
        (Degraded, &[]),
        // What is lost is told at once.
        (Inaccessible, &["VolumeInaccessible"]),
        (Inaccessible, &[]),
        (DataLoss, &["VolumeDataLoss"]),
        (Healthy, &[]),
        (Healthy, &["VolumeHealthy"]),
        (Healthy, &[]),
    ] {
        assert_eq!(watch.round(is(state)), told, "{state:?}");
    }
    let words: Vec<&str> = watch.noted.iter().map(|(_, word)| &**word).collect();
    assert_eq!(words, ["degraded", "inaccessible", "dataLoss", ""]);
}

#[test]
fn a_new_process_repeats_nothing_and_forgets_nothing() {
    let mut watch = Watch::of(1);
    watch.round(is(DataLoss));
    watch.restart();
    assert_eq!(watch.round(is(DataLoss)), [""; 0]);
    watch.restart();
    assert_eq!(watch.round(is(Healthy)), [""; 0]);
    assert_eq!(watch.round(is(Healthy)), ["VolumeHealthy"]);
}

#[test]
fn a_note_that_could_not_be_written_is_written_later() {
    let mut watch = Watch::of(1);
    watch.begin();
    let world = &mut watch.model.world;
    let ask = world.errand(watch.model.now).expect("a look");
    world.errand_done(ask, Seen::Fares(DataLoss, "".into()), watch.model.now);
    let note = world.errand(watch.model.now).expect("a note");
    assert_eq!(note.what, What::Note(DataLoss));
    world.errand_done(note, Seen::Noted(None), watch.model.now);
    assert_eq!(world.errand(watch.model.now), None);
    assert_eq!(watch.told(), ["VolumeDataLoss"]);
    assert_eq!(watch.round(is(DataLoss)), [""; 0], "it was told");
    assert_eq!(watch.noted.len(), 1);
}

#[test]
fn a_server_that_does_not_tell_is_asked_once_a_round() {
    let mut watch = Watch::of(3);
    let asked = std::cell::Cell::new(0);
    for rounds in 1..=3 {
        let told = watch.round(|_| {
            asked.set(asked.get() + 1);
            Seen::Mute
        });
        assert_eq!(told, [""; 0]);
        assert_eq!(asked.get(), rounds);
    }
    // One volume says nothing of the others.
    asked.set(0);
    watch.round(|_| {
        asked.set(asked.get() + 1);
        Seen::Nothing
    });
    assert_eq!(asked.get(), 3);
}

#[test]
fn one_look_at_a_time_and_a_rest_after_each() {
    let mut watch = Watch::of(3);
    watch.begin();
    let (world, mut now) = (&mut watch.model.world, watch.model.now);
    let look = Duration::from_secs(2);
    let mut names = BTreeSet::new();
    for _ in 0..3 {
        let errand = world.errand(now).expect("a look");
        assert_eq!(world.errand(now), None, "one at a time");
        assert_eq!(world.errand_at(), None, "until it ends");
        names.insert(errand.volume.name.clone());
        now += look;
        world.errand_done(errand, Seen::Nothing, now);
        assert_eq!(world.errand(now), None, "others need glusterd, too");
        now += 3 * look;
    }
    assert_eq!(names.len(), 3);
    assert_eq!(
        world.errand_at(),
        Some(now - 3 * look + EVERY),
        "after its end"
    );
}

#[test]
fn a_volume_that_goes_meanwhile_is_nobody_s_news() {
    let mut watch = Watch::of(1);
    watch.begin();
    let ask = watch.model.world.errand(watch.model.now).expect("a look");
    watch.model.delete_claim(0);
    watch.model.settle();
    watch.model.world.notices();
    let seen = Seen::Fares(DataLoss, "".into());
    watch.model.world.errand_done(ask, seen, watch.model.now);
    assert_eq!(watch.told(), [""; 0]);
    assert_eq!(watch.round(is(DataLoss)), [""; 0]);
}

#[test]
fn nobody_is_asked_unless_it_is_wished() {
    let mut watch = Watch::of(1);
    watch.model.world.options.health = None;
    let later = Instant::now() + Duration::from_secs(86_400);
    assert_eq!(watch.model.world.errand(later), None);
    assert_eq!(watch.model.world.errand_at(), None);
}
