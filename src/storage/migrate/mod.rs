//! PVs of the removed plugin become CSI PVs, in place: the claim stays, and its
//! uid, and so does every pod template that names it.
//!
//! ```text
//!   Save --> Retain --> Delete --> Release --> Create --> Bind --> Policy
//! ```
//!
//! The source of a PV cannot be changed, so the object is made anew under its
//! name. What is next follows from what is there (`plan`), so a run that was
//! cut short anywhere is taken up by the next one. Nothing is deleted that is
//! not in a file before, and nothing before the API server has said that it
//! would take the successor. The successor keeps its volume (Retain) until it
//! is Bound: between two objects nobody's volume is deleted by mistake.
//!
//! The data is not touched; Gluster is not asked.

mod old;
mod plan;
mod save;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use old::{MIGRATED, Old};
pub use plan::{Next, Seen, Step, next};
pub use save::Saves;

use super::class::Class;
use super::{DRIVER, IN_TREE};
use crate::k8s::client::ApiError;
use crate::k8s::objects::{ClaimKey, Classes};
use crate::k8s::volumes::{Calls, ClassStanding, is_another};

/// A claim is Bound again within seconds.
const BIND_LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Storage hosts, where Endpoints do not tell them.
    pub hosts: Vec<Box<str>>,
    /// PVs are changed under running pods.
    pub pods_may_run: bool,
    /// Steps of one PV in one run.
    pub most: usize,
}

/// Reads and writes.
pub struct Migration {
    /// The API server.
    pub calls: Calls,
    /// Where old PVs are written down.
    pub saves: Saves,
    /// What the user asked for.
    pub options: Options,
}

/// What became of one PV, or would.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// The PV.
    pub volume: Box<str>,
    /// NAMESPACE/NAME; "" where there is none.
    pub claim: Box<str>,
    /// The volume's name in Gluster.
    pub gluster: Box<str>,
    /// Its hosts.
    pub hosts: Vec<Box<str>>,
    /// Steps that were done, in order; in a dry run none.
    pub done: Vec<&'static str>,
    /// Steps that are left.
    pub left: Vec<&'static str>,
    /// Why it does not go on; "" where nothing hinders it.
    pub refused: String,
    /// Running pods that must be restarted.
    pub pods: Vec<Box<str>>,
}

/// A PV as it is, and what is made of it.
struct Look {
    seen: Seen,
    old: Option<Old>,
    hosts: Vec<Box<str>>,
    class: Option<Class>,
}

impl Migration {
    /// All PVs that are to be migrated, or were begun.
    ///
    /// # Errors
    /// In words.
    pub async fn names(&self) -> Result<Vec<Box<str>>, String> {
        let in_tree = |volume: &Value| volume["spec"]["glusterfs"].is_object();
        let volumes = self.calls.volumes_where(in_tree).await.map_err(words)?;
        let names = volumes
            .iter()
            .filter_map(|volume| volume["metadata"]["name"].as_str().map(Into::into));
        let mut names: Vec<Box<str>> = names.chain(self.saves.names()?).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Says what would be done with a PV, or with `apply` does it.
    pub async fn migrate(&self, name: &str, apply: bool) -> Row {
        let mut row = Row {
            volume: name.into(),
            claim: "".into(),
            gluster: "".into(),
            hosts: Vec::new(),
            done: Vec::new(),
            left: Vec::new(),
            refused: String::new(),
            pods: Vec::new(),
        };
        if let Err(text) = self.carry_on(name, apply, &mut row).await {
            row.refused = text;
        }
        row
    }

    async fn carry_on(&self, name: &str, apply: bool, row: &mut Row) -> Result<(), String> {
        if name.contains('/') || name.starts_with('.') {
            return Err("no PersistentVolume can have such a name".into());
        }
        let began = Instant::now();
        loop {
            let look = self.look(name).await?;
            if let Some(old) = &look.old {
                row.gluster = old.volume.clone();
                if let Some([namespace, name, _]) = &old.claim {
                    row.claim = format!("{namespace}/{name}").into();
                }
            }
            row.hosts.clone_from(&look.hosts);
            row.pods.clone_from(&look.seen.pods);
            row.left.clear();
            let step = match next(&look.seen) {
                Next::Do(step) => step,
                Next::Done => return Ok(()),
                Next::Refuse(text) => return Err(text),
            };
            let left = Step::ALL.iter().filter(|it| **it >= step);
            row.left = left.map(|step| step.word()).collect();
            let old = look.old.as_ref().ok_or("it cannot be read")?;
            if look.hosts.is_empty() && step < Step::Bind {
                return Err(format!(
                    "its hosts are not known: Endpoints {}/{} has no addresses; say --hosts",
                    old.endpoints_namespace, old.endpoints
                ));
            }
            if !apply || row.done.len() >= self.options.most {
                return Ok(());
            }
            if step == Step::Bind {
                if began.elapsed() > BIND_LIMIT {
                    return Err(format!(
                        "the claim is not Bound after {BIND_LIMIT:?}; look at its Events, and run this again"
                    ));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            self.carry_out(step, old, &look).await?;
            row.done.push(step.word());
        }
    }

    async fn look(&self, name: &str) -> Result<Look, String> {
        let saved = self.saves.read(name)?;
        let volume = self.calls.whole_volume(name).await.map_err(words)?;
        let old = match (&saved, &volume) {
            (Some(old), _) => Some(old.clone()),
            (None, Some(volume)) if volume["spec"]["glusterfs"].is_object() => {
                Some(Old::read(volume.clone())?)
            }
            _ => None,
        };
        let mut look = Look {
            seen: Seen {
                saved,
                volume,
                pods_may_run: self.options.pods_may_run,
                ..Seen::default()
            },
            hosts: self.options.hosts.clone(),
            old,
            class: None,
        };
        let Some(old) = &look.old else {
            return Ok(look);
        };
        if let Some([namespace, name, _]) = &old.claim {
            let key = ClaimKey {
                namespace: namespace.clone(),
                name: name.clone(),
            };
            let claim = self.calls.claim(&key).await.map_err(words)?;
            look.seen.claim = claim.map(|claim| claim.uid);
            look.seen.pods = self.calls.pods_of(namespace, name).await.map_err(words)?;
        }
        if look.hosts.is_empty() {
            let found = self
                .calls
                .endpoints(&old.endpoints_namespace, &old.endpoints);
            look.hosts = found.await.map_err(words)?;
        }
        look.class = self.class(&old.class).await?;
        Ok(look)
    }

    /// Its class, as far as it is there and right: without it the new PV does not
    /// tell which Heketi deletes the volume, and the controller asks the class.
    async fn class(&self, name: &str) -> Result<Option<Class>, String> {
        if name.is_empty() {
            return Ok(None);
        }
        let served = Classes {
            provisioners: vec![IN_TREE.into(), DRIVER.into()],
        };
        let standing = self.calls.class(name, &served).await.map_err(words)?;
        let ClassStanding::Served(fact) = standing else {
            return Ok(None);
        };
        Ok(Class::read(&fact.provisioner, &fact.parameters, None).ok())
    }

    async fn carry_out(&self, step: Step, old: &Old, look: &Look) -> Result<(), String> {
        let (name, uid) = (&*old.name, &*old.uid);
        let policy = |policy: &str| json!({"spec": {"persistentVolumeReclaimPolicy": policy}});
        let successor = || old.successor(&look.hosts, look.class.as_ref());
        let done = match step {
            Step::Save => return self.saves.write(old),
            Step::Retain => {
                let change = policy("Retain");
                self.calls.patch_whole_volume(name, uid, change).await
            }
            Step::Delete => {
                self.try_out(successor()).await?;
                self.calls.delete_whole_volume(name, uid).await
            }
            Step::Release => {
                let change = json!({"metadata": {"finalizers": null}});
                self.calls.patch_whole_volume(name, uid, change).await
            }
            Step::Create => self.calls.create_whole_volume(&successor(), false).await,
            Step::Policy => {
                let now = look.seen.volume.as_ref();
                let uid = now.map_or("", |now| {
                    now["metadata"]["uid"].as_str().unwrap_or_default()
                });
                self.calls
                    .patch_whole_volume(name, uid, policy(&old.policy))
                    .await
            }
            Step::Bind => Ok(()),
        };
        match done {
            // The next look tells what is there now.
            Err(error) if error.code() == Some(404) || is_another(&error) => Ok(()),
            other => other.map_err(words),
        }
    }

    /// Whether the server would take it, while the old one still has the name.
    async fn try_out(&self, mut successor: Value) -> Result<(), String> {
        let name = successor["metadata"]["name"].as_str().unwrap_or_default();
        successor["metadata"]["name"] = format!("{}-loods", &name[..name.len().min(240)]).into();
        let tried = self.calls.create_whole_volume(&successor, true).await;
        tried.map_err(|error| {
            format!("nothing is deleted, since the new one would be refused: {error}")
        })
    }
}

fn words(error: ApiError) -> String {
    error.to_string()
}
