//! The certificates of a manager and its agents: a small authority of their
//! own, that is for nothing else.
//!
//! ```text
//!   DIR/ca.pem, DIR/ca-key.pem              the authority; its key stays where this ran
//!   DIR/manager/{ca,cert,key}.pem           for the manager
//!   DIR/<host>/{ca,cert,key}.pem            for the agent of each host
//! ```
//!
//! Run again with more hosts, it makes what is missing and keeps what is there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::files;
use super::tls::MANAGER;
use crate::storage::gluster::name;

/// How many years a certificate lasts.
const YEARS: i32 = 10;

/// The directory of the manager's files.
const MANAGER_DIRECTORY: &str = "manager";

/// Why no certificates were made. The text names the file and the mend.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// What was made, and what was there already: directories.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// New pairs.
    pub made: Vec<PathBuf>,
    /// Pairs that were kept.
    pub kept: Vec<PathBuf>,
}

/// Makes what is missing of the authority, the manager's pair and a pair for
/// each host (a name or an address), in `directory`. `year` is this year.
pub fn make(directory: &Path, hosts: &[String], year: i32) -> Result<Made, Refused> {
    for host in hosts {
        name::host(host).map_err(|bad| Refused(bad.0))?;
        if [MANAGER_DIRECTORY, ".", ".."].contains(&&**host) {
            return Err(Refused(format!(
                "host {host:?}: this name is taken: use the host's full name or its address"
            )));
        }
    }
    fs::create_dir_all(directory).map_err(|error| failed("make", directory, &error))?;
    let authority = authority(directory, year)?;
    let manager = std::iter::once((
        MANAGER_DIRECTORY,
        MANAGER,
        ExtendedKeyUsagePurpose::ClientAuth,
    ));
    let agents = hosts
        .iter()
        .map(|host| (&**host, &**host, ExtendedKeyUsagePurpose::ServerAuth));
    let mut made = Made::default();
    for (place, name, usage) in manager.chain(agents) {
        let place = directory.join(place);
        if pair(&authority, &place, name, usage, year)? {
            made.made.push(place);
        } else {
            made.kept.push(place);
        }
    }
    Ok(made)
}

/// The authority, ready to sign.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority(directory: &Path, year: i32) -> Result<Authority, Refused> {
    let (certificate, key) = (directory.join("ca.pem"), directory.join("ca-key.pem"));
    let mut params = CertificateParams::default();
    lasting(&mut params, year);
    params
        .distinguished_name
        .push(DnType::CommonName, "Loods storage");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    match (certificate.exists(), key.exists()) {
        (false, false) => {
            let pair = KeyPair::generate().map_err(unmade)?;
            let pem = params.self_signed(&pair).map_err(unmade)?.pem();
            write(&key, &pair.serialize_pem(), 0o600)?;
            write(&certificate, &pem, 0o644)?;
            Ok(Authority {
                issuer: Issuer::new(params, pair),
                pem,
            })
        }
        (true, true) => {
            let pem = read(&certificate)?;
            let pair = KeyPair::from_pem(&read(&key)?).map_err(|error| {
                Refused(format!("{} is no private key: {error}", key.display()))
            })?;
            if !holds_key(&pem, &pair) {
                return Err(Refused(format!(
                    "{} is not the certificate of {}: they were made by different runs",
                    certificate.display(),
                    key.display()
                )));
            }
            Ok(Authority {
                issuer: Issuer::new(params, pair),
                pem,
            })
        }
        _ => Err(half(directory, "ca.pem and ca-key.pem")),
    }
}

/// Whether the certificate is for this key: its octets are in it.
fn holds_key(pem: &str, pair: &KeyPair) -> bool {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let public = pair.public_key_raw();
    CertificateDer::from_pem_slice(pem.as_bytes())
        .is_ok_and(|der| der.windows(public.len()).any(|part| part == public))
}

/// Makes one pair; whether it had to.
fn pair(
    authority: &Authority,
    place: &Path,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
    year: i32,
) -> Result<bool, Refused> {
    let (certificate, key) = (place.join("cert.pem"), place.join("key.pem"));
    match (certificate.exists(), key.exists()) {
        (true, true) => return Ok(false),
        (false, false) => {}
        _ => return Err(half(place, "cert.pem and key.pem")),
    }
    // Addresses are another kind of name than words; rcgen tells them apart.
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(unmade)?;
    lasting(&mut params, year);
    let shown = if name.parse::<IpAddr>().is_ok() || name.len() > 64 {
        "agent"
    } else {
        name
    };
    params.distinguished_name.push(DnType::CommonName, shown);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    let pair = KeyPair::generate().map_err(unmade)?;
    let signed = params.signed_by(&pair, &authority.issuer).map_err(unmade)?;
    fs::create_dir_all(place).map_err(|error| failed("make", place, &error))?;
    if !place.join("ca.pem").exists() {
        write(&place.join("ca.pem"), &authority.pem, 0o644)?;
    }
    write(&key, &pair.serialize_pem(), 0o600)?;
    write(&certificate, &signed.pem(), 0o644)?;
    Ok(true)
}

fn lasting(params: &mut CertificateParams, year: i32) {
    // From the year before, whatever the clocks of the hosts say.
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + YEARS, 12, 31);
}

fn unmade(error: rcgen::Error) -> Refused {
    Refused(format!("no certificate can be made: {error}"))
}

fn half(place: &Path, both: &str) -> Refused {
    Refused(format!(
        "{}: one of {both} is missing: put it back, or remove the other to have both made anew",
        place.display()
    ))
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Refused {
    Refused(format!("cannot {what} {}: {error}", path.display()))
}

fn read(path: &Path) -> Result<String, Refused> {
    fs::read_to_string(path).map_err(|error| failed("read", path, &error))
}

/// Writes a new file, for good; never over another.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Refused> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file: File| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    written.map_err(|error| failed("write", path, &error))?;
    files::sync_parent(path).map_err(|failure| Refused(failure.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::agent::files::tests::Scratch;
    use crate::storage::agent::tls;
    use std::os::unix::fs::PermissionsExt;

    fn hosts(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn both_sides_can_use_them_and_a_second_run_keeps_them() {
        let scratch = Scratch::new();
        let first = make(&scratch.0, &hosts(&["gfs1", "10.0.0.1"]), 2026).expect("a place");
        assert_eq!(first.made.len(), 3);
        tls::server(&scratch.0.join("gfs1")).expect("an agent's");
        tls::client(&scratch.0.join("manager")).expect("the manager's");

        let keys = |host: &str| read(&scratch.0.join(host).join("key.pem")).expect("there");
        let before = keys("gfs1");
        let second = make(&scratch.0, &hosts(&["gfs1", "fd00::1"]), 2026).expect("a place");
        assert_eq!(second.made, [scratch.0.join("fd00::1")]);
        assert_eq!(second.kept.len(), 2);
        assert_eq!(keys("gfs1"), before);
        assert_eq!(
            read(&scratch.0.join("fd00::1/ca.pem")).expect("there"),
            read(&scratch.0.join("ca.pem")).expect("there")
        );
    }

    #[test]
    fn keys_are_for_root_alone() {
        let scratch = Scratch::new();
        make(&scratch.0, &hosts(&["gfs1"]), 2026).expect("a place");
        for key in ["ca-key.pem", "manager/key.pem", "gfs1/key.pem"] {
            let mode = fs::metadata(scratch.0.join(key))
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn half_of_a_pair_is_never_overwritten() {
        let scratch = Scratch::new();
        make(&scratch.0, &hosts(&["gfs1"]), 2026).expect("a place");
        for gone in ["gfs1/cert.pem", "ca-key.pem"] {
            let path = scratch.0.join(gone);
            let kept = read(&path).expect("there");
            fs::remove_file(&path).expect("there");
            let refused = make(&scratch.0, &hosts(&["gfs1"]), 2026).expect_err("half");
            assert!(refused.0.contains("put it back"), "{refused}");
            fs::write(&path, kept).expect("a place");
        }
    }

    #[test]
    fn a_key_of_another_authority_is_noticed() {
        let (one, two) = (Scratch::new(), Scratch::new());
        for scratch in [&one, &two] {
            make(&scratch.0, &[], 2026).expect("a place");
        }
        fs::copy(two.0.join("ca-key.pem"), one.0.join("ca-key.pem")).expect("a place");
        let refused = make(&one.0, &hosts(&["gfs1"]), 2026).expect_err("not its key");
        assert!(refused.0.contains("different runs"), "{refused}");
    }

    #[test]
    fn names_that_are_no_hosts_are_refused() {
        let scratch = Scratch::new();
        for bad in ["manager", "..", "a/b", "", "-x"] {
            assert!(make(&scratch.0, &hosts(&[bad]), 2026).is_err(), "{bad:?}");
        }
        assert!(!scratch.0.join("ca.pem").exists());
    }

    #[test]
    fn only_the_managers_certificate_is_the_managers() {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;
        let scratch = Scratch::new();
        make(&scratch.0, &hosts(&["gfs1"]), 2026).expect("a place");
        for (place, is) in [("manager", true), ("gfs1", false)] {
            let file = scratch.0.join(place).join("cert.pem");
            let certificate = CertificateDer::from_pem_file(file).expect("there");
            assert_eq!(tls::is_manager(&certificate), is, "{place}");
        }
    }
}
