//! The client of a Heketi, or of our own manager, which speaks the same.
//!
//! Every method may be called again after any failure: a volume is known by
//! the name that the caller chose, and made once. What is decided stands in
//! [`ensure`](super::ensure); here are requests, time limits and the look-up.
//!
//! ```text
//!   Heketi --ensure_volume--> run(Make) --Call--> Exchange --HTTP, token--> server
//!                               ^----Outcome---- answer::read <------------'
//! ```
//!
//! A request has a token of its own and a limit, a whole method another; bodies
//! are bounded. Nobody is followed to another server. `/admin` is never asked:
//! a Heketi that was made read-only there cannot be made normal again.

mod beyond;
mod calls;
mod exchange;
mod find;
mod run;
mod topology;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ensure::{Grow, Make, Pauses, Remove};
use super::error::HeketiError;
use super::loods::{Source, VolumeFrom};
use super::token::Key;
use super::wire::{ClusterList, VolumeCreate, VolumeInfo};
use crate::storage::class::{judge_option, judge_url};
use calls::{GrowVolume, MakeVolume, RemoveAt};
use exchange::Exchange;
use find::Look;

pub use trust::Trust;

/// In whose name it is asked: always the administrator.
#[derive(Clone, Debug)]
pub struct Credentials(Key);

impl Credentials {
    /// Of parameter `restuser` and the key.
    ///
    /// # Errors
    /// Another user than `admin`: nothing is sent for it. An empty key.
    pub fn new(user: &str, key: &[u8]) -> Result<Self, HeketiError> {
        if user != "admin" {
            return Err(HeketiError::Invalid(
                format!(
                    "restuser {user:?}: Heketi lets it make volumes and then refuses to say which (401 Administrator \
                     access required), so each try would leave one behind; write restuser: admin, with its key"
                )
                .into(),
            ));
        }
        let key = Key::new(key).map_err(|error| {
            HeketiError::Invalid(format!("the key of restuser {user:?}: {error}").into())
        })?;
        Ok(Self(key))
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A TCP connection.
    pub connect: Duration,
    /// One request with its answer.
    pub call: Duration,
    /// A whole method, with all its requests and pauses.
    pub whole: Duration,
    /// The longest body that is read, in bytes: 60,000 ids have two megabytes.
    pub body: usize,
    /// Between polls.
    pub pauses: Pauses,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(30),
            whole: Duration::from_secs(120),
            body: 4 << 20,
            pauses: Pauses::default(),
        }
    }
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The version of our manager; `None`: an old Heketi.
    pub loods: Option<Box<str>>,
}

/// One server. Clones share its connections and what it was learned of it.
#[derive(Clone, Debug)]
pub struct Heketi(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    exchange: Exchange,
    limits: Limits,
    look: Look,
}

impl Heketi {
    /// `url` as in `resturl`; no credentials: no tokens are sent. Nothing is
    /// asked yet.
    ///
    /// # Errors
    /// [`HeketiError::Invalid`]: a URL that cannot be asked, a CA that cannot be read.
    pub fn new(
        url: &str,
        credentials: Option<Credentials>,
        trust: &Trust,
        limits: Limits,
    ) -> Result<Self, HeketiError> {
        let url = judge_url(url)
            .map_err(|trouble| HeketiError::Invalid(format!("URL {url:?}: {trouble}").into()))?;
        let key = credentials.map(|credentials| credentials.0);
        Ok(Self(Arc::new(Inner {
            exchange: Exchange::new(&url, key, trust, &limits)?,
            limits,
            look: Look::default(),
        })))
    }

    /// As it was given, without `/` at the end.
    pub fn url(&self) -> &str {
        self.0.exchange.url()
    }

    /// Asks who is there. Needs no token.
    ///
    /// # Errors
    /// Whatever a call may bring.
    pub async fn hello(&self) -> Result<Hello, HeketiError> {
        let hello = self
            .within("GET", "/hello", self.0.exchange.hello())
            .await?;
        self.0.look.set_loods(hello.loods.is_some());
        Ok(hello)
    }

    /// The volume of this name, made if there is none. One that was there is
    /// answered as it is: whether it is what was wanted, the caller compares.
    ///
    /// # Errors
    /// A name, size or option that is not sent; whatever the server says.
    pub async fn ensure_volume(&self, create: &VolumeCreate) -> Result<VolumeInfo, HeketiError> {
        self.make(VolumeFrom {
            create: create.clone(),
            source: None,
        })
        .await
    }

    /// As [`ensure_volume`](Self::ensure_volume), with the content of a snapshot
    /// or of another volume. Our manager alone can.
    ///
    /// # Errors
    /// [`HeketiError::Unsupported`] with an old Heketi; else as there.
    pub async fn clone_volume(
        &self,
        create: &VolumeCreate,
        source: Source,
    ) -> Result<VolumeInfo, HeketiError> {
        let create = create.clone();
        self.beyond("POST", "/volumes", "a clone").await?;
        self.make(VolumeFrom {
            create,
            source: Some(source),
        })
        .await
    }

    async fn make(&self, wanted: VolumeFrom) -> Result<VolumeInfo, HeketiError> {
        judge(&wanted.create)?;
        let deadline = self.deadline();
        let clusters = self.candidates(&wanted.create, deadline).await?;
        let machine = Make::new(clusters.len(), self.0.limits.pauses);
        let calls = MakeVolume {
            heketi: self,
            wanted: &wanted,
            clusters: &clusters,
        };
        let running = self.run("POST", "/volumes", deadline, machine, calls);
        let volume = running.await?;
        self.0.look.learn(&volume);
        Ok(volume)
    }

    /// Clusters to ask one after another; `None`: as the request stands.
    async fn candidates(
        &self,
        create: &VolumeCreate,
        deadline: Instant,
    ) -> Result<Vec<Option<String>>, HeketiError> {
        let mut candidates = create.clusters.clone().unwrap_or_default();
        // A name is unique with our manager, and within a cluster of Heketi's.
        if self.is_loods(deadline).await? {
            return Ok(vec![None]);
        }
        if candidates.is_empty() {
            let list = self.read::<ClusterList>("/clusters");
            candidates = self.by(deadline, "GET", "/clusters", list).await?.clusters;
        }
        candidates.truncate(64);
        Ok(match candidates.len() {
            0 | 1 => vec![None],
            _ => candidates.into_iter().map(Some).collect(),
        })
    }

    /// The volume with this id, if there is one.
    ///
    /// # Errors
    /// Whatever a call may bring.
    pub async fn volume(&self, id: &str) -> Result<Option<VolumeInfo>, HeketiError> {
        if !is_id(id) {
            return Ok(None);
        }
        let path = format!("/volumes/{id}");
        let asking = self.read_if_there(&path);
        self.within("GET", &path, asking).await
    }

    /// The volume of this name, if there is one.
    ///
    /// # Errors
    /// Whatever a call may bring.
    pub async fn find_by_name(&self, name: &str) -> Result<Option<VolumeInfo>, HeketiError> {
        if !is_name(name) {
            return Ok(None);
        }
        self.within("GET", "/volumes", self.find(name)).await
    }

    /// All volumes: a request for the list, and one for each.
    ///
    /// # Errors
    /// Whatever a call may bring.
    pub async fn volumes(&self) -> Result<Vec<VolumeInfo>, HeketiError> {
        self.within("GET", "/volumes", self.read_all()).await
    }

    /// Removes a volume; one that is not there is done.
    ///
    /// # Errors
    /// Whatever the server says.
    pub async fn delete_volume(&self, id: &str) -> Result<(), HeketiError> {
        // No volume can have such an id.
        if !is_id(id) {
            return Ok(());
        }
        self.remove(&format!("/volumes/{id}")).await
    }

    async fn remove(&self, path: &str) -> Result<(), HeketiError> {
        let machine = Remove::new(self.0.limits.pauses);
        let calls = RemoveAt { heketi: self, path };
        self.run("DELETE", path, self.deadline(), machine, calls)
            .await
    }

    /// Grows a volume to `gib`; one that has as much stays as it is.
    ///
    /// # Errors
    /// No such volume; whatever the server says.
    pub async fn expand_to(&self, id: &str, gib: i64) -> Result<VolumeInfo, HeketiError> {
        let path = format!("/volumes/{id}");
        let expand = format!("{path}/expand");
        if !is_id(id) {
            return Err(HeketiError::Invalid(
                format!("volume id {id:?}: an id of Heketi's is hexadecimal").into(),
            ));
        }
        let deadline = self.deadline();
        let calls = GrowVolume {
            heketi: self,
            volume: &path,
            expand: &expand,
            guarded: self.is_loods(deadline).await?,
        };
        let machine = Grow::new(gib, self.0.limits.pauses);
        self.run("POST", &expand, deadline, machine, calls).await
    }
}

/// What cannot be sent: Heketi would fail late, or run it in a shell.
fn judge(create: &VolumeCreate) -> Result<(), HeketiError> {
    let refuse = |text: String| Err(HeketiError::Invalid(text.into()));
    if !is_name(&create.name) {
        return refuse(format!(
            "volume name {:?}: a name has 1 to 255 letters, digits, - and _, and begins with neither",
            create.name
        ));
    }
    if create.size < 1 {
        return refuse(format!(
            "volume {}: size {} GiB; ask for at least 1",
            create.name, create.size
        ));
    }
    for option in &create.glustervolumeoptions {
        if let Err(trouble) = judge_option(option) {
            return refuse(format!(
                "volume {}: option {option:?}: {trouble}",
                create.name
            ));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.len() <= 255
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(plain)
}

/// Hexadecimal, as Heketi's routes want it.
fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn json(body: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("plain structs with text keys become JSON")
}

#[cfg(test)]
mod tests;
