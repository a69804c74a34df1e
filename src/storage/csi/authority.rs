//! Connections of clients that send the path of a socket as `:authority`.
//!
//! The kubelet dials a plugin's registration socket by its path alone, and its
//! gRPC library then sends that path, percent-encoded, as the authority. RFC
//! 3986 (§3.2.2) knows no such host, so the HTTP/2 server below tonic ends the
//! stream with PROTOCOL_ERROR, and the driver is never registered.
//!
//! On a unix socket an authority says nothing. So its octets are replaced by as
//! many letters before the server reads them: HTTP/2 frames (RFC 9113 §4.1)
//! and header blocks (RFC 7541 §6) keep their lengths, and nothing else of them
//! is touched. A client's table of headers counts what it sent as longer than
//! ours does where it was Huffman-coded; so ours forgets later than the
//! client's, never sooner, and every index finds its field.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::server::Connected;

/// "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" (RFC 9113 §3.4).
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
/// Largest frame that a client may send us: the protocol's default.
const LARGEST_FRAME: usize = 16 << 10;
const HEADERS: u8 = 1;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
/// Of `:authority` in the static table (RFC 7541 Appendix A).
const AUTHORITY: usize = 1;

/// Replaces authorities in what a client sends.
#[derive(Debug)]
struct Mender {
    /// Octets that may pass as they come.
    passing: usize,
    /// Octets of a frame that is not whole yet.
    waiting: Vec<u8>,
}

impl Default for Mender {
    fn default() -> Self {
        Self {
            passing: PREFACE,
            waiting: Vec::new(),
        }
    }
}

impl Mender {
    /// Takes what was read; appends what the server may read.
    fn take(&mut self, mut read: &[u8], out: &mut Vec<u8>) {
        while !read.is_empty() {
            if self.passing > 0 {
                let (pass, rest) = read.split_at(self.passing.min(read.len()));
                out.extend_from_slice(pass);
                self.passing -= pass.len();
                read = rest;
                continue;
            }
            let wanted = self.wanted();
            let (part, rest) = read.split_at(wanted.min(read.len()));
            self.waiting.extend_from_slice(part);
            read = rest;
            if part.len() == wanted {
                self.advance(out);
            }
        }
    }

    /// Octets that are missing for a frame's head, or for a whole HEADERS frame.
    fn wanted(&self) -> usize {
        match self.waiting.len().checked_sub(FRAME_HEAD) {
            None => FRAME_HEAD - self.waiting.len(),
            Some(payload) => length(&self.waiting) - payload,
        }
    }

    /// A head is whole, or a HEADERS frame is.
    fn advance(&mut self, out: &mut Vec<u8>) {
        let length = length(&self.waiting);
        let (kind, flags) = (self.waiting[3], self.waiting[4]);
        let is_headers = kind == HEADERS && (1..=LARGEST_FRAME).contains(&length);
        if is_headers && self.waiting.len() == FRAME_HEAD {
            return;
        }
        if is_headers {
            let padding = usize::from(flags & PADDED != 0);
            let priority = if flags & PRIORITY != 0 { 5 } else { 0 };
            if let Some(block) = self.waiting.get_mut(FRAME_HEAD + padding + priority..) {
                replace_authority(block);
            }
        } else {
            self.passing = length;
        }
        out.append(&mut self.waiting);
    }
}

fn length(head: &[u8]) -> usize {
    head[..3]
        .iter()
        .fold(0, |length, octet| length << 8 | usize::from(*octet))
}

/// Walks through a header block up to `:authority`. A block that makes no sense
/// stays as it is: the server says so to the client.
fn replace_authority(block: &mut [u8]) -> Option<()> {
    let mut at = 0;
    loop {
        let first = *block.get(at)?;
        // Indexed, or a new size of the table: a number and nothing more.
        if first & 0x80 != 0 {
            at = number(block, at, 7)?.1;
            continue;
        }
        if first & 0xe0 == 0x20 {
            at = number(block, at, 5)?.1;
            continue;
        }
        let bits = if first & 0x40 != 0 { 6 } else { 4 };
        let (name, after) = number(block, at, bits)?;
        at = after;
        if name == 0 {
            let (length, text) = number(block, at, 7)?;
            at = text.checked_add(length)?;
        }
        let (length, text) = number(block, at, 7)?;
        let end = text.checked_add(length)?;
        if name == AUTHORITY {
            block.get_mut(text..end)?.fill(b'x');
            // Not Huffman-coded any more.
            block[at] &= 0x7f;
            return Some(());
        }
        at = end;
    }
}

/// A number with a prefix of so many bits (RFC 7541 §5.1), and where it ends.
fn number(block: &[u8], at: usize, bits: u32) -> Option<(usize, usize)> {
    let most = (1 << bits) - 1;
    let mut value = usize::from(*block.get(at)?) & most;
    let mut at = at + 1;
    if value < most {
        return Some((value, at));
    }
    for shift in [0, 7, 14] {
        let octet = usize::from(*block.get(at)?);
        at += 1;
        value += (octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

/// A connection that tonic can serve, whatever its client calls the host.
#[derive(Debug)]
pub(super) struct Mended {
    stream: UnixStream,
    mender: Mender,
    /// Read, mended, and not taken yet from `taken` on.
    ready: Vec<u8>,
    taken: usize,
}

impl From<UnixStream> for Mended {
    fn from(stream: UnixStream) -> Self {
        Self {
            stream,
            mender: Mender::default(),
            ready: Vec::new(),
            taken: 0,
        }
    }
}

impl AsyncRead for Mended {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let own = &mut *self;
        while own.taken == own.ready.len() {
            own.ready.clear();
            own.taken = 0;
            let mut octets = [0; 4096];
            let mut read = ReadBuf::new(&mut octets);
            ready!(Pin::new(&mut own.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                // The end. What is left of a frame is of no use to anybody.
                return Poll::Ready(Ok(()));
            }
            own.mender.take(read.filled(), &mut own.ready);
        }
        let left = &own.ready[own.taken..];
        let part = &left[..left.len().min(into.remaining())];
        into.put_slice(part);
        own.taken += part.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Mended {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Mended {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 7541 C.4.1: GET http://www.example.com/, Huffman-coded.
    const BLOCK: [u8; 17] = [
        0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90,
        0xf4, 0xff,
    ];

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len().to_be_bytes();
        let mut frame = length[length.len() - 3..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.extend(payload);
        frame
    }

    fn mended() -> Vec<u8> {
        let mut block = BLOCK.to_vec();
        block[4] = 12;
        block[5..].fill(b'x');
        block
    }

    #[test]
    fn an_authority_becomes_letters_and_nothing_else_changes() {
        let mut block = BLOCK;
        replace_authority(&mut block);
        assert_eq!(block.to_vec(), mended());
        // RFC 7541 C.2.3 and C.3.2: no authority, or one that is in the table.
        for text in [
            "100870617373776f726406736563726574",
            "828684be58086e6f2d6361636865",
        ] {
            let octets = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
            let mut block: Vec<u8> = (0..text.len()).step_by(2).map(octets).collect();
            let before = block.clone();
            replace_authority(&mut block);
            assert_eq!(block, before);
        }
    }

    #[test]
    fn frames_with_padding_and_priority_are_understood() {
        let mut mender = Mender::default();
        let mut out = Vec::new();
        let (mut padded, mut expected) = (vec![3, 0, 0, 0, 0, 9], vec![3, 0, 0, 0, 0, 9]);
        padded.extend(BLOCK);
        padded.extend([0; 3]);
        expected.extend(mended());
        expected.extend([0; 3]);
        mender.take(&[b'P'; PREFACE], &mut out);
        mender.take(&frame(HEADERS, PADDED | PRIORITY, &padded), &mut out);
        assert_eq!(out[PREFACE..], frame(HEADERS, PADDED | PRIORITY, &expected));
    }

    proptest! {
        #[test]
        fn how_it_is_cut_does_not_matter(cuts in proptest::collection::vec(1usize..40, 0..40)) {
            // SETTINGS, HEADERS, DATA that looks like a header block, HEADERS.
            let sent = |block: &[u8]| {
                [
                    vec![b'P'; PREFACE],
                    frame(4, 0, &[]),
                    frame(HEADERS, 4, block),
                    frame(0, 1, &BLOCK),
                    frame(HEADERS, 4, block),
                ]
                .concat()
            };
            let whole = sent(&BLOCK);
            let (mut mender, mut out) = (Mender::default(), Vec::new());
            let mut rest = &whole[..];
            for cut in cuts {
                let (part, left) = rest.split_at(cut.min(rest.len()));
                mender.take(part, &mut out);
                rest = left;
            }
            mender.take(rest, &mut out);
            prop_assert_eq!(out, sent(&mended()));
        }

        #[test]
        fn whatever_comes_nothing_is_lost(sent in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (mut mender, mut out) = (Mender::default(), Vec::new());
            mender.take(&sent, &mut out);
            prop_assert_eq!(out.len() + mender.waiting.len(), sent.len());
        }
    }
}
