//! Asks the API server and Heketi, and lets others judge.

use super::{Finding, PATIENCE, Report, judge, space};
use crate::k8s::client::ApiError;
use crate::k8s::objects::{ClaimFact, ClaimKey, ClaimRef, Classes};
use crate::k8s::volumes::{Calls, ClassStanding};
use crate::storage::class::{Auth, Class, volume_name};
use crate::storage::heketi::client::{Credentials, Heketi, Limits, Trust};

/// What the controller is told too.
#[derive(Clone, Debug)]
pub struct Options {
    /// Provisioner names that are served.
    pub provisioners: Vec<Box<str>>,
    /// The manager that a class of our own may leave out.
    pub manager: Option<Box<str>>,
    /// Whom an `https` Heketi is believed.
    pub trust: Trust,
}

/// Looks at claims.
pub struct Doctor {
    calls: Calls,
    options: Options,
}

impl Doctor {
    /// `calls` with the rights of whoever asks.
    pub fn new(calls: Calls, options: Options) -> Self {
        Self { calls, options }
    }

    /// One claim; `None`: there is none of this name.
    ///
    /// # Errors
    /// The API server does not tell of the claim.
    pub async fn claim(&self, key: &ClaimKey) -> Result<Option<Report>, ApiError> {
        Ok(match self.calls.claim(key).await? {
            Some(claim) => Some(self.report(&claim).await),
            None => None,
        })
    }

    /// Each claim that has no volume, and names a class that is not another's.
    ///
    /// # Errors
    /// The API server does not list them.
    pub async fn pending(&self) -> Result<Vec<Report>, ApiError> {
        let mut reports = Vec::new();
        for claim in self.calls.pending_claims().await? {
            let Some(class) = claim.class.as_deref().filter(|name| !name.is_empty()) else {
                continue;
            };
            if self.calls.class(class, &self.classes()).await? == ClassStanding::Foreign {
                continue;
            }
            reports.push(self.report(&claim).await);
        }
        Ok(reports)
    }

    fn classes(&self) -> Classes {
        Classes {
            provisioners: self.options.provisioners.clone(),
        }
    }

    async fn report(&self, claim: &ClaimFact) -> Report {
        let findings = match self.findings(claim).await {
            Ok(findings) | Err(findings) => findings,
        };
        Report {
            claim: claim.key.clone(),
            findings,
        }
    }

    /// `Err` where nothing further need be looked at; it holds all findings too.
    async fn findings(&self, claim: &ClaimFact) -> Result<Vec<Finding>, Vec<Finding>> {
        let mut found = judge::claim(claim)?;
        let name = claim.class.as_deref().unwrap_or_default();
        let standing = match self.calls.class(name, &self.classes()).await {
            Ok(standing) => standing,
            Err(error) => {
                found.push(Finding::wrong(format!("StorageClass {name}: {error}")));
                return Err(found);
            }
        };
        let manager = self.options.manager.as_deref();
        let class = match judge::class(name, &standing, &self.options.provisioners, manager) {
            Ok((findings, class)) => {
                found.extend(findings);
                Some(class)
            }
            Err(findings) => {
                found.extend(findings);
                None
            }
        };
        let gib = match judge::wanted(claim) {
            Ok(gib) => Some(gib),
            Err(findings) => {
                found.extend(findings);
                None
            }
        };
        found.extend(judge::consumer(claim, &standing));
        if let Some(class) = &class {
            self.back_end(claim, class, gib, &mut found).await;
            self.events(claim, &mut found).await;
        }
        Ok(found)
    }

    /// What the class's Heketi says.
    async fn back_end(
        &self,
        claim: &ClaimFact,
        class: &Class,
        gib: Option<u64>,
        found: &mut Vec<Finding>,
    ) {
        let key = match &class.auth {
            Auth::None => None,
            Auth::Key(key) => Some(key.expose().as_bytes().to_vec()),
            Auth::Secret(name) => {
                let read = self.calls.secret(&name.namespace, &name.name).await;
                let (findings, key) = judge::secret(name, &read);
                found.extend(findings);
                key
            }
        };
        let lacks_key = key.is_none() && class.auth != Auth::None;
        let limits = Limits {
            call: PATIENCE,
            whole: PATIENCE * 3,
            ..Limits::default()
        };
        let credentials = key.map(|key| Credentials::new("admin", &key)).transpose();
        let heketi = credentials.and_then(|credentials| {
            Heketi::new(&class.url, credentials, &self.options.trust, limits)
        });
        let heketi = match heketi {
            Ok(heketi) => heketi,
            Err(error) => return found.push(Finding::wrong(error.to_string())),
        };
        match heketi.hello().await {
            Ok(hello) => found.push(Finding::good(match hello.loods {
                Some(version) => format!("{} is a manager of Loods, version {version}", class.url),
                None => format!("a Heketi answers at {}", class.url),
            })),
            Err(error) => return found.push(Finding::wrong(error.to_string())),
        }
        if lacks_key {
            return;
        }
        let prefix = class.name_prefix.as_deref();
        let name = volume_name(prefix, &claim.key.namespace, &claim.key.name, &claim.uid);
        match heketi.find_by_name(&name).await {
            Ok(Some(volume)) => found.push(Finding::note(format!(
                "its volume {name} is there, id {}, {} GiB: the PersistentVolume is what is missing",
                volume.id, volume.size
            ))),
            Ok(None) => found.push(Finding::good(format!(
                "Heketi takes our token, and has no volume {name} yet"
            ))),
            Err(error) => return found.push(Finding::wrong(error.to_string())),
        }
        let Some(gib) = gib else { return };
        match heketi.nodes(&class.clusters).await {
            Ok(nodes) => found.extend(space::judge(class, gib, &nodes)),
            Err(error) => found.push(Finding::wrong(error.to_string())),
        }
    }

    async fn events(&self, claim: &ClaimFact, found: &mut Vec<Finding>) {
        let of = ClaimRef {
            key: claim.key.clone(),
            uid: claim.uid.clone(),
        };
        match self.calls.told(&of).await {
            Ok(told) => found.extend(judge::told(claim, &told)),
            Err(error) => found.push(Finding::note(format!("its Events: {error}"))),
        }
    }
}
