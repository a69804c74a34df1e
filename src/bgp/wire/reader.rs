//! A cursor that cannot leave its bounds.
//!
//! Every read either yields all that was asked for or [`Short`], and a nested
//! field gets a reader of its own, so an inner length can never reach into what
//! follows. What a shortage *means* is for the caller to say: in one place it
//! resets the session, in another it costs one attribute.

/// The octets end before the field does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short;

/// The octets not read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Short> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A reader of the next `len` octets alone.
    pub(crate) fn sub(&mut self, len: usize) -> Result<Reader<'a>, Short> {
        self.take(len).map(Reader::new)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Short> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Short> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_reader_cannot_see_past_its_length() {
        let mut outer = Reader::new(&[1, 2, 3, 4]);
        let mut inner = outer.sub(2).unwrap();
        assert_eq!(inner.u16(), Ok(0x0102));
        assert_eq!(inner.u8(), Err(Short));
        assert_eq!(outer.u16(), Ok(0x0304));
        assert!(outer.is_empty());
    }

    #[test]
    fn a_short_read_consumes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), Err(Short));
        assert!(reader.take(4).is_err() && reader.sub(4).is_err());
        assert_eq!(reader.rest(), [1, 2, 3]);
    }
}
