//! What glusterd does with a command, and the words it refuses with.

use super::{Volume, World, told};
use loods::storage::agent::api::{Command, VolumeLayout};

/// What it says of a failure.
type Words = String;

impl World {
    /// What `gluster --xml` prints on a host.
    pub(super) fn gluster(&mut self, host: &str, command: &Command) -> String {
        match self.done(host, command) {
            Ok(body) => told::success(&body),
            Err(words) => told::failure(&words),
        }
    }

    fn done(&mut self, host: &str, command: &Command) -> Result<String, Words> {
        let pool = self.hosts[host].pool;
        match command {
            Command::PeerProbe(storage) => self.probe(pool, storage),
            Command::PeerDetach(storage) => self.detach(pool, storage),
            Command::PoolList => Ok(told::pool(self, host)),
            Command::Info(None) => Ok(told::info(&self.pools[&pool])),
            Command::Info(Some(name)) if self.hosts[host].left_out.contains_key(name) => {
                Ok(told::info(&self.hosts[host].left_out))
            }
            Command::Info(Some(name)) => {
                let volume = self.known(pool, name)?.clone();
                Ok(told::info(&[(name.clone(), volume)].into()))
            }
            Command::Create(layout) => self.create(pool, layout),
            Command::Start(name, force) => {
                let volume = self.known(pool, name)?;
                if volume.state == "Started" && !force {
                    return Err(format!("Volume {name} already started"));
                }
                volume.state = "Started";
                volume.dead.clear();
                Ok(String::new())
            }
            // A real one does it alone, and hears from the others that it is not done.
            Command::Stop(_) | Command::Delete(_) if self.hosts[host].half => {
                Err("the others would bring it back".into())
            }
            Command::Stop(name) => {
                self.known(pool, name)?.state = "Stopped";
                Ok(String::new())
            }
            Command::Delete(name) => self.delete(pool, name),
            Command::Set(name, options) => {
                let volume = self.known(pool, name)?;
                if let Some((key, _)) = options.iter().find(|(key, _)| key.starts_with("no.such")) {
                    return Err(format!("option : {key} does not exist"));
                }
                volume.options.extend(options.iter().cloned());
                Ok(String::new())
            }
            Command::Reset(name, key) => {
                let volume = self.known(pool, name)?;
                match volume.options.remove(key) {
                    Some(_) => Ok(String::new()),
                    None => Err(format!("Option {key} does not exist")),
                }
            }
            Command::Status(name) => {
                let volume = self.known(pool, name)?.clone();
                if volume.state != "Started" {
                    return Err(format!("Volume {name} is not started"));
                }
                Ok(told::status(self, &volume))
            }
            Command::HealSummary(name) => {
                let volume = self.known(pool, name)?.clone();
                Ok(told::heal(&volume))
            }
            Command::Heal(name, _) => {
                self.known(pool, name)?.pending.clear();
                Ok(String::new())
            }
            Command::ReplaceBrick(name, old, new) => self.replace(pool, name, old, new),
            Command::Barrier(name, on) => {
                let volume = self.known(pool, name)?;
                let value = if *on { "enable" } else { "disable" };
                let before = volume.options.get("features.barrier");
                if before.map_or("disable", String::as_str) == value {
                    return Err(format!("Volume {name} Barrier is already {value}d"));
                }
                volume
                    .options
                    .insert("features.barrier".into(), value.into());
                Ok(String::new())
            }
            Command::Quota(name, size) => {
                let volume = self.known(pool, name)?;
                if volume.state != "Started" {
                    return Err(format!("Volume {name} is not started"));
                }
                volume.quota = Some(*size);
                volume.options.insert("features.quota".into(), "on".into());
                Ok(String::new())
            }
            Command::AddBricks(..) => Err("not in this model".into()),
        }
    }

    fn known(&mut self, pool: u32, name: &str) -> Result<&mut Volume, Words> {
        let volumes = self.pools.get_mut(&pool);
        let volume = volumes.and_then(|volumes| volumes.get_mut(name));
        volume.ok_or_else(|| format!("Volume {name} does not exist"))
    }

    fn named(&self, storage: &str) -> Result<String, Words> {
        let mut hosts = self.hosts.iter();
        let found = hosts.find(|(_, host)| host.storage == storage && !host.away);
        let name = found.map(|(name, _)| name.clone());
        name.ok_or_else(|| "Probe returned with Transport endpoint is not connected".to_owned())
    }

    fn probe(&mut self, pool: u32, storage: &str) -> Result<String, Words> {
        let name = self.named(storage)?;
        let other = self.hosts[&name].pool;
        if other != pool {
            let alone = self
                .hosts
                .values()
                .filter(|host| host.pool == other)
                .count()
                == 1;
            if !alone || !self.pools[&other].is_empty() {
                return Err(format!("{storage} is already part of another cluster"));
            }
            self.pools.remove(&other);
            if let Some(host) = self.hosts.get_mut(&name) {
                host.pool = pool;
            }
        }
        Ok(String::new())
    }

    fn detach(&mut self, pool: u32, storage: &str) -> Result<String, Words> {
        let name = self.named(storage)?;
        if self.hosts[&name].pool != pool {
            return Err(format!("{storage} is not part of cluster"));
        }
        let mut bricks = self.pools[&pool].values().flat_map(|volume| &volume.bricks);
        if bricks.any(|(host, _)| host == storage) {
            return Err(format!("Peer {storage} hosts one or more bricks"));
        }
        let new = self.pools.keys().max().map_or(1, |most| most + 1);
        self.pools.insert(new, Default::default());
        if let Some(host) = self.hosts.get_mut(&name) {
            host.pool = new;
        }
        Ok(String::new())
    }

    fn create(&mut self, pool: u32, layout: &VolumeLayout) -> Result<String, Words> {
        if self.known(pool, &layout.name).is_ok() {
            return Err(format!("Volume {} already exists", layout.name));
        }
        let mut bricks = Vec::new();
        for brick in &layout.bricks {
            let (storage, path) = brick.split_once(':').ok_or("not a brick")?;
            let mut peers = self.hosts.values().filter(|host| host.pool == pool);
            let Some(host) = peers.find(|host| host.storage == storage) else {
                return Err(format!("Host {storage} is not in 'Peer in Cluster' state"));
            };
            if host.away {
                return Err(format!("Host {storage} is not connected"));
            }
            if self.brick_at(storage, path).is_none() {
                return Err(format!("Failed to create brick directory for {brick}"));
            }
            let place = (storage.to_owned(), path.to_owned());
            if self
                .volumes()
                .any(|(_, other)| other.bricks.contains(&place))
            {
                return Err(format!("{path} is already part of a volume"));
            }
            bricks.push(place);
        }
        let volume = Volume {
            state: "Created",
            replica: layout.replica,
            arbiter: layout.arbiter,
            disperse: layout.disperse,
            bricks,
            ..Volume::default()
        };
        let volumes = self.pools.entry(pool).or_default();
        volumes.insert(layout.name.clone(), volume);
        Ok(String::new())
    }

    fn delete(&mut self, pool: u32, name: &str) -> Result<String, Words> {
        if self.known(pool, name)?.state == "Started" {
            return Err(format!(
                "Volume {name} has been started.Volume needs to be stopped before deletion."
            ));
        }
        let mut peers = self.hosts.values().filter(|host| host.pool == pool);
        if peers.any(|host| host.away) {
            return Err("Some of the peers are down".into());
        }
        if let Some(volumes) = self.pools.get_mut(&pool) {
            volumes.remove(name);
        }
        Ok(String::new())
    }

    fn replace(&mut self, pool: u32, name: &str, old: &str, new: &str) -> Result<String, Words> {
        let split = |brick: &str| {
            let (storage, path) = brick.split_once(':')?;
            Some((storage.to_owned(), path.to_owned()))
        };
        let (old, new) = (split(old), split(new));
        let (Some(old), Some(new)) = (old, new) else {
            return Err("not a brick".into());
        };
        if self.brick_at(&new.0, &new.1).is_none() {
            return Err(format!("{} does not exist", new.1));
        }
        let volume = self.known(pool, name)?;
        let Some(place) = volume.bricks.iter().position(|brick| *brick == old) else {
            return Err(format!(
                "brick: {}:{} does not exist in volume: {name}",
                old.0, old.1
            ));
        };
        volume.bricks[place] = new.clone();
        volume.dead.remove(&old);
        let width = match volume.disperse {
            (0, 0) => volume.replica.max(1),
            (data, redundancy) => data + redundancy,
        } as usize;
        let first = place / width * width;
        let others: Vec<_> = (first..first + width)
            .filter(|other| *other != place)
            .collect();
        let from = others.first().map(|other| volume.bricks[*other].clone());
        // Self-heal does its work at once.
        let content = from
            .and_then(|(host, path)| Some(self.brick_at(&host, &path)?.content.clone()))
            .unwrap_or_default();
        if let Some(brick) = self.brick_at(&new.0, &new.1) {
            brick.content = content;
        }
        Ok(String::new())
    }
}
