//! What Heketi refuses before it does anything, in its words; pure.

use super::placement::Wanted;
use crate::storage::class::judge_option;
use crate::storage::gluster::record::MOST_BRICKS;
use crate::storage::heketi::wire::{Disperse, Durability, NodeAdd, Replicate, VolumeCreate};

/// Largest volume, in GiB: as much as a record can say.
const LARGEST: i64 = 1 << 30;
/// Longest name of a volume, in octets.
const LONGEST_NAME: usize = 200;

/// Status and text of a refusal.
pub type Refusal = (u16, String);

fn bad(text: impl Into<String>) -> Refusal {
    (400, text.into())
}

/// A new volume; answers it with every default filled in.
///
/// # Errors
/// Status 400, with Heketi's text where Heketi has one.
pub fn volume(mut create: VolumeCreate) -> Result<VolumeCreate, Refusal> {
    if create.size == 0 {
        return Err(bad("validation failed: size: cannot be blank."));
    }
    if create.size < 0 || create.size > LARGEST {
        return Err(bad(format!(
            "validation failed: size: must be from 1 to {LARGEST}."
        )));
    }
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !create.name.chars().all(sound) || create.name.len() > LONGEST_NAME {
        return Err(bad("validation failed: name: must be in a valid format."));
    }
    if create.gid < 0 {
        return Err(bad("Bad group id less than zero"));
    }
    if create.gid >= i64::from(i32::MAX) {
        return Err(bad("Bad group id equal or greater than 2**32"));
    }
    if create.block {
        return Err(bad(
            "block volumes are not made by this server: use a file volume",
        ));
    }
    create.durability = durability(create.durability)?;
    if create.snapshot.enable {
        if create.snapshot.factor == 0.0 {
            create.snapshot.factor = 1.0;
        }
        if !(1.0..=100.0).contains(&create.snapshot.factor) {
            return Err(bad("Invalid snapshot factor"));
        }
    } else {
        create.snapshot.factor = 1.0;
    }
    create
        .glustervolumeoptions
        .retain(|option| !option.is_empty());
    for option in &create.glustervolumeoptions {
        judge_option(option).map_err(|why| bad(why.to_string()))?;
        if option.starts_with("auth.") || option.starts_with("user.loods.") {
            return Err(bad(format!(
                "glustervolumeoptions: '{option}' is set by this server itself; leave it out"
            )));
        }
    }
    Ok(create)
}

/// A growth of a volume of `size` GiB; answers what it grows to.
///
/// # Errors
/// Status 400, with Heketi's text where Heketi has one.
pub fn growth(size: i64, by: i64) -> Result<i64, Refusal> {
    if by == 0 {
        return Err(bad("validation failed: expand_size: cannot be blank."));
    }
    if by < 0 {
        return Err(bad(
            "validation failed: expand_size: must be no less than 1.",
        ));
    }
    let grown = size.saturating_add(by);
    if grown > LARGEST {
        return Err(bad(format!(
            "validation failed: expand_size: {by} GiB more than {size} GiB are more than the {LARGEST} GiB that a volume may have."
        )));
    }
    Ok(grown)
}

fn durability(mut asked: Durability) -> Result<Durability, Refusal> {
    // What does not hold is kept to be shown, and only if it can be.
    let can_be = |number: i64| (0..=MOST_BRICKS).contains(&number);
    if asked.kind != "replicate" && !can_be(asked.replicate.replica) {
        asked.replicate = Replicate::default();
    }
    let Disperse { data, redundancy } = asked.disperse;
    if asked.kind != "disperse" && !(can_be(data) && can_be(redundancy)) {
        asked.disperse = Disperse::default();
    }
    match asked.kind.as_str() {
        "" | "none" => asked.kind = "none".into(),
        "replicate" => {
            if asked.replicate.replica == 0 {
                asked.replicate.replica = 2;
            }
            if !(2..=3).contains(&asked.replicate.replica) {
                return Err(bad("Invalid replica value"));
            }
        }
        "disperse" => {
            let disperse = &mut asked.disperse;
            if (disperse.data, disperse.redundancy) == (0, 0) {
                (disperse.data, disperse.redundancy) = (4, 2);
            }
            let known = [(2, 1), (4, 2), (8, 3), (8, 4)];
            if !known.contains(&(disperse.data, disperse.redundancy)) {
                return Err(bad(format!(
                    "Invalid dispersion combination: {}+{}",
                    disperse.data, disperse.redundancy
                )));
            }
        }
        _ => return Err(bad("Unknown durability type")),
    }
    Ok(asked)
}

/// What placement must find for a volume that was found sound.
pub fn wanted(create: &VolumeCreate) -> Wanted {
    let kib = u64::try_from(create.size).unwrap_or(0) << 20;
    let Durability {
        kind,
        replicate: Replicate { replica },
        disperse,
    } = &create.durability;
    let arbiter = kind == "replicate" && says(create, "user.heketi.arbiter", "true");
    let count = |number: i64| u32::try_from(number).unwrap_or(1);
    let (width, parts) = match kind.as_str() {
        "replicate" if arbiter => (3, 1),
        "replicate" => (count(*replica), 1),
        "disperse" => (
            count(disperse.data + disperse.redundancy),
            count(disperse.data),
        ),
        _ => (1, 1),
    };
    Wanted {
        size: kib,
        width,
        parts,
        arbiter,
        strict_zones: says(create, "user.heketi.zone-checking", "strict"),
    }
}

/// What a tag of a device must be, or must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRule {
    key: String,
    value: String,
    is: bool,
}

impl TagRule {
    /// Whether a device with this tag, or without it, will do.
    pub fn admits<'a>(&self, tag: impl Fn(&str) -> Option<&'a str>) -> bool {
        (tag(&self.key).unwrap_or_default() == self.value) == self.is
    }
}

/// Rules for devices: option `user.heketi.device-tag-match KEY=VALUE` or
/// `KEY!=VALUE`. A device without the tag has the value "".
pub fn tags(create: &VolumeCreate) -> Vec<TagRule> {
    let options = create.glustervolumeoptions.iter();
    options
        .filter_map(|option| option.strip_prefix("user.heketi.device-tag-match "))
        .filter_map(|rule| rule.trim().split_once('='))
        .map(|(key, value)| {
            let (key, is) = match key.strip_suffix('!') {
                Some(key) => (key, false),
                None => (key, true),
            };
            TagRule {
                key: key.into(),
                value: value.into(),
                is,
            }
        })
        .collect()
}

fn says(create: &VolumeCreate, key: &str, value: &str) -> bool {
    let mut options = create.glustervolumeoptions.iter();
    options.any(|option| option.split_once(' ') == Some((key, value)))
}

/// A new node.
///
/// # Errors
/// Status 400, in Heketi's words.
pub fn node(add: &NodeAdd) -> Result<(), Refusal> {
    if add.zone == 0 {
        return Err(bad("validation failed: zone: cannot be blank."));
    }
    if add.zone < 0 {
        return Err(bad("validation failed: zone: must be no less than 1."));
    }
    if add.hostnames.manage.is_empty() || add.hostnames.storage.is_empty() {
        return Err(bad("validation failed: hostnames: cannot be blank."));
    }
    let names = add.hostnames.manage.iter().chain(&add.hostnames.storage);
    for name in names {
        crate::storage::gluster::name::host(name)
            .map_err(|why| bad(format!("validation failed: hostnames: {why}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(json: &str) -> Result<VolumeCreate, Refusal> {
        volume(serde_json::from_str(json).expect("JSON"))
    }

    #[test]
    fn refusals_are_in_heketis_words() {
        for (body, text) in [
            (r#"{"size":0}"#, "validation failed: size: cannot be blank."),
            (
                r#"{"size":1,"name":"a b"}"#,
                "validation failed: name: must be in a valid format.",
            ),
            (r#"{"size":1,"gid":-1}"#, "Bad group id less than zero"),
            (
                r#"{"size":1,"durability":{"type":"x"}}"#,
                "Unknown durability type",
            ),
            (
                r#"{"size":1,"snapshot":{"enable":true,"factor":0.5}}"#,
                "Invalid snapshot factor",
            ),
        ] {
            assert_eq!(create(body), Err((400, text.into())), "{body}");
        }
    }

    #[test]
    fn devices_are_chosen_by_their_tags() {
        let create = |rule: &str| VolumeCreate {
            glustervolumeoptions: vec![format!("user.heketi.device-tag-match {rule}")],
            ..VolumeCreate::default()
        };
        for (rule, fast, slow, none) in [
            ("tier=fast", true, false, false),
            ("tier!=slow", true, false, true),
            ("tier!=", true, true, false),
        ] {
            let rules = tags(&create(rule));
            let admits = |value: Option<&'static str>| {
                rules[0].admits(|key| value.filter(|_| key == "tier"))
            };
            let told = (admits(Some("fast")), admits(Some("slow")), admits(None));
            assert_eq!(told, (fast, slow, none), "{rule}");
        }
    }

    #[test]
    fn options_of_ours_are_not_for_users() {
        for option in ["auth.allow *", "user.loods.id x", "a;b c"] {
            let body = format!(r#"{{"size":1,"glustervolumeoptions":["{option}"]}}"#);
            assert_eq!(
                create(&body).map_err(|(status, _)| status),
                Err(400),
                "{option}"
            );
        }
    }

    #[test]
    fn what_is_wanted_follows_from_the_durability() {
        let width = |json: &str| {
            let wanted = wanted(&create(json).expect("sound"));
            (wanted.width, wanted.parts, wanted.arbiter)
        };
        assert_eq!(width(r#"{"size":1}"#), (1, 1, false));
        assert_eq!(
            width(r#"{"size":1,"durability":{"type":"replicate"}}"#),
            (2, 1, false)
        );
        assert_eq!(
            width(
                r#"{"size":1,"durability":{"type":"replicate","replicate":{"replica":2}},"glustervolumeoptions":["user.heketi.arbiter true"]}"#
            ),
            (3, 1, true)
        );
        assert_eq!(
            width(r#"{"size":1,"durability":{"type":"disperse"}}"#),
            (6, 4, false)
        );
    }
    #[test]
    fn no_volume_grows_beyond_what_its_record_can_say() {
        assert_eq!(growth(2, 3), Ok(5));
        assert_eq!(growth(LARGEST - 1, 1), Ok(LARGEST));
        for (by, words) in [
            (0, "cannot be blank"),
            (-1, "no less than 1"),
            (LARGEST, "more than the"),
            (i64::MAX, "more than the"),
        ] {
            let (status, text) = growth(2, by).expect_err("refused");
            assert!(status == 400 && text.contains(words), "{text}");
        }
    }
}
