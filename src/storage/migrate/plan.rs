//! Which step is next for one PV, as a function of what is there. Pure.

use serde_json::Value;

use super::old::{MIGRATED, Old};

/// What there is of one PV and its claim.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What a save says that the PV was.
    pub saved: Option<Old>,
    /// The PV of that name now.
    pub volume: Option<Value>,
    /// The uid of the claim of that name.
    pub claim: Option<Box<str>>,
    /// Running pods that use the claim.
    pub pods: Vec<Box<str>>,
    /// They may run on while the PV is changed.
    pub pods_may_run: bool,
}

/// One write. Each may be the last thing that a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Write the old PV to a file.
    Save,
    /// Set its policy to Retain: from here on its end is not the volume's.
    Retain,
    /// Delete it.
    Delete,
    /// Take its finalizers off.
    Release,
    /// Make the new one.
    Create,
    /// Wait until the claim is Bound to it.
    Bind,
    /// Give it the policy that the old one had.
    Policy,
}

impl Step {
    /// All, in order.
    pub const ALL: [Self; 7] = [
        Self::Save,
        Self::Retain,
        Self::Delete,
        Self::Release,
        Self::Create,
        Self::Bind,
        Self::Policy,
    ];

    /// What it does, for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Save => "save",
            Self::Retain => "retain",
            Self::Delete => "delete",
            Self::Release => "release",
            Self::Create => "create",
            Self::Bind => "bind",
            Self::Policy => "policy",
        }
    }
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This.
    Do(Step),
    /// Nothing: it is done.
    Done,
    /// Nothing: it must not be, or cannot. The mend is in the text.
    Refuse(String),
}

/// The next step.
pub fn next(seen: &Seen) -> Next {
    let Some(volume) = &seen.volume else {
        return match &seen.saved {
            None => Next::Refuse("there is no such PersistentVolume, and no save of one in --save; name the directory of the run that was cut short".into()),
            Some(old) => claim_is_there(old, seen).unwrap_or(Next::Do(Step::Create)),
        };
    };
    let meta = &volume["metadata"];
    let uid = meta["uid"].as_str().unwrap_or_default();
    let policy = volume["spec"]["persistentVolumeReclaimPolicy"].as_str();
    if volume["spec"]["glusterfs"].is_object() {
        let deleting = meta["deletionTimestamp"].is_string();
        return match &seen.saved {
            Some(old) if &*old.uid != uid => Next::Refuse(format!(
                "the save is of another PersistentVolume of that name (uid {}, and not {uid}); move its file away, or give another --save",
                old.uid
            )),
            Some(_) if deleting && policy == Some("Retain") => Next::Do(Step::Release),
            Some(_) if deleting => Next::Do(Step::Retain),
            None if deleting => Next::Refuse(
                "it is being deleted, and this is not a migration that was cut short: no save in --save; name the directory of that run, or let it go".into(),
            ),
            saved => {
                let old = match saved.clone().map_or_else(|| Old::read(volume.clone()), Ok) {
                    Ok(old) => old,
                    Err(text) => return Next::Refuse(text),
                };
                if let Some(refused) = claim_is_there(&old, seen) {
                    return refused;
                }
                match (saved, policy) {
                    (None, _) => Next::Do(Step::Save),
                    (_, Some("Retain")) => Next::Do(Step::Delete),
                    _ => Next::Do(Step::Retain),
                }
            }
        };
    }
    let from = meta["annotations"][MIGRATED].as_str();
    let Some(old) = seen.saved.as_ref().filter(|old| from == Some(&*old.uid)) else {
        return match (from, &seen.saved) {
            (Some(_), None) => Next::Done,
            _ => Next::Refuse("a PersistentVolume of that name exists and is not what was made of the saved one; delete it (with policy Retain), and run this again".into()),
        };
    };
    if old.claim.is_some() && volume["status"]["phase"] != "Bound" {
        return Next::Do(Step::Bind);
    }
    match policy == Some(&old.policy) {
        true => Next::Done,
        false => Next::Do(Step::Policy),
    }
}

/// The claim that it belongs to is still that one, and nobody is at work on it.
fn claim_is_there(old: &Old, seen: &Seen) -> Option<Next> {
    let [namespace, name, uid] = old.claim.as_ref()?;
    let refused = match &seen.claim {
        Some(is) if is != uid => format!(
            "PersistentVolumeClaim {namespace}/{name} is another one than the PersistentVolume belongs to (uid {is}, and not {uid}); it would never be Bound"
        ),
        None => format!(
            "PersistentVolumeClaim {namespace}/{name} is gone: nobody would use the new PersistentVolume. Remove spec.claimRef first if you want to keep it for another claim"
        ),
        Some(_) if !seen.pods.is_empty() && !seen.pods_may_run => format!(
            "pods run with it: {}; stop them, or say --running-pods and restart them afterwards",
            seen.pods.join(", ")
        ),
        Some(_) => return None,
    };
    Some(Next::Refuse(refused))
}
