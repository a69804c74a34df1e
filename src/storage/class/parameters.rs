//! The parameters of a class, key by key.

use std::collections::BTreeMap;

use hyper::Uri;

use super::fault::{Faults, quoted};
use super::{Auth, Class, GIDS, Key, SecretName, USER, durability, name, options};
use crate::storage::DRIVER;

/// As the removed plugin named Endpoints.
const ENDPOINT_PREFIX: &str = "glusterfs-dynamic";
/// With a `-` and a uid this makes the 63 bytes of a Service's name.
const LONGEST_ENDPOINT_PREFIX: usize = 26;
/// Bytes of a URL. It stands in every PV.
const LONGEST_URL: usize = 512;
/// Clusters in one class.
const MOST_CLUSTERS: usize = 64;
/// What the sidecars of CSI add for themselves.
const OF_SIDECARS: &str = "csi.storage.k8s.io/";
/// All keys, as people write them.
pub const KEYS: [&str; 14] = [
    "resturl",
    "restauthenabled",
    "restuser",
    "restuserkey",
    "secretName",
    "secretNamespace",
    "clusterid",
    "gidMin",
    "gidMax",
    "volumetype",
    "volumeoptions",
    "volumenameprefix",
    "snapfactor",
    "customepnameprefix",
];

pub(super) fn read<K, V>(
    provisioner: &str,
    parameters: &BTreeMap<K, V>,
    manager: Option<&str>,
) -> Result<Class, Faults>
where
    K: AsRef<str> + Ord,
    V: AsRef<str>,
{
    let mut faults = Faults::default();
    let given = Given::sort(provisioner, parameters, &mut faults);
    let class = Class {
        url: url(provisioner, given.text("resturl"), manager, &mut faults),
        auth: auth(&given, &mut faults),
        clusters: clusters(given.text("clusterid"), &mut faults),
        gids: gids(given.value("gidMin"), given.value("gidMax"), &mut faults),
        durability: durability::read(given.text("volumetype"), &mut faults),
        options: options::read(given.text("volumeoptions"), &mut faults),
        name_prefix: name::prefix(given.text("volumenameprefix"), &mut faults),
        snapshot_factor: snapshot_factor(given.text("snapfactor"), &mut faults),
        endpoint_prefix: endpoint_prefix(given.value("customepnameprefix"), &mut faults),
    };
    faults.or(class)
}

/// What was given, by the key as we write it.
struct Given<'a>(BTreeMap<&'static str, &'a str>);

impl<'a> Given<'a> {
    fn sort<K: AsRef<str> + Ord, V: AsRef<str>>(
        provisioner: &str,
        parameters: &'a BTreeMap<K, V>,
        faults: &mut Faults,
    ) -> Self {
        let mut given = BTreeMap::new();
        for (key, value) in parameters {
            let key = key.as_ref();
            if key.starts_with(OF_SIDECARS) {
                continue;
            }
            let Some(known) = KEYS
                .into_iter()
                .find(|known| known.eq_ignore_ascii_case(key))
            else {
                faults.add(
                    key,
                    format!(
                        "invalid option {} for volume plugin {provisioner}{}",
                        quoted(key),
                        nearest(key)
                    ),
                );
                continue;
            };
            if given.insert(known, value.as_ref()).is_some() {
                faults.add(
                    key,
                    format!(
                        "parameter {known} is given twice, in different letters; leave one out"
                    ),
                );
            }
        }
        Self(given)
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied()
    }

    /// "" where it is absent, which means the same for most.
    fn text(&self, key: &str) -> &'a str {
        self.value(key).unwrap_or("")
    }
}

/// What was meant, perhaps.
fn nearest(key: &str) -> String {
    let small = key.to_ascii_lowercase();
    let meant = match &*small {
        // The documentation called it so for years.
        "thinpoolsnapfactor" => Some("snapfactor"),
        _ => KEYS.into_iter().find(|known| {
            let known = known.to_ascii_lowercase();
            known.replace(['-', '_'], "") == small.replace(['-', '_'], "")
                || known.starts_with(&small) && small.len() > 4
                || small.starts_with(&known)
        }),
    };
    match meant {
        Some(meant) => format!("; is {meant} meant?"),
        None => format!("; known are {}", KEYS.join(", ")),
    }
}

fn url(provisioner: &str, given: &str, manager: Option<&str>, faults: &mut Faults) -> Box<str> {
    const FIELD: &str = "resturl";
    let text = match (given.trim(), manager) {
        ("", Some(manager)) if provisioner == DRIVER => manager,
        ("", _) => {
            let mend = if provisioner == DRIVER {
                "; or start the controller with --manager URL, which then is meant"
            } else {
                ""
            };
            faults.add(FIELD, format!(
                "StorageClass for provisioner {provisioner} must contain 'resturl' parameter: the address of Heketi, for example http://gfs1:8080{mend}"
            ));
            return "".into();
        }
        (given, _) => given,
    };
    match judge_url(text) {
        Ok(url) => url,
        Err(trouble) => {
            faults.add(
                FIELD,
                format!(
                    "resturl {}: {trouble}; write for example http://gfs1:8080",
                    quoted(text)
                ),
            );
            "".into()
        }
    }
}

/// `http://HOST[:PORT][/PATH]`, without `/` at the end.
pub fn judge_url(text: &str) -> Result<Box<str>, &'static str> {
    if text.len() > LONGEST_URL {
        return Err("longer than 512 bytes");
    }
    let uri: Uri = text.parse().map_err(|_| "not a URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it does not begin with http:// or https://");
    }
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("it has a user in it, and would show a password to everybody who may read PVs");
    }
    if uri.host().unwrap_or("").is_empty() {
        return Err("it names no host");
    }
    // What stands behind the last colon outside of brackets must be a port.
    let after = authority.as_str().rsplit(']').next().unwrap_or("");
    if after.contains(':') && uri.port_u16().is_none() {
        return Err("its port is not a number from 0 to 65535");
    }
    if uri.query().is_some() || text.contains('#') {
        return Err("it has a query, to which no path can be added");
    }
    Ok(text.trim_end_matches('/').into())
}

fn auth(given: &Given<'_>, faults: &mut Faults) -> Auth {
    // Only the word counts: whatever else was written turned it off.
    let enabled = given
        .value("restauthenabled")
        .is_none_or(|word| word.eq_ignore_ascii_case("true"));
    if !enabled {
        return Auth::None;
    }
    let user = given.text("restuser");
    if !matches!(user, "" | USER) {
        faults.add("restuser", format!(
            "restuser {}: only admin can make volumes. Heketi lets its other user begin one, then refuses it every answer (401 Administrator access required): the volume is there, nobody learns of it, and each try makes another. Write restuser: admin, and the admin key into the Secret",
            quoted(user)
        ));
    }
    let (name, namespace) = (given.text("secretName"), given.text("secretNamespace"));
    let key = given.text("restuserkey");
    match (name, namespace) {
        ("", "") if key.is_empty() => Auth::None,
        ("", "") => Auth::Key(Key::new(key)),
        ("", _) | (_, "") => {
            let (there, missing) = if name.is_empty() {
                ("secretNamespace", "secretName")
            } else {
                ("secretName", "secretNamespace")
            };
            faults.add(missing, format!(
                "StorageClass must have secretNamespace and secretName either both set or both empty: {there} is {}, and {missing} is missing; add it",
                quoted(given.text(there))
            ));
            Auth::None
        }
        (name, namespace) => match judge_secret(namespace, name) {
            Ok(secret) => Auth::Secret(secret),
            Err(wrong) => {
                *faults = std::mem::take(faults).and(wrong);
                Auth::None
            }
        },
    }
}

/// Names that a Secret can have.
pub fn judge_secret(namespace: &str, name: &str) -> Result<SecretName, Faults> {
    let mut faults = Faults::default();
    label("secretName", name, true, &mut faults);
    label("secretNamespace", namespace, false, &mut faults);
    faults.or(SecretName {
        namespace: namespace.into(),
        name: name.into(),
    })
}

/// A name that the API server can have; anything else in a path of its API
/// would ask for another object.
fn label(field: &str, name: &str, dots: bool, faults: &mut Faults) {
    let longest = if dots { 253 } else { 63 };
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || dots && byte == b'.'
    };
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let octets = name.as_bytes();
    if octets.len() > longest
        || !octets.iter().copied().all(fits)
        || !ends(octets.first())
        || !ends(octets.last())
    {
        faults.add(field, format!(
            "{field} {}: no object can be called so; names have small letters, digits and dashes",
            quoted(name)
        ));
    }
}

fn clusters(value: &str, faults: &mut Faults) -> Vec<Box<str>> {
    if value.is_empty() {
        return Vec::new();
    }
    let clusters: Vec<Box<str>> = value
        .split(',')
        .take(MOST_CLUSTERS + 1)
        .map(|id| id.trim().into())
        .collect();
    let good = |id: &str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(bad) = clusters.iter().find(|id| !good(id)) {
        faults.add("clusterid", format!(
            "clusterid has {}: an id of Heketi's is 32 hexadecimal digits; `heketi-cli cluster list` tells them",
            quoted(bad)
        ));
    }
    if clusters.len() > MOST_CLUSTERS {
        faults.add(
            "clusterid",
            format!("clusterid names more than {MOST_CLUSTERS} clusters; leave it out for all"),
        );
    }
    clusters
}

fn gids(least: Option<&str>, most: Option<&str>, faults: &mut Faults) -> (u32, u32) {
    let least_gid = least.map_or(Some(GIDS.0), |text| gid("gidMin", text, faults));
    let most_gid = most.map_or(Some(GIDS.1), |text| gid("gidMax", text, faults));
    let (Some(low), Some(high)) = (least_gid, most_gid) else {
        return GIDS;
    };
    if high < low {
        faults.add("gidMax", format!(
            "StorageClass must have gidMax value >= gidMin: gidMax is {high}, gidMin is {low}; swap them, or raise gidMax"
        ));
    }
    (low, high)
}

fn gid(field: &str, text: &str, faults: &mut Faults) -> Option<u32> {
    let trouble = match text.parse::<i64>() {
        Err(_) => format!(
            "invalid {field} value {}: a whole number is wanted",
            quoted(text)
        ),
        Ok(number) if number < GIDS.0.into() => {
            format!(
                "{field} must be >= {}: it is {number}; lower groups belong to the system",
                GIDS.0
            )
        }
        Ok(number) if number > GIDS.1.into() => {
            format!(
                "{field} must be <= {}: it is {number}; Linux and Heketi end there",
                GIDS.1
            )
        }
        Ok(number) => return u32::try_from(number).ok(),
    };
    faults.add(field, trouble);
    None
}

fn snapshot_factor(value: &str, faults: &mut Faults) -> f32 {
    if value.is_empty() {
        return 1.0;
    }
    let trouble = match value.parse::<f32>() {
        Ok(factor) if (1.0..=100.0).contains(&factor) => return factor,
        Ok(_) => format!(
            "invalid snapshot factor {}, the value must be between 1 to 100; 1 makes no room for snapshots",
            quoted(value)
        ),
        Err(_) => format!(
            "failed to convert snapfactor {} to float; write for example 1.5",
            quoted(value)
        ),
    };
    faults.add("snapfactor", trouble);
    1.0
}

fn endpoint_prefix(value: Option<&str>, faults: &mut Faults) -> Box<str> {
    let prefix = value.unwrap_or(ENDPOINT_PREFIX);
    if prefix.len() > LONGEST_ENDPOINT_PREFIX {
        faults.add("customepnameprefix", format!(
            "'customepnameprefix' value should be < {LONGEST_ENDPOINT_PREFIX} characters: {} has {}, and with the claim's uid no name of a Service is left",
            quoted(prefix),
            prefix.len()
        ));
    }
    prefix.into()
}
