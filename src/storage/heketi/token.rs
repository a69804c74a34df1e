//! Heketi's tokens: who asks, and for what exactly (pure).
//!
//! A request carries `Authorization: bearer <token>`, a JSON Web Token signed
//! with HMAC-SHA256 by the raw bytes of a key that both sides have. It is good
//! for one method and path: claim `qsh` is the hexadecimal SHA-256 of
//! `METHOD&PATH`, without query. So each request needs a token of its own, each
//! poll and each redirect too.
//!
//! ```text
//!   base64url({"alg":"HS256","typ":"JWT"}) . base64url({"exp","iat","iss","qsh"}) . base64url(HMAC)
//! ```
//!
//! [`sign`] makes one, for the client. [`verify`] judges one, for our manager,
//! and refuses with Heketi's own words, since people search for those. Two
//! things are stricter than Heketi was: no algorithm but HS256, and a token
//! without an end is refused.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::{digest, hmac};
use serde::{Deserialize, Deserializer};

/// How long a token of ours is good, in seconds: what Heketi's own client takes.
pub const LIFETIME: i64 = 300;

/// How far the client's clock may be ahead of the server's, in seconds.
pub const LEEWAY: i64 = 120;

/// The longest `Authorization` that is looked at, in bytes. Ours have some 300.
const LONGEST: usize = 8 << 10;

/// A shared key. Neither its value nor its length is ever shown.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl Key {
    /// Of the raw bytes, as they stand in the Secret or the file.
    ///
    /// # Errors
    /// An empty key, with which anybody could sign.
    pub fn new(bytes: &[u8]) -> Result<Self, EmptyKey> {
        if bytes.is_empty() {
            return Err(EmptyKey);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A key of no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is empty: anybody could sign with it")]
pub struct EmptyKey;

/// Claim `iss`: in whose name a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum User {
    /// May do everything.
    Admin,
    /// May list and make volumes, but not see the answer: of no use to a provisioner.
    User,
}

impl User {
    /// As the claim has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
        }
    }

    /// Whether this user may ask for a path at all.
    ///
    /// # Errors
    /// [`Denied::NotAdmin`].
    pub fn may(self, path: &str) -> Result<(), Denied> {
        match self {
            Self::Admin => Ok(()),
            Self::User if path == "/volumes" => Ok(()),
            Self::User => Err(Denied::NotAdmin),
        }
    }
}

/// The keys of a server.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Of [`User::Admin`].
    pub admin: Key,
    /// Of [`User::User`], if there is such a user.
    pub user: Option<Key>,
}

/// Why a request is not served; displayed as Heketi says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No `Authorization` at all.
    #[error("Required authorization token not found")]
    NoToken,
    /// Another scheme than `bearer`, or more than one word behind it.
    #[error("Authorization header format must be Bearer {{token}}")]
    Format,
    /// Not three parts with dots between them.
    #[error("Invalid JWT token: token contains an invalid number of segments")]
    Segments,
    /// A part that is neither base64 nor what it should be.
    #[error("Invalid JWT token: {0}")]
    Malformed(Box<str>),
    /// Not HS256.
    #[error("Invalid JWT token: Unexpected signing method: {0}")]
    Method(Box<str>),
    /// No claim `iss`.
    #[error("Invalid JWT token: Token missing iss claim")]
    NoIssuer,
    /// No claim `exp`: it would be good for ever.
    #[error("Invalid JWT token: Token missing exp claim")]
    NoEnd,
    /// Claim `iss` names nobody who has a key here.
    #[error("Invalid JWT token: Unknown user")]
    UnknownUser,
    /// Signed with another key.
    #[error("Invalid JWT token: signature is invalid (client and server secrets may not match)")]
    Signature,
    /// Its time is over, by so many seconds.
    #[error("Invalid JWT token: Token is expired by {}", GoDuration(*.0))]
    Expired(i64),
    /// Its time is to come.
    #[error("Invalid JWT token: Token used before issued (client and server clocks may differ)")]
    BeforeIssued,
    /// Made for another method or path.
    #[error("Invalid qsh claim in token")]
    OtherRequest,
    /// Somebody, but not the administrator.
    #[error("Administrator access required")]
    NotAdmin,
}

impl Denied {
    /// The HTTP status that goes with it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Format => 400,
            _ => 401,
        }
    }
}

/// Seconds as Go prints a duration: `5s`, `11m40s`, `2h0m0s`.
struct GoDuration(i64);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        match (hours, minutes) {
            (0, 0) => write!(f, "{seconds}s"),
            (0, _) => write!(f, "{minutes}m{seconds}s"),
            _ => write!(f, "{hours}h{minutes}m{seconds}s"),
        }
    }
}

/// Claim `qsh` of a request: hexadecimal SHA-256 of `METHOD&PATH`.
pub fn qsh(method: &str, path: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [method, "&", path] {
        context.update(part.as_bytes());
    }
    hex(context.finish().as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A token for one request, issued `now` (seconds since 1970), good for [`LIFETIME`].
///
/// `path` is without query. The value of the header is `bearer ` and this.
pub fn sign(user: User, key: &Key, method: &str, path: &str, now: i64) -> String {
    // In this order, which the test vector has; nothing in it needs escaping.
    let claims = format!(
        r#"{{"exp":{},"iat":{now},"iss":"{}","qsh":"{}"}}"#,
        now.saturating_add(LIFETIME),
        user.name(),
        qsh(method, path)
    );
    let signed = format!(
        "{}.{}",
        BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        BASE64.encode(claims)
    );
    let signature = hmac::sign(&key.0, signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(signature))
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    #[serde(default, deserialize_with = "seconds")]
    iat: Option<i64>,
    #[serde(default, deserialize_with = "seconds")]
    exp: Option<i64>,
    #[serde(default)]
    qsh: String,
}

/// Some makers of tokens write their times with a fraction.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    // A cast of a float keeps within the range of the integer.
    Ok(Option::<f64>::deserialize(from)?.map(|seconds| seconds.floor() as i64))
}

/// Judges the header `Authorization` of a request for `method` and `path`
/// (without query) at `now`, in seconds since 1970.
///
/// # Errors
/// The first reason not to serve it. Where the signature is wrong, nothing else
/// that the token says is told of, as Heketi has it too.
pub fn verify(
    authorization: Option<&str>,
    keys: &Keys,
    method: &str,
    path: &str,
    now: i64,
) -> Result<User, Denied> {
    let text = authorization.unwrap_or_default();
    if text.is_empty() {
        return Err(Denied::NoToken);
    }
    let token = match text.split(' ').collect::<Vec<_>>()[..] {
        [scheme, token] if scheme.eq_ignore_ascii_case("bearer") => token,
        _ => return Err(Denied::Format),
    };
    if token.len() > LONGEST {
        return Err(Denied::Malformed("token is too long".into()));
    }
    let &[header, claims, signature] = &token.split('.').collect::<Vec<_>>()[..] else {
        return Err(Denied::Segments);
    };
    let head: Header = part("header", header)?;
    if head.alg != "HS256" {
        // As {:?}: it is the asker's text, and goes into an answer.
        return Err(Denied::Method(format!("{:?}", head.alg).into()));
    }
    let said: Claims = part("claims", claims)?;
    let (user, key) = match &*said.iss {
        "" => return Err(Denied::NoIssuer),
        "admin" => (User::Admin, &keys.admin),
        "user" => (User::User, keys.user.as_ref().ok_or(Denied::UnknownUser)?),
        _ => return Err(Denied::UnknownUser),
    };
    let signature = decode("signature", signature)?;
    let signed = &token.as_bytes()[..header.len() + 1 + claims.len()];
    // ring compares in constant time.
    hmac::verify(&key.0, signed, &signature).map_err(|_| Denied::Signature)?;

    let end = said.exp.ok_or(Denied::NoEnd)?;
    if now > end {
        return Err(Denied::Expired(now.saturating_sub(end)));
    }
    if said.iat.is_some_and(|iat| iat > now.saturating_add(LEEWAY)) {
        return Err(Denied::BeforeIssued);
    }
    // No secret: who asks knows what is asked for.
    if said.qsh != qsh(method, path) {
        return Err(Denied::OtherRequest);
    }
    Ok(user)
}

fn part<T: for<'de> Deserialize<'de>>(what: &str, text: &str) -> Result<T, Denied> {
    serde_json::from_slice(&decode(what, text)?)
        .map_err(|_| Denied::Malformed(format!("its {what} does not decode as JSON").into()))
}

fn decode(what: &str, text: &str) -> Result<Vec<u8>, Denied> {
    BASE64
        .decode(text)
        .map_err(|error| Denied::Malformed(format!("illegal base64 in its {what}: {error}").into()))
}

#[cfg(test)]
mod tests;
