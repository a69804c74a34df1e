//! Why glusterd did not do it, and whether another try makes sense.

use super::xml::{self, Element};

/// An answer that is not success.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("glusterd: {text}")]
pub struct GlusterError {
    /// What kind.
    pub kind: Kind,
    /// `opErrno`; 0 where there was none.
    pub errno: i64,
    /// `opErrstr`, on one line, or what was wrong with the answer.
    pub text: String,
}

/// Kinds of [`GlusterError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Another transaction is in progress: try again soon.
    Busy,
    /// A volume of this name is there.
    AlreadyExists,
    /// It is in that state already.
    AlreadyDone,
    /// No such volume.
    NotFound,
    /// No such option, or a value that it does not take.
    BadOption,
    /// The volume must be started for this.
    NotStarted,
    /// The volume must be stopped for this.
    Started,
    /// A peer that is needed is not connected, or could not be reached.
    PeerDown,
    /// That host is not, or not yet, one of the peers.
    NotAPeer,
    /// The brick's directory is, or was, part of another volume.
    BrickInUse,
    /// glusterd wants `force` for this: root file system, two copies on one host.
    NeedsForce,
    /// The disk is full.
    NoSpace,
    /// Anything else, and what a later version may say.
    Other,
    /// The answer is not what `gluster --xml` prints.
    Unreadable,
}

impl Kind {
    /// Whether the same command may work a little later, with nothing changed
    /// by us.
    pub fn may_pass(self) -> bool {
        matches!(self, Kind::Busy | Kind::PeerDown)
    }
}

/// `opErrno` of a lock that another transaction holds.
const LOCKED: i64 = 30802;
/// `opErrno` of a volume that is not there.
const NO_VOLUME: i64 = 30806;

/// What glusterd's sentences have in them, the first that matches; compared
/// without regard to case.
const SENTENCES: [(&str, Kind); 33] = [
    ("another transaction", Kind::Busy),
    ("locking failed", Kind::Busy),
    ("please try again", Kind::Busy),
    ("no space left", Kind::NoSpace),
    ("option user.", Kind::AlreadyDone),
    ("option : ", Kind::BadOption),
    ("in \"option ", Kind::BadOption),
    ("did you mean", Kind::BadOption),
    ("not part of cluster", Kind::NotAPeer),
    ("not in 'peer in cluster'", Kind::NotAPeer),
    ("is not connected", Kind::PeerDown),
    (" not connected", Kind::PeerDown),
    ("peers are down", Kind::PeerDown),
    ("peers is probably down", Kind::PeerDown),
    ("peer is probably down", Kind::PeerDown),
    ("no route to host", Kind::PeerDown),
    ("connection refused", Kind::PeerDown),
    ("connection timed out", Kind::PeerDown),
    ("connection failed", Kind::PeerDown),
    ("already part of a volume", Kind::BrickInUse),
    ("brick may be containing", Kind::BrickInUse),
    ("override this behavior", Kind::NeedsForce),
    ("use 'force'", Kind::NeedsForce),
    ("already exists", Kind::AlreadyExists),
    ("already started", Kind::AlreadyDone),
    ("already stopped", Kind::AlreadyDone),
    ("already enabled", Kind::AlreadyDone),
    ("already disabled", Kind::AlreadyDone),
    ("is not in the started state", Kind::NotStarted),
    ("is not started", Kind::NotStarted),
    ("has been started", Kind::Started),
    ("does not exist", Kind::NotFound),
    // A peer said no and not why: it has just started, and is being told what
    // happened while it was away.
    ("check log file for details", Kind::PeerDown),
];

/// What kind of failure a sentence of glusterd tells.
pub fn classify(errno: i64, text: &str) -> Kind {
    match errno {
        LOCKED => return Kind::Busy,
        NO_VOLUME => return Kind::NotFound,
        _ => {}
    }
    let text = text.to_lowercase();
    // glusterd may quote a path or a volume's name: names have no blanks, and
    // each sentence looked for has one.
    let found = SENTENCES
        .iter()
        .find(|(sentence, _)| text.contains(sentence));
    found.map_or(Kind::Other, |&(_, kind)| kind)
}

/// Reads an answer and tells success from failure: the root element of a
/// command that worked.
pub fn success(text: &str) -> Result<Element, GlusterError> {
    let unreadable = |why: String| GlusterError {
        kind: Kind::Unreadable,
        errno: 0,
        text: format!(
            "its answer is not the XML of `gluster --xml`: {why}; it begins {:?}",
            text.chars().take(60).collect::<String>()
        ),
    };
    let root = xml::read(text).map_err(unreadable)?;
    if root.name != "cliOutput" {
        return Err(unreadable(format!("it is a <{}>", root.name)));
    }
    let Some(result) = root.number::<i64>("opRet") else {
        return Err(unreadable("it has no opRet".into()));
    };
    if result == 0 {
        return Ok(root);
    }
    let errno = root.number("opErrno").unwrap_or(0);
    let told = [root.word("opErrstr"), root.word("output")]
        .into_iter()
        .find(|text| !text.is_empty());
    let text = told.map_or_else(
        || format!("it failed with {result} ({errno}) and without a reason: see glusterd.log"),
        one_line,
    );
    Err(GlusterError {
        kind: classify(errno, &text),
        errno,
        text,
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What GlusterFS 10.3 said, with its number.
    const TOLD: [(i64, &str, Kind); 26] = [
        (
            30802,
            "Another transaction is in progress for v3. Please try again after some time.",
            Kind::Busy,
        ),
        (0, "Volume v1 already exists", Kind::AlreadyExists),
        (30800, "Volume v1 already started", Kind::AlreadyDone),
        (30800, "Quota is already enabled", Kind::AlreadyDone),
        (30800, "Volume v1 does not exist", Kind::NotFound),
        (30806, "Volume does not exist", Kind::NotFound),
        (30800, "Volume v3 is not started", Kind::NotStarted),
        (
            30800,
            "Volume v1 has been started.Volume needs to be stopped before deletion.",
            Kind::Started,
        ),
        (
            30800,
            "option : nonsense.option does not exist Did you mean disperse.cpu-extensions or ...eager-lock?",
            Kind::BadOption,
        ),
        (
            30800,
            "invalid time format \"x\" in \"option ping-timeout\"",
            Kind::BadOption,
        ),
        (
            30800,
            "Option user.loods.id does not exist Did you mean cluster.nufa or ...switch?",
            Kind::AlreadyDone,
        ),
        (30800, "Host 198.19.0.3 not connected", Kind::PeerDown),
        (
            107,
            "Probe returned with Transport endpoint is not connected",
            Kind::PeerDown,
        ),
        (30800, "Some of the peers are down", Kind::PeerDown),
        (
            4,
            "One of the peers is probably down. Check with 'peer status'",
            Kind::PeerDown,
        ),
        (
            30800,
            "Host 198.19.0.9 is not in 'Peer in Cluster' state",
            Kind::NotAPeer,
        ),
        (2, "198.19.0.77 is not part of cluster", Kind::NotAPeer),
        (
            3,
            "Peer 198.19.0.3 hosts one or more bricks. If the peer is in not recoverable state then use either replace-brick or remove-brick command with force to remove all bricks from the peer and attempt the peer detach again.",
            Kind::Other,
        ),
        (
            30800,
            "Brick: 198.19.0.1:/srv/gluster/b1/brick not available. Brick may be containing or be contained by an existing brick.",
            Kind::BrickInUse,
        ),
        (
            30800,
            "The brick 198.19.0.1:/srv/gluster/b1/brick is being created in the root partition. It is recommended that you don't use the system's root partition for storage backend. Or use 'force' at the end of the command if you want to override this behavior.",
            Kind::NeedsForce,
        ),
        (
            30800,
            "Failed to create brick directory for brick 198.19.0.1:/srv/gluster/b1/brick. Reason : No such file or directory ",
            Kind::Other,
        ),
        (
            30800,
            "Failed to create brick directory for brick h:/b. Reason : No space left on device",
            Kind::NoSpace,
        ),
        (
            0,
            "Incorrect number of bricks supplied 1 with count 3",
            Kind::Other,
        ),
        (
            5,
            "v3: Not able to fetch volfile from glusterd",
            Kind::Other,
        ),
        (
            30800,
            "/srv/gluster/b9 is already part of a volume",
            Kind::BrickInUse,
        ),
        (0, "", Kind::Other),
    ];

    #[test]
    fn sentences_of_glusterd_have_their_kind() {
        for (errno, text, kind) in TOLD {
            assert_eq!(classify(errno, text), kind, "{text}");
        }
    }

    #[test]
    fn every_failure_other_than_zero_counts_and_keeps_its_words() {
        // `peer detach` fails with 1, most others with -1.
        for result in [-1, 1] {
            let told = format!(
                "<cliOutput><opRet>{result}</opRet><opErrno>0</opErrno><opErrstr>Volume v1\nalready exists</opErrstr></cliOutput>"
            );
            let error = success(&told).expect_err("a failure");
            assert_eq!(error.kind, Kind::AlreadyExists);
            assert_eq!(error.to_string(), "glusterd: Volume v1 already exists");
        }
    }

    #[test]
    fn a_failure_without_words_says_where_to_look() {
        let told = "<cliOutput><opRet>-1</opRet><opErrno>22</opErrno><opErrstr/></cliOutput>";
        let error = success(told).expect_err("a failure");
        assert!(error.text.contains("glusterd.log"), "{error}");
        assert_eq!(error.errno, 22);
    }

    #[test]
    fn what_is_no_answer_of_gluster_is_unreadable() {
        for told in [
            "",
            "Connection failed. Please check if gluster daemon is operational.",
            "<html><body>502</body></html>",
            "<cliOutput></cliOutput>",
        ] {
            let error = success(told).expect_err("no answer");
            assert_eq!(error.kind, Kind::Unreadable, "{told}");
        }
    }
}
