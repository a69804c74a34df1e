//! UPDATE as received (RFC 4271 §4.3), judged by RFC 7606.
//!
//! ```text
//!   what is wrong                                    what it costs
//!   ------------------------------------------       --------------------------
//!   the prefixes cannot be told apart                the session (reset)
//!   an attribute that routes depend on               the routes (treat-as-withdraw)
//!   an attribute that routes can do without          that attribute (discard)
//! ```
//!
//! Only prefixes come out of here, and what was wrong, in words.

use super::DecodeContext;
use super::attributes::{self, Found};
use super::message::{Notification, Update};
use super::nlri;
use super::reader::{Reader, Short};
use crate::bgp::iana::{attribute, update as subcode};
use crate::bgp::types::Family;

/// What a peer can make us say about one message: it may hold thousands of faults.
const FAULTS_KEPT: usize = 16;

/// Reads the body of an UPDATE.
pub(crate) fn decode(body: &[u8], cx: &DecodeContext) -> Result<Update, Notification> {
    let (withdrawn, attributes, nlri) = split(body).map_err(|Short| {
        // RFC 4271 §6.3: the inner lengths exceed the message.
        Notification::update_error(subcode::MALFORMED_ATTRIBUTE_LIST, &[])
    })?;
    // RFC 7606 §3 (j): without all prefixes there is nothing to treat as withdrawn.
    let unreadable = |Short| Notification::update_error(subcode::INVALID_NETWORK_FIELD, &[]);
    let mut update = Update::default();
    nlri::read_all(withdrawn, Family::Ipv4, &mut update.unreach).map_err(unreadable)?;
    nlri::read_all(nlri, Family::Ipv4, &mut update.reach).map_err(unreadable)?;

    let has_nlri = !nlri.is_empty();
    let mut found = attributes::read_all(attributes, has_nlri, cx, &mut update)?;
    if !update.reach.is_empty() {
        demand_well_known(&mut found, has_nlri, &mut update);
    }
    if let Some(fault) = found.withdraw.take() {
        // RFC 7606 §5.2: attributes that carry no route, and broken ones at that;
        // the routes may have been in what we could not read.
        if update.reach.is_empty() && !found.foreign_routes {
            return Err(fault);
        }
        update.unreach.append(&mut update.reach);
    }
    update.end_of_rib = end_of_rib(body, &found, &update);
    Ok(update)
}

type Sections<'a> = (Reader<'a>, Reader<'a>, Reader<'a>);

/// Withdrawn routes, path attributes, NLRI.
fn split(body: &[u8]) -> Result<Sections<'_>, Short> {
    let mut reader = Reader::new(body);
    let len = reader.u16()?;
    let withdrawn = reader.sub(usize::from(len))?;
    let len = reader.u16()?;
    let attributes = reader.sub(usize::from(len))?;
    Ok((withdrawn, attributes, reader))
}

/// RFC 7606 §3 (d): what every route must have. LOCAL_PREF is not in the list:
/// routers take 100 in its place.
fn demand_well_known(found: &mut Found, has_nlri: bool, update: &mut Update) {
    let mut demand = |code: u8| {
        if !found.present.contains(&code) {
            let name = attribute::name(code).unwrap_or_default();
            note(update, || format!("{name}: missing (treat-as-withdraw)"));
            found.withdraw.get_or_insert_with(|| {
                Notification::update_error(subcode::MISSING_WELL_KNOWN_ATTRIBUTE, &[code])
            });
        }
    };
    demand(attribute::ORIGIN);
    demand(attribute::AS_PATH);
    if has_nlri {
        demand(attribute::NEXT_HOP);
    }
}

/// RFC 4724 §2: an UPDATE with nothing in it, or with one empty MP_UNREACH_NLRI.
fn end_of_rib(body: &[u8], found: &Found, update: &Update) -> Option<Family> {
    if body == [0; 4] {
        return Some(Family::Ipv4);
    }
    let bare = update.reach.is_empty() && update.unreach.is_empty() && update.faults.is_empty();
    (bare && found.present.len() == 1)
        .then_some(found.unreach_family)
        .flatten()
}

/// Keeps the first faults and says that there were more.
pub(crate) fn note(update: &mut Update, fault: impl FnOnce() -> String) {
    match update.faults.len() {
        0..FAULTS_KEPT => update.faults.push(fault()),
        FAULTS_KEPT => update.faults.push("and more like these".to_owned()),
        _ => {}
    }
}
