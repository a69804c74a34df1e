//! The world against a model API server, model Kubernetes controllers and a
//! model Heketi, in which every call can fail before or after its effect, the
//! controller can crash at any point, watches lag, and users come and go.
//!
//! Always: no second volume for a claim, and never a PV in use without its
//! volume. In the end, when nothing fails any more: each claim that is there
//! has its PV, each volume is told of by a PV, nothing waits for us.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::*;
use crate::k8s::objects::*;
use crate::k8s::watch::Event;
use crate::storage::class::quantity::{bytes, gib};
use crate::storage::heketi::loods::Source;
use crate::storage::{DRIVER, IN_TREE};

const CLASS: &str = "gluster";

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Luck {
    Good,
    /// Nothing happens, and we are told so.
    Refused,
    /// Nothing happens, and we do not know.
    Unsent,
    /// It happens, and we do not know.
    Lost,
    /// A volume is begun, and is there later; we do not know.
    Slow,
}

#[derive(Clone, Debug)]
struct Volume {
    name: Box<str>,
    gib: u64,
    gid: u32,
    source: Option<Source>,
    ready: bool,
}

pub(super) struct Model {
    pub(super) world: World,
    pub(super) now: Instant,
    pub(super) claims: BTreeMap<ClaimKey, ClaimFact>,
    pub(super) pvs: BTreeMap<Box<str>, VolumeFact>,
    class: Option<ClassFact>,
    heketi: BTreeMap<Box<str>, Volume>,
    queues: (VecDeque<Fact>, VecDeque<Fact>, VecDeque<Fact>),
    tasks: Vec<Task>,
    /// What was done, and the world does not know yet.
    answers: VecDeque<(Task, Outcome)>,
    version: u64,
    ids: u32,
    policy: &'static str,
}

impl Model {
    pub(super) fn new(policy: &'static str) -> Self {
        let mut model = Self {
            world: World::new(options()),
            now: Instant::now(),
            claims: BTreeMap::new(),
            pvs: BTreeMap::new(),
            class: None,
            heketi: BTreeMap::new(),
            queues: Default::default(),
            tasks: Vec::new(),
            answers: VecDeque::new(),
            version: 0,
            ids: 0,
            policy,
        };
        model.make_class();
        model.restart();
        model
    }

    fn version(&mut self) -> Box<str> {
        self.version += 1;
        self.version.to_string().into()
    }

    // --- users ----------------------------------------------------------------

    pub(super) fn make_class(&mut self) {
        if self.class.is_some() {
            return;
        }
        let class = ClassFact {
            name: CLASS.into(),
            uid: "class".into(),
            resource_version: self.version(),
            provisioner: IN_TREE.into(),
            parameters: [
                ("resturl", "http://h:1"),
                ("secretName", "s"),
                ("secretNamespace", "n"),
            ]
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
            reclaim_policy: self.policy.into(),
            mount_options: Vec::new(),
            waits_for_consumer: false,
        };
        self.class = Some(class.clone());
        self.queues.2.push_back(Fact::Class(Event::Apply(class)));
    }

    fn delete_class(&mut self) {
        if self.class.take().is_some() {
            let version = self.version();
            self.queues
                .2
                .push_back(Fact::Class(Event::Delete(CLASS.into(), version)));
        }
    }

    pub(super) fn make_claim(&mut self, n: u8) {
        let key = Claims::key("ns", &format!("c{n}"));
        if self.claims.contains_key(&key) {
            return;
        }
        self.ids += 1;
        let claim = ClaimFact {
            key,
            uid: format!("uid{}", self.ids).into(),
            resource_version: "".into(),
            deleting: false,
            marked: false,
            gid: None,
            told: false,
            class: Some(CLASS.into()),
            access_modes: vec!["ReadWriteMany".into()],
            request: "2Gi".into(),
            block: false,
            selector: false,
            // One of them is a copy of another.
            source: (n == 3).then(|| DataSource {
                group: "".into(),
                kind: "PersistentVolumeClaim".into(),
                namespace: None,
                name: "c0".into(),
            }),
            volume: "".into(),
            node_chosen: false,
            bound: false,
            capacity: "".into(),
            allocated: "".into(),
            resize: "".into(),
        };
        self.write_claim(claim);
    }

    pub(super) fn delete_claim(&mut self, n: u8) {
        let key = Claims::key("ns", &format!("c{n}"));
        if let Some(mut claim) = self.claims.get(&key).cloned() {
            claim.deleting = true;
            self.write_claim(claim);
        }
    }

    fn grow_claim(&mut self, n: u8) {
        let key = Claims::key("ns", &format!("c{n}"));
        if let Some(mut claim) = self.claims.get(&key).cloned()
            && claim.bound
            && !claim.deleting
        {
            let more = gib(bytes(&claim.request).unwrap()) + 1;
            claim.request = format!("{more}Gi").into();
            self.write_claim(claim);
        }
    }

    // --- the API server -------------------------------------------------------

    fn write_claim(&mut self, mut claim: ClaimFact) -> ClaimFact {
        claim.resource_version = self.version();
        let fact = if claim.deleting && !claim.marked {
            self.claims.remove(&claim.key);
            Event::Delete(claim.key.clone(), claim.resource_version.clone())
        } else {
            self.claims.insert(claim.key.clone(), claim.clone());
            Event::Apply(claim.clone())
        };
        self.queues.0.push_back(Fact::Claim(fact));
        claim
    }

    fn write_pv(&mut self, mut pv: VolumeFact) -> VolumeFact {
        pv.resource_version = self.version();
        let fact = if pv.deleting && !pv.held && &*pv.phase != "Bound" {
            self.pvs.remove(&pv.name);
            Event::Delete(pv.name.clone(), pv.resource_version.clone())
        } else {
            self.pvs.insert(pv.name.clone(), pv.clone());
            Event::Apply(pv.clone())
        };
        self.queues.1.push_back(Fact::Volume(fact));
        pv
    }

    /// kube-controller-manager: binds and releases.
    fn controllers(&mut self) {
        for mut pv in self.pvs.values().cloned().collect::<Vec<_>>() {
            let Some(of) = pv.claim.clone() else { continue };
            let claim = self.claims.get(&of.key).filter(|claim| claim.uid == of.uid);
            match (&*pv.phase, claim.cloned()) {
                ("Pending", Some(mut claim)) if claim.volume.is_empty() => {
                    claim.volume = pv.name.clone();
                    claim.bound = true;
                    claim.capacity = pv.capacity.clone();
                    self.write_claim(claim);
                    pv.phase = "Bound".into();
                    self.write_pv(pv);
                }
                ("Pending" | "Bound", None) => {
                    pv.phase = "Released".into();
                    self.write_pv(pv);
                }
                _ => {}
            }
        }
    }

    pub(super) fn deliver(&mut self, which: u8) {
        let queue = match which % 3 {
            0 => &mut self.queues.0,
            1 => &mut self.queues.1,
            _ => &mut self.queues.2,
        };
        if let Some(fact) = queue.pop_front() {
            self.world.take(fact);
        }
    }

    /// A new process, or a new leader whose watches are behind or not.
    pub(super) fn restart(&mut self) {
        self.world = World::new(options());
        self.tasks.clear();
        self.answers.clear();
        self.queues = Default::default();
        self.world.take(Fact::Claim(Event::Begin));
        self.world.take(Fact::Volume(Event::Begin));
        self.world.take(Fact::Class(Event::Begin));
        for claim in self.claims.values().cloned() {
            self.world.take(Fact::Claim(Event::Apply(claim)));
        }
        for pv in self.pvs.values().cloned() {
            self.world.take(Fact::Volume(Event::Apply(pv)));
        }
        if let Some(class) = self.class.clone() {
            self.world.take(Fact::Class(Event::Apply(class)));
        }
        self.world.take(Fact::Class(Event::End));
        self.world.take(Fact::Volume(Event::End));
        self.world.take(Fact::Claim(Event::End));
        self.world.begin();
    }

    // --- Heketi ---------------------------------------------------------------

    fn by_name(&self, name: &str) -> Option<(Box<str>, Volume)> {
        let mut all = self
            .heketi
            .iter()
            .filter(|(_, volume)| &*volume.name == name);
        all.next().map(|(id, volume)| (id.clone(), volume.clone()))
    }

    fn made(id: &str, volume: &Volume) -> Made {
        Made {
            id: id.into(),
            name: volume.name.clone(),
            gib: volume.gib,
            hosts: vec!["h".into()],
            gid: volume.gid,
        }
    }

    /// Volumes that were begun are there now.
    fn heketi_works(&mut self) {
        self.heketi
            .values_mut()
            .for_each(|volume| volume.ready = true);
    }

    // --- steps ----------------------------------------------------------------

    fn start(&mut self) {
        while let Some(task) = self.world.next(self.now) {
            self.tasks.push(task);
        }
    }

    /// An answer arrives: watches may have told of what came after it.
    fn answer(&mut self) {
        if let Some((task, outcome)) = self.answers.pop_front() {
            self.world.done(task, outcome, self.now, 0.5);
        }
    }

    fn finish(&mut self, which: usize, luck: Luck) {
        self.carry_out_one(which, luck);
        while !self.answers.is_empty() {
            self.answer();
        }
    }

    fn carry_out_one(&mut self, which: usize, luck: Luck) {
        if self.tasks.is_empty() {
            return;
        }
        let task = self.tasks.remove(which % self.tasks.len());
        let outcome = match luck {
            Luck::Good => self.carry_out(&task.step, true),
            Luck::Refused => failed(true),
            Luck::Unsent => failed(false),
            Luck::Lost => {
                self.carry_out(&task.step, true);
                failed(false)
            }
            Luck::Slow => {
                self.carry_out(&task.step, !matches!(task.step, Step::Ensure { .. }));
                failed(false)
            }
        };
        self.answers.push_back((task, outcome));
    }

    fn claim_of(&self, of: &ClaimRef) -> Option<ClaimFact> {
        let claim = self.claims.get(&of.key)?;
        (claim.uid == of.uid).then(|| claim.clone())
    }

    fn change_claim(&mut self, of: &ClaimRef, change: impl FnOnce(&mut ClaimFact)) -> Outcome {
        let Some(mut claim) = self.claim_of(of) else {
            return Outcome::Stale;
        };
        change(&mut claim);
        Outcome::Claim(Box::new(self.write_claim(claim)))
    }

    fn change_pv(&mut self, of: &VolumeFact, change: impl FnOnce(&mut VolumeFact)) -> Outcome {
        let Some(mut pv) = self
            .pvs
            .get(&of.name)
            .filter(|pv| pv.uid == of.uid)
            .cloned()
        else {
            return Outcome::Stale;
        };
        change(&mut pv);
        Outcome::Volume(Box::new(self.write_pv(pv)))
    }

    fn carry_out(&mut self, step: &Step, ready: bool) -> Outcome {
        match step {
            Step::Find { name, .. } => {
                let found = self.by_name(name).filter(|(_, volume)| volume.ready);
                Outcome::Found(found.map(|(id, volume)| Self::made(&id, &volume)))
            }
            Step::Ensure { volume, source, .. } => {
                if self.by_name(&volume.name).is_none() {
                    if let Some(Source::Volume(id)) = source
                        && !self.heketi.contains_key(&**id)
                    {
                        return failed(true);
                    }
                    self.ids += 1;
                    let new = Volume {
                        name: (*volume.name).into(),
                        gib: volume.size as u64,
                        gid: volume.gid as u32,
                        source: source.clone(),
                        ready: false,
                    };
                    self.heketi.insert(format!("{:032x}", self.ids).into(), new);
                }
                // A second order of the same name ends when the first has ended.
                if ready {
                    self.heketi_works();
                }
                let (id, volume) = self.by_name(&volume.name).unwrap();
                Outcome::Made(Self::made(&id, &volume))
            }
            Step::Expand { id, gib, .. } => {
                let volume = self.heketi.get_mut(id).expect("a volume in use is there");
                volume.gib = volume.gib.max(*gib);
                Outcome::Made(Self::made(id, &volume.clone()))
            }
            Step::Discard { id, pv, .. } => {
                if let Some(pv) = self.pvs.get(pv) {
                    return Outcome::Volume(Box::new(pv.clone()));
                }
                self.heketi.remove(id);
                Outcome::Gone
            }
            Step::Destroy { volume, .. } => {
                let Some(now) = self.pvs.get(&volume.name).cloned() else {
                    return Outcome::Stale;
                };
                if now.uid != volume.uid || !may_destroy(&now) {
                    return Outcome::Volume(Box::new(now));
                }
                self.heketi.remove(&volume.csi.as_ref().unwrap().handle);
                Outcome::Gone
            }
            Step::Mark(of, gid) => match self.claim_of(of) {
                // The API server takes no new finalizer then.
                Some(claim) if claim.deleting && !claim.marked => Outcome::Stale,
                _ => self.change_claim(of, |claim| {
                    claim.marked = true;
                    claim.gid = Some(*gid);
                    claim.told = true;
                }),
            },
            Step::Unmark(of) => self.change_claim(of, |claim| {
                claim.marked = false;
                claim.gid = None;
            }),
            Step::Resizing(of, size) => self.change_claim(of, |claim| {
                claim.allocated = size.clone();
                claim.resize = "ControllerResizeInProgress".into();
            }),
            Step::Infeasible(of) => self.change_claim(of, |claim| {
                claim.resize = "ControllerResizeInfeasible".into();
            }),
            Step::Resized(of, size) => self.change_claim(of, |claim| {
                claim.capacity = size.clone();
                claim.allocated = size.clone();
                claim.resize = "".into();
            }),
            Step::Snapshot { .. } => panic!("nobody asks for a snapshot here"),
            Step::Publish(write) => self.publish(write),
            Step::Hold(pv) => self.change_pv(pv, |pv| pv.held = true),
            Step::Release(pv) => self.change_pv(pv, |pv| pv.held = false),
            Step::Capacity(pv, size) => self.change_pv(pv, |pv| pv.capacity = size.clone()),
            Step::Remove(pv) => {
                self.change_pv(pv, |pv| pv.deleting = true);
                Outcome::Removed
            }
        }
    }

    fn publish(&mut self, write: &crate::k8s::volumes::VolumeWrite) -> Outcome {
        if let Some(claim) = self.claim_of(&write.claim) {
            let filled = self.heketi[&write.handle].source.is_some();
            assert_eq!(claim.source.is_some(), filled, "an empty copy of {claim:?}");
        }
        if let Some(pv) = self.pvs.get(&write.name) {
            let same = pv.claim.as_ref() == Some(&write.claim);
            return match same {
                true => Outcome::Volume(Box::new(pv.clone())),
                false => Outcome::Taken,
            };
        }
        self.ids += 1;
        let pv = VolumeFact {
            name: write.name.clone(),
            uid: format!("pv{}", self.ids).into(),
            resource_version: "".into(),
            deleting: false,
            held: true,
            class: write.class.clone(),
            gid: write
                .annotations
                .get("pv.beta.kubernetes.io/gid")
                .and_then(|gid| gid.parse().ok()),
            provisioned_by: DRIVER.into(),
            reclaim_policy: write.reclaim_policy.clone(),
            phase: "Pending".into(),
            capacity: write.capacity.clone(),
            health: "".into(),
            claim: Some(write.claim.clone()),
            csi: Some(CsiFact {
                handle: write.handle.clone(),
                attributes: write.attributes.clone(),
            }),
        };
        Outcome::Volume(Box::new(self.write_pv(pv)))
    }

    // --- what must hold ---------------------------------------------------------

    fn check(&self) {
        let mut names = BTreeSet::new();
        for volume in self.heketi.values() {
            assert!(names.insert(&volume.name), "two volumes {}", volume.name);
        }
        for pv in self.pvs.values().filter(|pv| &*pv.phase == "Bound") {
            let of = pv.claim.as_ref().unwrap();
            if self.claim_of(of).is_some_and(|claim| !claim.deleting) {
                let handle = &pv.csi.as_ref().unwrap().handle;
                assert!(
                    self.heketi.contains_key(handle),
                    "{} has no volume",
                    pv.name
                );
            }
        }
    }

    /// Nothing fails any more; goes on until nothing is left to do.
    pub(super) fn settle(&mut self) {
        self.make_class();
        self.heketi_works();
        while !self.answers.is_empty() {
            self.answer();
        }
        for _ in 0..2_000 {
            self.controllers();
            for which in 0..3 {
                self.deliver(which);
            }
            self.start();
            if !self.tasks.is_empty() {
                self.finish(0, Luck::Good);
                self.check();
                continue;
            }
            let (a, b, c) = &self.queues;
            if a.is_empty() && b.is_empty() && c.is_empty() {
                match self.world.wake_at() {
                    Some(wake) => self.now = self.now.max(wake),
                    None => return,
                }
            }
        }
        panic!("it never comes to rest: {:?}", self.world);
    }

    pub(super) fn check_settled(&self) {
        let mut told = BTreeSet::new();
        let mut gids = BTreeSet::new();
        for pv in self.pvs.values() {
            let handle = &pv.csi.as_ref().unwrap().handle;
            let volume = self.heketi.get(handle);
            let volume = volume.unwrap_or_else(|| panic!("{} has no volume", pv.name));
            assert_eq!(gib(bytes(&pv.capacity).unwrap()), volume.gib, "{}", pv.name);
            assert!(told.insert(handle), "two PVs for {handle}");
            let of_its_own = volume.source.is_some() || gids.insert(pv.gid.expect("a group"));
            assert!(of_its_own, "{:?} twice", pv.gid);
            assert!(&*pv.phase == "Bound" || self.policy == "Retain", "{pv:?}");
        }
        for (id, volume) in &self.heketi {
            assert!(told.contains(id), "volume {} is leaked", volume.name);
        }
        for claim in self.claims.values() {
            let source = self.claims.get(&Claims::key("ns", "c0"));
            let least = source.and_then(|source| bytes(&source.capacity));
            if claim.source.is_some()
                && !claim.bound
                && least.is_none_or(|least| Some(least) > bytes(&claim.request))
            {
                continue;
            }
            assert!(claim.bound && !claim.marked && !claim.deleting, "{claim:?}");
            assert!(bytes(&claim.capacity) >= bytes(&claim.request), "{claim:?}");
            assert_eq!(&*claim.resize, "", "{claim:?}");
        }
    }
}

fn failed(nothing_done: bool) -> Outcome {
    Outcome::Failed(Failure {
        text: "luck".into(),
        nothing_done,
        lasting: nothing_done,
        after: None,
    })
}

fn options() -> Options {
    Options {
        manager: None,
        in_flight: 3,
        health: None,
    }
}

fn luck(n: u8) -> Luck {
    match n % 8 {
        0 => Luck::Refused,
        1 => Luck::Unsent,
        2 => Luck::Lost,
        3 => Luck::Slow,
        _ => Luck::Good,
    }
}

impl Model {
    fn act(&mut self, what: u8, n: u8) {
        match what {
            0 => self.make_claim(n % 4),
            1 => self.delete_claim(n % 4),
            2 => self.grow_claim(n % 4),
            3 if n.is_multiple_of(4) => self.delete_class(),
            3 => self.make_class(),
            4 => self.controllers(),
            5..=8 => self.deliver(n),
            9..=10 => self.start(),
            11..=13 => self.finish(usize::from(n / 8), luck(n)),
            14 => self.carry_out_one(usize::from(n / 8), luck(n)),
            15 => self.answer(),
            16 => self.now += Duration::from_secs(u64::from(n)),
            17 if n.is_multiple_of(4) => self.restart(),
            17 => self.heketi_works(),
            _ => {
                // A crash in the midst: each call on its way lands or does not.
                for at in (0..self.tasks.len()).rev() {
                    if (n >> at) & 1 == 1 {
                        let step = self.tasks[at].step.clone();
                        self.carry_out(&step, n & 64 == 0);
                    }
                }
                self.restart();
            }
        }
        self.check();
    }
}

fn play(policy: &'static str, acts: &[(u8, u8)]) {
    let mut model = Model::new(policy);
    for (what, n) in acts {
        model.act(*what, *n);
    }
    // A class that is gone for good can be asked for nothing.
    model.settle();
    model.check_settled();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_no_volume_is_made_twice_or_leaked(
        acts in proptest::collection::vec((0u8..19, any::<u8>()), 0..120),
        retain in any::<bool>(),
    ) {
        play(if retain { "Retain" } else { "Delete" }, &acts);
    }
}

#[test]
fn a_copy_waits_for_what_it_is_a_copy_of_and_has_its_group() {
    let mut model = Model::new("Delete");
    model.make_claim(3);
    model.settle();
    let reasons = |model: &mut Model| -> Vec<&str> {
        let notices = model.world.notices();
        notices.iter().map(|notice| notice.reason).collect()
    };
    assert_eq!(reasons(&mut model), ["ProvisioningFailed"]);
    let copy = Claims::key("ns", "c3");
    assert!(!model.claims[&copy].marked, "nothing to wait for");
    model.make_claim(0);
    model.settle();
    model.check_settled();
    let told = reasons(&mut model);
    let ready = told.iter().filter(|&&it| it == "ProvisioningSucceeded");
    assert_eq!(ready.count(), 2, "{told:?}");
    let gids: BTreeSet<_> = model.pvs.values().map(|pv| pv.gid).collect();
    assert_eq!((model.pvs.len(), gids.len()), (2, 1));
}
