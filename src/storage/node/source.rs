//! What is to be mounted, and the arguments that `mount.glusterfs` is given
//! for it (pure).
//!
//! The program is a shell script that splits its options at commas and blanks
//! and pastes them into a command line. So nothing reaches it that was not
//! read here first: hosts and volume by their alphabets, options by name from
//! a table, values by their shape. The keeper checks the same again, since it
//! is the one that runs the script.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Storage hosts of one volume that are taken.
const HOSTS: usize = 32;
/// Longest host name (RFC 1035 section 3.1, written out).
const HOST: usize = 253;
/// Longest path of a volume with a directory in it.
const VOLUME: usize = 512;
/// Options that are taken, and octets of one.
const OPTIONS: usize = 64;
const OPTION: usize = 512;

/// A volume as a node mounts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Storage hosts, names or addresses; any of them tells where the bricks are.
    pub hosts: Vec<String>,
    /// Name in Gluster, perhaps with a directory behind it: `vol` or `vol/a/b`.
    pub volume: String,
    /// Options of `mount.glusterfs`, each `name` or `name=value`.
    pub options: Vec<String>,
    /// Whether nobody writes through this mount.
    pub read_only: bool,
}

/// A field that cannot be used, with its value and the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} '{}' {why}", .value.escape_default())]
pub struct Refusal {
    /// Which field.
    pub field: &'static str,
    /// What stands there.
    pub value: String,
    /// Why not, and what would be right.
    pub why: String,
}

impl Refusal {
    fn new(field: &'static str, value: &str, why: impl Into<String>) -> Self {
        // A value of a megabyte helps nobody.
        let value = value.chars().take(200).collect();
        Self {
            field,
            value,
            why: why.into(),
        }
    }
}

const IN_HOSTS: &str = "volumeAttributes.hosts";
const IN_VOLUME: &str = "volumeAttributes.volume";
const IN_OPTIONS: &str = "mountOptions";

impl Source {
    /// Reads a PV: its `volumeAttributes` (`hosts`, `volume`), its mount options.
    pub fn of(
        attributes: &HashMap<String, String>,
        mount_flags: &[String],
        read_only: bool,
    ) -> Result<Self, Refusal> {
        let text = |key: &str| attributes.get(key).map(String::as_str).unwrap_or_default();
        let mut source = Self {
            hosts: listed(text("hosts")).collect(),
            volume: text("volume").trim_matches('/').to_owned(),
            options: Vec::new(),
            read_only,
        };
        for option in mount_flags.iter().flat_map(|flag| listed(flag)) {
            match &*option {
                "ro" => source.read_only = true,
                // What is read-only by its access mode stays so.
                "rw" => {}
                _ => source.options.push(option),
            }
        }
        source.check()?;
        Ok(source)
    }

    /// Says what is wrong with it, if anything is.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.hosts.is_empty() {
            return Err(Refusal::new(
                IN_HOSTS,
                "",
                "is missing: list the storage hosts, with commas between",
            ));
        }
        if self.hosts.len() > HOSTS {
            return Err(Refusal::new(
                IN_HOSTS,
                &self.hosts.len().to_string(),
                format!("hosts are too many: {HOSTS} are enough to find the bricks"),
            ));
        }
        self.hosts
            .iter()
            .try_for_each(|name| host(IN_HOSTS, name))?;
        volume(&self.volume)?;
        if self.options.len() > OPTIONS {
            return Err(Refusal::new(
                IN_OPTIONS,
                &self.options.len().to_string(),
                format!("options are too many: at most {OPTIONS}"),
            ));
        }
        self.options.iter().try_for_each(|text| option(text))
    }

    /// The first argument of `mount.glusterfs`. `turn` picks the host that is
    /// asked first, so that nodes spread over them.
    pub fn device(&self, turn: usize) -> String {
        // Also right for an IPv6 address: the script cuts at the last colon.
        format!("{}:/{}", self.first(turn), self.volume)
    }

    /// The argument of `-o`: what the user gave, and what is always given.
    /// `auto_unmount` removes a mount whose process died.
    pub fn arguments(&self, log_file: &Path, auto_unmount: bool) -> String {
        let mut all: Vec<String> = self.options.clone();
        let given = |name: &str| self.options.iter().any(|text| name_of(text) == name);
        if self.read_only {
            all.push("ro".into());
        }
        if !given("log-level") {
            all.push("log-level=ERROR".into());
        }
        if !given("log-file") {
            all.push(format!("log-file={}", log_file.display()));
        }
        if !given("backup-volfile-servers") {
            let hosts: Vec<String> = self.hosts.iter().map(|host| bracketed(host)).collect();
            all.push(format!("backup-volfile-servers={}", hosts.join(":")));
        }
        all.retain(|text| text != "auto_unmount");
        if auto_unmount {
            all.push("auto_unmount".into());
        }
        all.join(",")
    }

    /// Name of the volume in Gluster, without a directory behind it.
    pub fn volume_name(&self) -> &str {
        self.volume.split('/').next().unwrap_or_default()
    }

    fn first(&self, turn: usize) -> &str {
        let count = self.hosts.len().max(1);
        self.hosts.get(turn % count).map_or("", String::as_str)
    }
}

/// The parts of a comma list, blanks and empty ones left out.
fn listed(text: &str) -> impl Iterator<Item = String> + '_ {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned)
}

fn name_of(option: &str) -> &str {
    option.split('=').next().unwrap_or_default()
}

/// In the colon list an IPv6 address stands in brackets.
fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn host(field: &'static str, name: &str) -> Result<(), Refusal> {
    let address = name.split('%').next().unwrap_or_default();
    let zone_is_plain = name.split_once('%').is_none_or(|(_, zone)| {
        !zone.is_empty() && zone.chars().all(|c| c.is_ascii_alphanumeric())
    });
    if name.contains(':') {
        if address.parse::<Ipv6Addr>().is_ok() && zone_is_plain && name.len() <= HOST {
            return Ok(());
        }
        return Err(Refusal::new(
            field,
            name,
            "is no IPv6 address; a host is a name or an address, without a port",
        ));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if name.is_empty()
        || name.len() > HOST
        || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !name.chars().all(plain)
    {
        return Err(Refusal::new(
            field,
            name,
            "is no host name: letters, digits, dots and dashes, at most 253, not a dash first",
        ));
    }
    Ok(())
}

fn volume(path: &str) -> Result<(), Refusal> {
    let refused = |why: &str| Err(Refusal::new(IN_VOLUME, path, why));
    if path.is_empty() {
        return refused("is missing: the volume's name in Gluster");
    }
    if path.len() > VOLUME {
        return refused("is longer than 512 octets");
    }
    for part in path.split('/') {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if part.is_empty() || part == "." || part == ".." || !part.chars().all(plain) {
            return refused(
                "is neither NAME nor NAME/DIRECTORY of letters, digits, '.', '-' and '_'",
            );
        }
        if part.starts_with('-') {
            return refused("begins with a dash, which a program could take for an option");
        }
    }
    Ok(())
}

/// The shape of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// The option stands alone.
    None,
    /// A number, perhaps with a fraction or a sign.
    Number,
    /// Letters, digits, dots, dashes and underscores.
    Word,
    /// A word, or nothing.
    WordOrNone,
    /// An absolute path without `..`.
    Path,
    /// Hosts with colons between.
    Hosts,
}

/// Options of `mount.glusterfs` (GlusterFS 10) that make sense here. Left out
/// are those that would mount something else than the PV says (volume-id,
/// volume-name, subdir-mount, volfile-check, server-port), that write or load files of their
/// own (dump-fuse, xlator-option, fuse-mountopts, io-engine), and process-name.
const KNOWN: [(&str, Shape); 53] = [
    ("acl", Shape::None),
    ("async", Shape::None),
    ("atime", Shape::None),
    ("attr-times-granularity", Shape::Number),
    ("attribute-timeout", Shape::Number),
    ("auto-invalidation", Shape::Word),
    ("auto_unmount", Shape::None),
    ("aux-gfid-mount", Shape::None),
    ("background-qlen", Shape::Number),
    ("backup-volfile-servers", Shape::Hosts),
    ("congestion-threshold", Shape::Number),
    ("dev", Shape::None),
    ("diratime", Shape::None),
    ("direct-io-mode", Shape::Word),
    ("enable-ino32", Shape::None),
    ("entry-timeout", Shape::Number),
    ("event-history", Shape::Word),
    ("exec", Shape::None),
    ("fetch-attempts", Shape::Number),
    ("fopen-keep-cache", Shape::WordOrNone),
    ("fuse-flush-handle-interrupt", Shape::Word),
    ("gid-timeout", Shape::Number),
    ("global-threading", Shape::None),
    ("halo-max-latency", Shape::Number),
    ("halo-max-replicas", Shape::Number),
    ("halo-min-replicas", Shape::Number),
    ("invalidate-limit", Shape::Number),
    ("kernel-writeback-cache", Shape::Word),
    ("localtime-logging", Shape::None),
    ("log-file", Shape::Path),
    ("log-level", Shape::Word),
    ("lru-limit", Shape::Number),
    ("mem-accounting", Shape::None),
    ("negative-timeout", Shape::Number),
    ("no-root-squash", Shape::Word),
    ("noatime", Shape::None),
    ("nodev", Shape::None),
    ("nodiratime", Shape::None),
    ("noexec", Shape::None),
    ("nofail", Shape::None),
    ("norelatime", Shape::None),
    ("nostrictatime", Shape::None),
    ("nosuid", Shape::None),
    ("reader-thread-count", Shape::Number),
    ("relatime", Shape::None),
    ("resolve-gids", Shape::None),
    ("root-squash", Shape::Word),
    ("selinux", Shape::None),
    ("strictatime", Shape::None),
    ("suid", Shape::None),
    ("thin-client", Shape::None),
    ("transport", Shape::Word),
    ("use-readdirp", Shape::Word),
];

fn option(text: &str) -> Result<(), Refusal> {
    let refused = |why: String| Err(Refusal::new(IN_OPTIONS, text, why));
    if text.len() > OPTION {
        return refused(format!("is longer than {OPTION} octets"));
    }
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    // Said by mount(8) for init scripts; the program drops them as well.
    if name == "_netdev" && value.is_none() {
        return Ok(());
    }
    let Some((_, shape)) = KNOWN.iter().find(|(known, _)| *known == name) else {
        let all: Vec<&str> = KNOWN.iter().map(|(known, _)| *known).collect();
        return refused(format!("is not taken; those that are: {}", all.join(", ")));
    };
    let word = |value: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        !value.is_empty() && value.len() <= 64 && value.chars().all(plain)
    };
    match (shape, value) {
        (Shape::None | Shape::WordOrNone, None) => Ok(()),
        (Shape::None, Some(_)) => refused(format!("has a value: write {name} alone")),
        (_, None) => refused(format!("has no value: write {name}=VALUE")),
        (Shape::Number, Some(value)) if value.parse::<f64>().is_ok_and(f64::is_finite) => Ok(()),
        (Shape::Number, Some(_)) => refused(format!("has no number as its value: write {name}=10")),
        (Shape::Word | Shape::WordOrNone, Some(value)) if word(value) => Ok(()),
        (Shape::Word | Shape::WordOrNone, Some(_)) => {
            refused("has a value that is not of letters, digits, '.', '-' and '_'".into())
        }
        (Shape::Path, Some(value)) if is_plain_path(value) => Ok(()),
        (Shape::Path, Some(_)) => {
            refused("has no absolute path of letters, digits, '.', '-' and '_' as its value".into())
        }
        (Shape::Hosts, Some(value)) => value.split(':').try_for_each(|name| host(IN_OPTIONS, name)),
    }
}

fn is_plain_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/')
            .all(|part| !part.is_empty() && part != "." && part != ".." && part.chars().all(plain))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(hosts: &str, volume: &str, flags: &[&str]) -> Result<Source, Refusal> {
        let attributes = HashMap::from([
            ("hosts".to_owned(), hosts.to_owned()),
            ("volume".to_owned(), volume.to_owned()),
        ]);
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        Source::of(&attributes, &flags, false)
    }

    #[test]
    fn the_arguments_are_those_of_the_old_plugin() {
        let source = of("10.0.0.1,10.0.0.2", "vol_1", &[]).expect("a volume");
        assert_eq!(source.device(0), "10.0.0.1:/vol_1");
        assert_eq!(source.device(3), "10.0.0.2:/vol_1");
        assert_eq!(
            source.arguments(Path::new("/l/vol_1.log"), true),
            "log-level=ERROR,log-file=/l/vol_1.log,backup-volfile-servers=10.0.0.1:10.0.0.2,auto_unmount"
        );
    }

    #[test]
    fn what_the_user_gave_comes_before_what_is_always_given() {
        let flags = [
            "ro,log-level=DEBUG",
            "attribute-timeout=0.5",
            "auto_unmount",
        ];
        let source = of("gfs1", "/vol/sub/dir/", &flags).expect("a volume");
        assert_eq!(source.volume_name(), "vol");
        assert_eq!(source.device(1), "gfs1:/vol/sub/dir");
        assert_eq!(
            source.arguments(Path::new("/l"), false),
            "log-level=DEBUG,attribute-timeout=0.5,ro,log-file=/l,backup-volfile-servers=gfs1"
        );
    }

    #[test]
    fn addresses_of_version_6_stand_in_brackets_where_colons_part() {
        let source = of("fd00:19::1,fe80::2%eth0", "v", &[]).expect("a volume");
        assert_eq!(source.device(0), "fd00:19::1:/v");
        let arguments = source.arguments(Path::new("/l"), true);
        assert!(
            arguments.contains("backup-volfile-servers=[fd00:19::1]:[fe80::2%eth0],"),
            "{arguments}"
        );
    }

    #[test]
    fn every_refusal_names_field_value_and_mend() {
        let table: [(&str, &str, &[&str], &str); 15] = [
            ("", "v", &[], "volumeAttributes.hosts '' is missing"),
            ("a b", "v", &[], "'a b' is no host name"),
            ("-o", "v", &[], "'-o' is no host name"),
            ("a:24007", "v", &[], "'a:24007' is no IPv6 address"),
            ("fe80::1%$(x)", "v", &[], "is no IPv6 address"),
            ("h", "", &[], "volumeAttributes.volume '' is missing"),
            ("h", "v;reboot", &[], "'v;reboot' is neither NAME"),
            ("h", "v/../w", &[], "'v/../w' is neither NAME"),
            ("h", "-v", &[], "begins with a dash"),
            (
                "h",
                "v",
                &["xlator-option=a"],
                "'xlator-option=a' is not taken; those that are: acl,",
            ),
            ("h", "v", &["log-file=/a/../b"], "has no absolute path"),
            (
                "h",
                "v",
                &["log-level=`id`"],
                "has a value that is not of letters",
            ),
            ("h", "v", &["noatime=1"], "write noatime alone"),
            ("h", "v", &["gid-timeout"], "write gid-timeout=VALUE"),
            ("h", "v", &["gid-timeout=soon"], "has no number"),
        ];
        for (hosts, volume, flags, text) in table {
            let refused = of(hosts, volume, flags).expect_err(text).to_string();
            assert!(refused.contains(text), "{refused}");
        }
    }

    #[test]
    fn too_many_are_refused() {
        let hosts = vec!["h"; HOSTS + 1].join(",");
        assert!(of(&hosts, "v", &[]).is_err());
        let flags = vec!["noatime"; OPTIONS + 1].join(",");
        assert!(of("h", "v", &[&flags]).is_err());
    }

    #[test]
    fn the_table_is_in_order_and_names_each_once() {
        assert!(KNOWN.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    proptest! {
        /// Whatever a PV says: what comes out is one word each for a shell.
        #[test]
        fn nothing_reaches_the_script_that_it_could_split_or_expand(
            hosts in ".{0,20}", volume in ".{0,20}", flag in "(log-file=|log-level=|transport=)?.{0,20}",
        ) {
            if let Ok(source) = of(&hosts, &volume, &[&flag]) {
                for text in [source.device(0), source.arguments(Path::new("/l"), true)] {
                    prop_assert!(!text.starts_with('-'));
                    prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:/=,%[]+".contains(c)), "{}", text);
                }
            }
        }
    }
}
