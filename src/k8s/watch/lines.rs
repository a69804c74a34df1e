//! A watch's body cut into lines. Pure: it is given bytes as they come.

/// Longer than any object: etcd takes 1.5 MiB by default, 8 MiB at most.
const LONGEST: usize = 16 << 20;

/// Bytes received and not yet given out.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to here no newline was found.
    searched: usize,
}

impl Lines {
    /// Adds bytes. False: a line is longer than any object could be.
    #[must_use]
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        // One large object must not keep its room for good.
        if self.buffer.is_empty() && self.buffer.capacity() > 64 * 1024 {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
        self.buffer.len() <= LONGEST
    }

    /// The next whole line, without its end. What follows the last newline
    /// waits: a truncated line is never given out.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        match self.buffer[self.searched..]
            .iter()
            .position(|&byte| byte == b'\n')
        {
            Some(offset) => {
                let (start, end) = (self.start, self.searched + offset);
                self.start = end + 1;
                self.searched = self.start;
                Some(&self.buffer[start..end])
            }
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_truncated_line_is_not_a_line() {
        let mut lines = Lines::default();
        assert!(lines.push(b"one\ntw"));
        assert_eq!(lines.next(), Some(&b"one"[..]));
        assert_eq!(lines.next(), None);
        assert!(lines.push(b"o\n"));
        assert_eq!(lines.next(), Some(&b"two"[..]));
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 1 << 20];
        let taken = (0..20).take_while(|_| lines.push(&chunk)).count();
        assert_eq!(taken, 16);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(text in "[ab\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..8)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.push(text.len());
            cuts.sort_unstable();
            let (mut lines, mut got, mut from) = (Lines::default(), Vec::new(), 0);
            for cut in cuts {
                prop_assert!(lines.push(&text.as_bytes()[from..cut]));
                from = cut;
                while let Some(line) = lines.next() {
                    got.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let want: Vec<&str> = if text.contains('\n') { whole.split('\n').collect() } else { vec![] };
            prop_assert_eq!(got, want);
        }
    }
}
